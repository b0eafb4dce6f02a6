"""The machine: versions, families, operators, GPU, caches."""

import os
import shutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import torch

from mmscale.checks.findings import FAULT, NOTE, Finding
from mmscale.errors import UserError
from mmscale.utils.environment import (
    FORKS,
    INSTALL,
    UPSTREAM,
    check_operators,
    installed,
)

LEAST = {'mmengine': (0, 10), 'mmdet': (3, 0), 'mmpretrain': (1, 0), 'mmseg': (1, 0)}
SHARED = Path('/dev/shm')  # through which workers hand over their batches
ENOUGH = 2**30  # bytes of it
GPU = Path('/dev/nvidia0')
CACHES = {'HF_HOME': '~/.cache/huggingface', 'TORCH_HOME': '~/.cache/torch'}


def find_in_environment(*, detects: bool) -> Iterator[Finding]:
    """Look at what is installed and what there is.

    Args:
        detects (bool): mmcv's operators are needed.
    """
    forks, upstream = installed(FORKS), installed(UPSTREAM)
    if forks and upstream:
        yield Finding(
            FAULT,
            'families-mixed',
            f'two families of distributions are installed, {list(forks)} and {list(upstream)}, '
            'which overwrite the files of each other',
            f'pip uninstall -y {" ".join([*forks, *upstream])}, then:\n{INSTALL}',
        )
    yield from _versions()
    if detects:
        try:
            check_operators()
        except (ImportError, UserError, OSError) as error:
            yield Finding(FAULT, 'operators', str(error))
    if not torch.cuda.is_available() and GPU.exists():
        yield Finding(
            NOTE, 'gpu-unused', 'there is a GPU, but this torch does not use it', 'see pytorch.org'
        )
    if SHARED.is_dir() and shutil.disk_usage(SHARED).total < ENOUGH:
        yield Finding(
            NOTE,
            'shared-memory',
            f'{SHARED} has {shutil.disk_usage(SHARED).total >> 20} MiB, through which workers hand '
            'over their batches',
            'docker run --shm-size=8g, or num_workers=0',
        )
    for name, default in CACHES.items():
        folder = Path(os.environ.get(name) or default).expanduser()
        nearest = next(p for p in (folder, *folder.parents) if os.path.exists(p))
        if not os.access(nearest, os.W_OK):
            yield Finding(
                NOTE,
                'cache-unwritable',
                f'{str(folder)!r}, where weights are kept, cannot be written',
                f'{name}=FOLDER that can',
            )


def _versions():
    for package, least in LEAST.items():
        try:
            given = import_module(package).__version__
        except ImportError:
            continue
        except Exception as error:  # mmdet asserts the versions of others when it is imported
            yield Finding(FAULT, 'versions', f'{package} cannot be imported: {error}', INSTALL)
            continue
        numbers = tuple(int(part) for part in given.split('.')[:2] if part.isdigit())
        if numbers < least:
            wanted = '.'.join(map(str, least))
            yield Finding(FAULT, 'versions', f'{package} {given} is older than {wanted}', INSTALL)
    both = installed(('opencv-python', 'opencv-python-headless'))
    if len(both) > 1:
        yield Finding(
            NOTE,
            'opencv-twice',
            'opencv-python and opencv-python-headless are both installed, and overwrite the files '
            'of each other',
            'pip uninstall -y opencv-python && '
            'pip install --no-deps --force-reinstall opencv-python-headless',
        )
