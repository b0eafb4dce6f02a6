"""mmcv's compiled extension beside the stand-in, in one process."""

import sys
import sysconfig
import zipfile
from importlib import util
from importlib.machinery import PathFinder
from pathlib import Path

import mmcv

ROOT = Path(__file__).parents[2]
WHEELS = ROOT.parent / 'shared/wheels'
SUFFIX = sysconfig.get_config_var('EXT_SUFFIX')


def load(folder):
    """The compiled ``mmcv._ext`` under a name of its own, or None where there is none.

    Args:
        folder (Path): Where it is put if it comes from a wheel beside the checkout.
    """
    spec = PathFinder.find_spec('_ext', mmcv.__path__)
    path = spec.origin if spec else _from_wheel(folder)
    if path is None:
        return None
    spec = util.spec_from_file_location('compiled._ext', path)
    module = util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _from_wheel(folder):
    python = f'cp{sys.version_info.major}{sys.version_info.minor}'
    for wheel in WHEELS.glob(f'*mmcv-{mmcv.__version__}-{python}-*.whl'):
        with zipfile.ZipFile(wheel) as content:
            return content.extract(f'mmcv/_ext{SUFFIX}', folder)
    return None
