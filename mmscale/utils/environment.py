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

from mmscale.errors import UserError, first_line

FORKS = (
    'onedl-mmengine', 'onedl-mmcv', 'onedl-mmdetection', 'onedl-mmpretrain', 'onedl-mmsegmentation'
)  # fmt: skip
UPSTREAM = (
    'mmengine', 'mmengine-lite', 'mmcv', 'mmcv-lite', 'mmdet', 'mmpretrain', 'mmsegmentation'
)  # fmt: skip

# Of setup.py, for the packages that only some uses need.
EXTRAS = {
    **dict.fromkeys(('nncf', 'onnx', 'onnxruntime', 'onnxscript', 'openvino'), 'export'),
    'hotcoco': 'fast-eval',
    'shtab': 'completion',
    'supervision': 'supervision',
    'vl_convert': 'report',
}
# Of the families, that one which not everyone needs.
MMSEG = "pip install 'mmscale[onedl-seg]' (upstream: 'mmscale[openmmlab-seg]')"

# How mmcv's own operators are compiled, for either family.
COMPILE = """\
    pip install ninja packaging wheel 'setuptools>=80,<82'      (upstream: 'setuptools<70')
    pip install --no-build-isolation --no-cache-dir --no-deps --force-reinstall onedl-mmcv
    (upstream: pip uninstall -y mmcv-lite, and mmcv==2.1.0 instead of onedl-mmcv)"""

INSTALL = f"""\
Install one of the two families, never both, after torch and torchvision:
  the maintained forks (tested with torch 2.11):
    pip install 'mmscale[onedl]'
  OpenMMLab's upstream (tested with torch 2.1):
    pip install 'mmscale[openmmlab]'
Nothing is compiled then: torchvision's operators stand in for mmcv's. To have mmcv's own, which
takes minutes, a C++ compiler and, for GPUs, a CUDA toolkit of torch's version:
{COMPILE}"""


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
        module (str): For example ``'mmdet'``; ``'mmcv.ops'`` asks for mmcv's operators.

    Returns:
        module: The imported module.

    Raises:
        ImportError: If it is missing, with what to install for either family.
        UserError: If it is mmseg, which only segmentation needs.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition('.')[0]
        if not error.name or error.name.partition('.')[0] != package:
            raise  # the module is there, something that it imports is not
        missing = 'not installed' if error.name == package else f'installed without {error.name}'
        if package == 'mmseg':
            raise UserError(
                f'segmentation needs {module}, but mmseg is {missing}: {MMSEG}'
            ) from error
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
    """Checks that mmcv's operators run where torch would put the model, by running one.

    An extension that was compiled for the CPU alone, or for another torch, is found only so.

    Raises:
        ImportError: If there is no mmcv, or it has no operators.
        UserError: If they do not run, with what to do.
    """
    import torch
    from mmengine.device import get_device

    device = get_device()
    try:
        nms = require('mmcv.ops').nms
        boxes = torch.tensor([[0.0, 0, 2, 2], [0, 0, 2, 1.9], [5, 5, 6, 6]], device=device)
        kept = nms(boxes, boxes.new_tensor([0.8, 0.9, 0.7]), 0.5)[1].tolist()
        fault = None if kept == [1, 2] else f'{kept} instead of [1, 2]'
    except Exception as error:  # an extension for another torch fails in many ways
        if isinstance(error.__cause__, ModuleNotFoundError):
            raise  # by `require`
        fault = first_line(error)
    if fault:
        raise UserError(
            f"mmcv's operators do not run on {device}: non-maximum suppression gave {fault}. They "
            'were probably compiled for another torch, or for the CPU alone. MMSCALE_OPERATORS='
            "torchvision before the command takes torchvision's instead; or compile them again:\n"
            f'{COMPILE}'
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
