"""Which OpenMMLab family is installed: upstream's distributions or the maintained forks.

Both provide the packages mmengine, mmcv, mmdet and mmpretrain and overwrite each other's files, so
neither is a hard dependency of mmscale. Only the standard library is needed here.
"""

import contextlib
import importlib
import warnings
from collections.abc import Iterable
from importlib import metadata, util
from typing import Any

from mmscale.errors import UserError

FORKS = ('onedl-mmengine', 'onedl-mmcv', 'onedl-mmdetection', 'onedl-mmpretrain')
UPSTREAM = ('mmengine', 'mmengine-lite', 'mmcv', 'mmcv-lite', 'mmdet', 'mmpretrain')

# Of setup.py, for the packages that only some uses need.
EXTRAS = {
    **dict.fromkeys(('nncf', 'onnx', 'onnxruntime', 'onnxscript', 'openvino'), 'export'),
    'faster_coco_eval': 'fast-eval',
}

INSTALL = """\
Install one of the two families, never both, after torch and torchvision:
  the maintained forks (tested with torch 2.11):
    pip install ninja packaging wheel 'setuptools>=80,<82'
    pip install --no-build-isolation 'mmscale[onedl]'
  OpenMMLab's upstream (tested with torch 2.1):
    pip install ninja packaging wheel 'setuptools<70'
    pip install --no-build-isolation 'mmscale[openmmlab]'
mmcv's operators are compiled against the installed torch, which takes minutes and a C++ compiler;
without --no-build-isolation pip leaves them out."""


def check_family() -> None:
    """Checks that mmengine is there and that only one family is installed.

    Raises:
        ImportError: If there is no mmengine at all.

    Warns:
        UserWarning: If distributions of both families are installed.
    """
    if util.find_spec('mmengine') is None:
        raise ImportError(f'mmscale needs mmengine, which is not installed.\n{INSTALL}')
    forks, upstream = installed(FORKS), installed(UPSTREAM)
    if forks and upstream:
        warnings.warn(
            f'two families of distributions are installed: {_listed(forks)} (the maintained forks) '
            f'and {_listed(upstream)} (upstream). They overwrite the files of each other, so that '
            f'a mixture of both runs. Remove them all and install one family again:\n'
            f'  pip uninstall -y {" ".join([*forks, *upstream])}\n{INSTALL}',
            stacklevel=2,
        )


def require(module: str) -> Any:
    """Imports a module of the family that is installed.

    Args:
        module (str): For example ``'mmdet'``; ``'mmcv.ops'`` asks for mmcv's compiled operators.

    Returns:
        module: The imported module.

    Raises:
        ImportError: If it is missing, with what to install for either family.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition('.')[0]
        if not error.name or error.name.partition('.')[0] != package:
            raise  # the module is there, something that it imports is not
        missing = 'not installed' if error.name == package else f'installed without {error.name}'
        raise ImportError(
            f'{module} is needed here, but {package} is {missing}.\n{INSTALL}'
        ) from error


def require_optional(module: str, what: str) -> Any:
    """Imports a module of a package that only some uses need.

    Args:
        module (str): For example ``'onnxruntime'``.
        what (str): That needs it, for the message.

    Returns:
        module: The imported module.

    Raises:
        UserError: If it is missing, with what to install.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition('.')[0]
        extra = EXTRAS.get(package)
        install = f"'mmscale[{extra}]'" if extra else package
        raise UserError(f'{what} needs {package} ({error}): pip install {install}') from error


def check_operators() -> None:
    """Checks that mmcv's operators run where torch would put the model.

    Raises:
        ImportError: If they are missing.
        UserError: If torch has a GPU and they were compiled for the CPU alone.
    """
    import torch

    compiled_for = require('mmcv.ops').get_compiling_cuda_version()
    if torch.cuda.is_available() and compiled_for == 'not available':
        raise UserError(
            "there is a GPU, but mmcv's operators were compiled for the CPU alone. Hide the GPU "
            '(CUDA_VISIBLE_DEVICES= before the command), or compile them again with a CUDA toolkit '
            f'(nvcc).\n{INSTALL}'
        )


def installed(names: Iterable[str]) -> dict[str, metadata.Distribution]:
    """Those of the distributions that are installed, by name."""
    found = {}
    for name in names:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.distribution(name)
    return found


def _listed(distributions):
    return ', '.join(f'{name} {found.version}' for name, found in distributions.items())
