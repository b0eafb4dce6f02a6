"""What a user gets: the wheel's contents and metadata, the pins, a cheap import."""

import os
import re
import subprocess
import sys
import zipfile
from importlib.metadata import PathDistribution

import pytest
import yaml
from commands import ROOT
from wheels import FOLDERS, build_wheel

from mmscale import __version__

# The example of a config in pure Python.
CHILD = re.search(
    r'```python\n(from mmengine.config import read_base\n.*?)```',
    (ROOT / 'docs/any_config.md').read_text(encoding='utf-8'),
    re.DOTALL,
)[1]
ADDRESS = 'https://example.org/mmscale'


def python(*args, cwd=ROOT, **environment):
    env = {**os.environ, **environment}
    return subprocess.run([sys.executable, *args], cwd=cwd, env=env, capture_output=True, text=True)


@pytest.fixture(scope='module')
def site(tmp_path_factory):
    """A folder with what is in a wheel of a checkout that has a public address."""
    folder = tmp_path_factory.mktemp('site')
    path = build_wheel(tmp_path_factory.mktemp('copy'), f'repository-code: {ADDRESS}\n')
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture(scope='module')
def wheel(site):
    """The names in the wheel."""
    return [path.relative_to(site).as_posix() for path in site.rglob('*') if path.is_file()]


@pytest.fixture(scope='module')
def metadata(site):
    return PathDistribution(site / f'mmscale-{__version__}.dist-info').metadata


def test_wheel_has_one_package_and_no_leftovers(wheel):
    assert {name.split('/')[0] for name in wheel} == {'mmscale', f'mmscale-{__version__}.dist-info'}
    assert not [name for name in wheel if '__pycache__' in name or name.endswith('.pyc')]


@pytest.mark.parametrize('folder', FOLDERS)
def test_wheel_carries_the_folder(wheel, folder):
    files = [path for path in (ROOT / folder).rglob('*') if path.is_file()]
    wanted = {f'mmscale/.mim/{path.relative_to(ROOT)}' for path in files if path.suffix != '.pyc'}
    assert wanted
    assert {name for name in wheel if name.startswith(f'mmscale/.mim/{folder}/')} == wanted


def test_wheel_carries_the_configs_in_pure_python(wheel):
    files = [*(ROOT / 'mmscale/configs').rglob('*.py')]
    assert {path.relative_to(ROOT).as_posix() for path in files} <= {*wheel}
    assert len(files) > 4


def test_a_child_of_the_wheels_configs_is_read_by_mmengine_alone(site, tmp_path):
    (tmp_path / 'child.py').write_text(CHILD)
    read = "from mmengine.config import Config; print(Config.fromfile('child.py').model.neck)"
    done = python('-c', read, cwd=tmp_path, PYTHONPATH=str(site))
    assert "'in_channels': [50, 79, 167, 240]" in done.stdout, done.stderr


def test_wheel_carries_the_model_index(wheel):
    assert 'mmscale/.mim/model-index.yml' in wheel
    sources = {path.name for path in (ROOT / 'mmscale/deploy/native').glob('*.[ch]*')}
    assert {f'mmscale/deploy/native/{name}' for name in sources} <= set(wheel)
    assert {'vectors.h', 'norms.cpp'} < sources


def test_metadata_say_what_an_index_shows(metadata):
    assert metadata['Description-Content-Type'] == 'text/markdown'
    assert metadata['Requires-Python'] == '>=3.10'
    assert metadata['License-File'] == 'LICENSE'
    assert f'Source, {ADDRESS}' in metadata.get_all('Project-URL')
    for key in ('Summary', 'Author', 'License', 'Keywords'):
        assert metadata[key]


def test_links_of_the_long_description_lead_to_the_tags_files(metadata):
    links = re.findall(r'(!?)\[[^\]]*\]\(([^)]*)\)', metadata.get_payload())
    assert len(links) >= 20
    for picture, link in links:
        kind = 'raw' if picture else 'blob'
        start = f'{ADDRESS}/{kind}/v{__version__}/'
        foreign = link.startswith('https:') and not link.startswith(ADDRESS)
        assert foreign or (ROOT / link.removeprefix(start)).exists(), link


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / 'CITATION.cff').read_text())
    assert citation['version'] == __version__
    readme = (ROOT / 'README.md').read_text()
    assert len(citation['references']) == 3
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text())
    assert {entry['Paper'] for entry in index['Collections']} == {
        paper['url'] for paper in citation['references']
    }
    assert all(paper['url'] in readme for paper in citation['references'])


def test_the_changelog_has_this_version_and_its_day():
    day = yaml.safe_load((ROOT / 'CITATION.cff').read_text())['date-released']
    assert f'\n## [{__version__}] - {day}\n' in (ROOT / 'CHANGELOG.md').read_text()


def test_one_python_range(metadata):
    setup = (ROOT / 'setup.py').read_text()
    major, minor = re.search(r"python_requires='>=(\d+)\.(\d+)'", setup).groups()
    tools = (ROOT / 'pyproject.toml').read_text()
    assert f"target-version = 'py{major}{minor}'" in tools
    assert f"python_version = '{major}.{minor}'" in tools
    newest = re.search(r'VENV=\.venv NEWEST=(\d+)', (ROOT / '.ci/setup_env.sh').read_text())[1]
    classifiers = metadata.get_all('Classifier')
    versions = [line.rpartition(' ')[2] for line in classifiers if ' Python :: 3.' in line]
    assert versions == [f'{major}.{n}' for n in range(int(minor), int(newest) + 1)]


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
