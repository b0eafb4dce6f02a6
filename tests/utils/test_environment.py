"""Which family is installed: every combination of distributions, without installing any."""

import importlib
import warnings
from importlib import metadata, util
from types import SimpleNamespace

import pytest

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


@pytest.mark.parametrize(
    ('gpu', 'compiled_for', 'fits'),
    [(False, 'not available', True), (True, '12.8', True), (True, 'not available', False)],
)
def test_operators_for_the_cpu_on_a_machine_with_a_gpu(monkeypatch, gpu, compiled_for, fits):
    monkeypatch.setattr('torch.cuda.is_available', lambda: gpu)
    monkeypatch.setattr('mmcv.ops.get_compiling_cuda_version', lambda: compiled_for)
    if fits:
        environment.check_operators()
    else:
        with pytest.raises(UserError, match='CUDA_VISIBLE_DEVICES='):
            environment.check_operators()
