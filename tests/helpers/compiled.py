"""mmcv's compiled extension beside the stand-in, in one process."""

import contextlib
import sys
import sysconfig
import zipfile
from importlib import util
from importlib.machinery import PathFinder
from pathlib import Path

import mmcv
import mmcv.ops
import torch

WHEELS = Path(__file__).parents[3] / 'shared/wheels'
SUFFIX = sysconfig.get_config_var('EXT_SUFFIX')


def installed():
    """Where mmcv has its compiled extension, or None."""
    spec = PathFinder.find_spec('_ext', mmcv.__path__)
    return spec and spec.origin


def load(folder):
    """The compiled ``mmcv._ext`` under a name of its own, or None where there is none.

    Args:
        folder (Path): Where it is put if it comes from a wheel beside the checkout.
    """
    path = installed() or _from_wheel(folder)
    if path is None:
        return None
    spec = util.spec_from_file_location('compiled._ext', path)
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _from_wheel(folder):
    python = f'cp{sys.version_info.major}{sys.version_info.minor}'
    for wheel in WHEELS.glob(f'*mmcv-{mmcv.__version__}-{python}-*.whl'):
        with zipfile.ZipFile(wheel) as content:
            return content.extract(f'mmcv/_ext{SUFFIX}', folder)
    return None


@contextlib.contextmanager
def through(extension):
    """mmcv's layers and functions call this extension."""
    modules = [
        module
        for name, module in sys.modules.items()
        if name.startswith('mmcv.ops.') and hasattr(module, 'ext_module')
    ]
    before = [module.ext_module for module in modules]
    for module in modules:
        module.ext_module = extension
    try:
        yield
    finally:
        for module, own in zip(modules, before):
            module.ext_module = own


def train(model, batches, lr, **options):
    """Train a detector by SGD, a step for each batch of mmdet's demo inputs; the losses of each."""
    optimizer = torch.optim.SGD(model.parameters(), lr, **options)
    losses = []
    model.train()
    for batch in batches:
        data = model.data_preprocessor(batch, True)
        loss, logged = model.parse_losses(model(**data, mode='loss'))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append({name: float(value) for name, value in logged.items()})
    model.eval()
    return losses
