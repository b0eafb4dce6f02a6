"""What a user gets: the wheel's contents, the pins, a cheap import."""

import re
import subprocess
import sys
import zipfile

import pytest
import yaml
from commands import ROOT
from wheels import FOLDERS, build_wheel

from mmscale import __version__


def python(*args, cwd=ROOT):
    return subprocess.run([sys.executable, *args], cwd=cwd, capture_output=True, text=True)


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    """Names in a wheel."""
    path = build_wheel(tmp_path_factory.mktemp('copy'))
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def test_wheel_has_one_package_and_no_leftovers(wheel):
    assert {name.split('/')[0] for name in wheel} == {'mmscale', f'mmscale-{__version__}.dist-info'}
    assert not [name for name in wheel if '__pycache__' in name or name.endswith('.pyc')]


@pytest.mark.parametrize('folder', FOLDERS)
def test_wheel_carries_the_folder(wheel, folder):
    files = [path for path in (ROOT / folder).rglob('*') if path.is_file()]
    wanted = {f'mmscale/.mim/{path.relative_to(ROOT)}' for path in files if path.suffix != '.pyc'}
    assert wanted
    assert {name for name in wheel if name.startswith(f'mmscale/.mim/{folder}/')} == wanted


def test_wheel_carries_the_model_index(wheel):
    assert 'mmscale/.mim/model-index.yml' in wheel


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / 'CITATION.cff').read_text())
    assert citation['version'] == __version__
    readme = (ROOT / 'README.md').read_text()
    assert len(citation['references']) == 3
    assert all(paper['url'] in readme for paper in citation['references'])


def test_one_python_range():
    setup = (ROOT / 'setup.py').read_text()
    major, minor = re.search(r"python_requires='>=(\d+)\.(\d+)'", setup).groups()
    tools = (ROOT / 'pyproject.toml').read_text()
    assert f"target-version = 'py{major}{minor}'" in tools
    assert f"python_version = '{major}.{minor}'" in tools


def test_constraints_pin_exactly_one_version_each():
    lines = (ROOT / 'constraints.txt').read_text().splitlines()
    pins = [line.split('==') for line in lines if line and not line.startswith('#')]
    assert all(len(pin) == 2 for pin in pins)
    names = [name for name, _ in pins]
    assert len(set(names)) == len(names)
    forks = {'onedl-mmcv', 'onedl-mmdetection', 'onedl-mmengine', 'onedl-mmpretrain'}
    assert forks | {'torch', 'torchvision', 'setuptools', 'ninja'} <= set(names)


def test_import_brings_nothing_heavy():
    heavy = {'cv2', 'mmcv.ops', 'mmdet', 'mmpretrain'}
    done = python('-c', f'import mmscale, sys; print({heavy} & set(sys.modules))')
    assert done.stdout == 'set()\n', done.stderr
