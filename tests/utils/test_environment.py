"""Which family is installed: every combination of distributions, without installing any."""

import importlib
import subprocess
import sys
import warnings
from importlib import metadata, util
from types import SimpleNamespace

import pytest
import torch

from mmscale.errors import UserError
from mmscale.utils import environment

FORKS = {'onedl-mmengine': '0.10.12', 'onedl-mmcv': '2.3.6', 'onedl-mmdetection': '3.5.1'}
UPSTREAM = {'mmengine': '0.10.7', 'mmcv': '2.1.0', 'mmdet': '3.3.0'}


@pytest.fixture
def installed(monkeypatch):
    """Pretends that exactly these distributions are installed: a dict to fill."""
    versions = {}

    def distribution(name):
        if name not in versions:
            raise metadata.PackageNotFoundError(name)
        return SimpleNamespace(version=versions[name])

    monkeypatch.setattr(metadata, 'distribution', distribution)
    return versions


@pytest.mark.parametrize('family', [FORKS, UPSTREAM, {'mmengine-lite': '0.10.7'}, {}])
def test_one_family_is_fine(installed, family):
    installed.update(family)  # none at all: mmengine from a checkout on the path
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        environment.check_family()


@pytest.mark.parametrize(
    ('family', 'intruder'),
    [
        (FORKS, {'mmcv': '2.1.0'}),
        (FORKS, {'mmcv-lite': '2.1.0', 'mmpretrain': '1.2.0'}),
        (UPSTREAM, {'onedl-mmengine': '0.10.12'}),
    ],
)
def test_a_mixture_names_what_clashes_and_the_remedy(installed, family, intruder):
    installed.update(family | intruder)
    with pytest.warns(UserWarning, match='two families') as caught:
        environment.check_family()
    message = str(caught[0].message)
    uninstall = next(line for line in message.splitlines() if 'uninstall' in line)
    assert set(uninstall.split()[3:]) == {*family, *intruder}
    assert all(f'{name} {version}' in message for name, version in installed.items())
    assert '--no-build-isolation' in message


def test_no_family_says_how_to_install_either(monkeypatch):
    monkeypatch.setattr(util, 'find_spec', lambda name: None)
    with pytest.raises(ImportError, match='needs mmengine') as caught:
        environment.check_family()
    assert 'mmscale[onedl]' in str(caught.value)
    assert 'mmscale[openmmlab]' in str(caught.value)


def test_the_package_says_so_too_before_it_imports_mmengine():
    code = (
        'import sys\n'
        'from importlib import util\n'
        'found = util.find_spec\n'
        "util.find_spec = lambda name, *more: None if name == 'mmengine' else found(name, *more)\n"
        "sys.modules['mmengine'] = None\n"
        'import mmscale\n'
    )
    child = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert child.returncode == 1
    assert 'ImportError: mmscale needs mmengine, which is not installed.' in child.stderr


def test_require_returns_the_module():
    assert environment.require('importlib.util') is util


@pytest.mark.parametrize(
    ('module', 'missing', 'message'),
    [
        ('mmdet', 'mmdet', 'mmdet is needed here, but mmdet is not installed'),
        ('mmcv.ops', 'mmcv', 'mmcv.ops is needed here, but mmcv is not installed'),
        ('mmcv.ops', 'mmcv._ext', 'mmcv is installed without mmcv._ext'),
    ],
)
def test_require_says_what_to_install(monkeypatch, module, missing, message):
    def import_module(name):
        raise ModuleNotFoundError(f'No module named {missing!r}', name=missing)

    monkeypatch.setattr(importlib, 'import_module', import_module)
    with pytest.raises(ImportError, match=message) as caught:
        environment.require(module)
    assert 'mmscale[onedl]' in str(caught.value)


def test_require_hides_no_other_fault(monkeypatch):
    def import_module(name):
        raise ModuleNotFoundError("No module named 'shapely'", name='shapely')

    monkeypatch.setattr(importlib, 'import_module', import_module)
    with pytest.raises(ModuleNotFoundError, match='shapely'):
        environment.require('mmdet')


def test_operators_that_run():
    environment.check_operators()


@pytest.mark.parametrize(
    ('result', 'words'),
    [
        (RuntimeError('nms_impl: implementation for device cuda:0 not found.'), 'cuda:0 not found'),
        (ImportError('_ext.so: undefined symbol: _ZN3c105'), 'undefined symbol'),
        ([0, 1, 2], r'\[0, 1, 2\] instead of'),
    ],
)
def test_operators_that_do_not_run_name_the_cure(monkeypatch, result, words):
    def nms(boxes, scores, iou_threshold):
        if isinstance(result, Exception):
            raise result
        return boxes, torch.tensor(result)

    monkeypatch.setattr('mmcv.ops.nms', nms)
    with pytest.raises(UserError, match=words) as caught:
        environment.check_operators()
    assert 'MMSCALE_OPERATORS=torchvision' in str(caught.value)
    assert '--no-build-isolation' in str(caught.value)


def test_operators_that_are_missing(monkeypatch):
    def import_module(name):
        raise ModuleNotFoundError("No module named 'mmcv._ext'", name='mmcv._ext')

    monkeypatch.setattr(importlib, 'import_module', import_module)
    with pytest.raises(ImportError, match='without mmcv._ext'):
        environment.check_operators()
