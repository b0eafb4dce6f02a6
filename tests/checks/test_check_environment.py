"""What is wrong with a machine is named: each fact is faked, the rest is that of the tests."""

import shutil
from collections import namedtuple
from types import SimpleNamespace

import pytest
import torch

from mmscale.checks import environment
from mmscale.checks.environment import find_in_environment
from mmscale.checks.findings import FAULT, NOTE
from mmscale.errors import UserError

Usage = namedtuple('Usage', 'total used free')


@pytest.fixture(autouse=True)
def sound(monkeypatch, tmp_path):
    """A machine on which nothing is to be said."""
    monkeypatch.setattr(environment, 'installed', lambda names: {})
    monkeypatch.setattr(environment, 'import_module', lambda name: versions('99.0'))
    monkeypatch.setattr(environment, 'check_operators', lambda: None)
    monkeypatch.setattr(environment, 'GPU', tmp_path / 'nvidia0')
    monkeypatch.setattr(environment, 'SHARED', tmp_path)
    monkeypatch.setattr(shutil, 'disk_usage', lambda path: Usage(2**33, 0, 2**33))
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    for name in environment.CACHES:
        monkeypatch.setenv(name, str(tmp_path / name))


def versions(given):
    return SimpleNamespace(__version__=given)


def only(detects=True):
    (finding,) = find_in_environment(detects=detects)
    return finding


def raising(error):
    def fail(*args):
        raise error

    return fail


@pytest.mark.parametrize('detects', [True, False])
def test_a_sound_machine_has_none(detects):
    assert list(find_in_environment(detects=detects)) == []


def test_families_that_are_mixed(monkeypatch):
    there = ('onedl-mmcv', 'mmcv', 'mmdet')
    monkeypatch.setattr(
        environment, 'installed', lambda names: dict.fromkeys(n for n in names if n in there)
    )
    found = only()
    assert (found.severity, found.kind) == (FAULT, 'families-mixed')
    assert 'pip uninstall -y onedl-mmcv mmcv mmdet' in found.remedy


@pytest.mark.parametrize('there', [('onedl-mmcv', 'onedl-mmdetection'), ('mmcv', 'mmdet')])
def test_one_family_is_none(monkeypatch, there):
    monkeypatch.setattr(
        environment, 'installed', lambda names: dict.fromkeys(n for n in names if n in there)
    )
    assert list(find_in_environment(detects=True)) == []


@pytest.mark.parametrize(
    ('package', 'given'),
    [('mmengine', '0.9.1'), ('mmdet', '2.28.2'), ('mmpretrain', '0.25'), ('mmdet', '2.28.2rc1')],
)
def test_versions_that_are_too_old(monkeypatch, package, given):
    def imported(name):
        return versions(given if name == package else '99.0')

    monkeypatch.setattr(environment, 'import_module', imported)
    found = only()
    assert (found.severity, found.kind) == (FAULT, 'versions')
    assert f'{package} {given} is older than' in str(found)
    assert 'pip install' in found.remedy


@pytest.mark.parametrize('given', ['0.10', '0.10.0', '0.10.7rc4', '1.0'])
def test_versions_that_are_new_enough(monkeypatch, given):
    monkeypatch.setattr(
        environment, 'import_module', lambda name: versions(given if 'engine' in name else '9.0')
    )
    assert list(find_in_environment(detects=True)) == []


def test_packages_that_cannot_be_imported(monkeypatch):
    def imported(name):
        if name == 'mmdet':
            raise AssertionError('MMCV==9.9 is used but incompatible')
        if name == 'mmpretrain':  # not there: nothing is said of what is not needed
            raise ImportError(name)
        return versions('99.0')

    monkeypatch.setattr(environment, 'import_module', imported)
    found = only()
    assert found.kind == 'versions'
    assert 'mmdet cannot be imported: MMCV==9.9' in str(found)


def test_both_opencvs(monkeypatch):
    def both(names):
        return dict.fromkeys(n for n in names if 'opencv' in n)

    monkeypatch.setattr(environment, 'installed', both)
    found = only()
    assert (found.severity, found.kind) == (NOTE, 'opencv-twice')


@pytest.mark.parametrize('error', [UserError('no nms'), ImportError('no nms'), OSError('no nms')])
def test_operators_that_do_not_run(monkeypatch, error):
    monkeypatch.setattr(environment, 'check_operators', raising(error))
    found = only()
    assert (found.severity, found.kind, found.text) == (FAULT, 'operators', 'no nms')
    assert list(find_in_environment(detects=False)) == []  # a classifier needs none


@pytest.mark.parametrize('detects', [True, False])
def test_a_gpu_that_torch_does_not_use(monkeypatch, detects):
    environment.GPU.touch()
    found = only(detects)
    assert (found.severity, found.kind) == (NOTE, 'gpu-unused')
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    assert list(find_in_environment(detects=detects)) == []


def test_little_shared_memory(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, 'disk_usage', lambda path: Usage(2**26, 0, 2**26))
    found = only()
    assert (found.severity, found.kind) == (NOTE, 'shared-memory')
    assert '64 MiB' in str(found)
    assert '--shm-size' in str(found)
    monkeypatch.setattr(environment, 'SHARED', tmp_path / 'none')  # as on macOS
    assert list(find_in_environment(detects=True)) == []


@pytest.mark.parametrize('name', environment.CACHES)
@pytest.mark.parametrize('there', [True, False])
def test_a_cache_that_cannot_be_written(monkeypatch, tmp_path, name, there):
    folder = tmp_path / 'closed' / 'cache'
    folder.mkdir(parents=True)
    given = folder if there else folder / 'not' / 'yet'
    monkeypatch.setenv(name, str(given))
    writable = environment.os.access
    monkeypatch.setattr(
        environment.os, 'access', lambda path, mode: path != folder and writable(path, mode)
    )
    found = only()
    assert (found.severity, found.kind) == (NOTE, 'cache-unwritable')
    assert str(given) in str(found)
    assert f'{name}=FOLDER' in str(found)
