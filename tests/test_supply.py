"""What the package stands on: licences, bounds, the audit, the wheel's bytes and its parts."""

import hashlib
import importlib
import json
import os
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path

import pytest
from commands import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

SCRIPTS = ROOT / '.ci'


@pytest.fixture(autouse=True)
def _scripts(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPTS)


@pytest.fixture
def licences():
    return importlib.import_module('licences')


@pytest.fixture
def audit():
    return importlib.import_module('audit')


def pins_of(path):
    lines = path.read_text().splitlines()
    return dict(line.split('==') for line in lines if line and not line.startswith('#'))


@pytest.fixture
def pins():
    return pins_of(ROOT / 'constraints.txt')


def test_licences_name_every_dependency(licences, pins):
    listed = {name for name, *_ in licences.LINE.findall(licences.PAGE.read_text())}
    asked = {canonicalize_name(r.name) for group in licences.asked_for().values() for r in group}
    families = {'mmcv-lite', 'mmdet', 'mmengine', 'mmpretrain'}  # OpenMMLab's own, without pins
    assert {*pins} | asked - families <= listed


made_by_set_up = pytest.mark.skipif(
    Path(sys.prefix) != ROOT / '.venv', reason='this is not the environment that make setup makes'
)


@made_by_set_up
def test_licences_are_those_of_what_is_installed(licences):
    listed = {name: terms for name, terms, _ in licences.LINE.findall(licences.PAGE.read_text())}
    now = {name: terms for name, (terms, _) in licences.lines().items()}
    assert now == listed, 'make licences'


@pytest.mark.parametrize(
    ('metadata', 'name'),
    [
        ({'License-Expression': 'LicenseRef-Apache-2.0', 'License': 'MIT'}, 'Apache-2.0'),
        ({'License': '3-Clause BSD License'}, 'BSD-3-Clause'),
        ({'License': 'UNKNOWN', 'Classifier': ['License :: OSI Approved :: MIT License']}, 'MIT'),
        ({'License': 'Copyright\n Apache License\n Version 2.0'}, 'Apache-2.0'),
        ({'License': ''}, 'not stated in its metadata'),
    ],
)
def test_licence_as_metadata_state_it(licences, metadata, name):
    class Metadata(dict):
        get_all = dict.get

    package = type('Package', (), dict(metadata=Metadata(metadata), files=None))
    assert licences.licence(package) == name


def test_pins_are_within_what_setup_asks_for(licences, pins):
    asked = [requirement for group in licences.asked_for().values() for requirement in group]
    for requirement in asked:
        pin = pins.get(canonicalize_name(requirement.name))
        assert pin is None or pin in requirement.specifier, requirement


def test_pins_of_upstream_are_within_its_extras(licences, pins, monkeypatch):
    monkeypatch.setattr(licences, 'GROUPS', ('openmmlab', 'openmmlab-seg'))
    pins |= pins_of(SCRIPTS / 'upstream.txt')
    for requirement in [r for group in licences.asked_for().values() for r in group]:
        assert pins[canonicalize_name(requirement.name)] in requirement.specifier, requirement


@pytest.mark.parametrize(
    ('package', 'vulnerable'),
    [
        ('onnx', '1.21.0'),
        ('onnxruntime', '1.13.0'),
        ('pillow', '12.2.0'),
        ('numpy', '1.22.1'),
        ('scipy', '1.9.3'),
        ('opencv-python', '4.8.0.76'),
        ('opencv-python', '4.11.0.86'),
    ],
)
def test_versions_known_to_be_vulnerable_are_refused(licences, package, vulnerable):
    asked = [r for group in licences.asked_for().values() for r in group if r.name == package]
    assert asked
    assert not any(vulnerable in requirement.specifier for requirement in asked)


@made_by_set_up
def test_set_up_leaves_one_opencv():
    assert set(_found('opencv-python', 'opencv-python-headless')) == {'opencv-python-headless'}


def _found(*names):
    licences = importlib.import_module('licences')
    return [name for name in names if licences.installed(name)]


def build(out, **environment):
    """The sdist of the last commit, its wheel and its list of parts."""
    environment = dict(os.environ, **environment)
    umask = int(environment.pop('UMASK'), 8)
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / 'dist.py'), '--out', str(out)],
        cwd=out.parent,
        env=environment,
        umask=umask,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return [next(out.glob(pattern)) for pattern in ('*.tar.gz', '*.whl', '*.cdx.json')]


@pytest.fixture(scope='module')
def two_builds(tmp_path_factory):
    pytest.importorskip('cyclonedx')
    if not (ROOT / '.git').exists():
        pytest.skip('the wheel is that of a commit, and there is no repository')
    first = tmp_path_factory.mktemp('one') / 'dist'
    second = tmp_path_factory.mktemp('another_folder') / 'deeper/dist'
    second.parent.mkdir()
    return (
        build(first, UMASK='022', TZ='UTC', PYTHONHASHSEED='1', LC_ALL='C'),
        build(second, UMASK='077', TZ='Asia/Tokyo', PYTHONHASHSEED='2', LC_ALL='C.UTF-8'),
    )


def test_one_commit_gives_one_sdist_and_one_wheel(two_builds):
    for one, other in zip(*two_builds, strict=True):
        assert one.name == other.name
        assert one.read_bytes() == other.read_bytes()


def test_the_sdist_gives_the_wheel_of_the_checkout(two_builds, tmp_path):
    dist = importlib.import_module('dist')
    (sdist, wheel, _), _ = two_builds
    source = tmp_path / 'source'
    source.mkdir()
    dist.extract('HEAD', source)
    of_checkout = dist.build_wheel(source, tmp_path, dist.moment('HEAD'))
    assert of_checkout.read_bytes() == wheel.read_bytes()
    with tarfile.open(sdist) as archive:
        names = {name.partition('/')[2] for name in archive.getnames()}
    assert {'PKG-INFO', 'CHANGELOG.md', 'CITATION.cff', 'LICENSE', 'pyproject.toml'} <= names
    assert not [name for name in names if name.startswith(('tests', 'docs', '.ci', '.git'))]


def test_parts_are_the_wheel_and_what_it_asks_for(two_builds):
    (_, wheel, parts), _ = two_builds
    content = json.loads(parts.read_text())
    assert (content['bomFormat'], content['specVersion']) == ('CycloneDX', '1.6')
    itself = content['metadata']['component']
    (digest,) = itself['hashes']
    assert digest == {'alg': 'SHA-256', 'content': hashlib.sha256(wheel.read_bytes()).hexdigest()}
    names = {part['name']: part for part in content['components']}
    for name in ('torch', 'numpy', 'pillow', 'onnx', 'jinja2'):  # the last: by way of torch
        assert names[name]['version'] == version(name)
        assert names[name]['purl'] == f'pkg:pypi/{name}@{version(name)}'
        assert names[name]['licenses']
    assert not {'pytest', 'ruff', 'codespell'} & set(names)
    needs = {entry['ref']: entry.get('dependsOn', []) for entry in content['dependencies']}
    assert names['torch']['bom-ref'] in needs[itself['bom-ref']]
    assert names['jinja2']['bom-ref'] in needs[names['torch']['bom-ref']]


def test_closure_follows_extras_and_skips_what_is_absent(licences):
    found = licences.closure([Requirement('jinja2'), Requirement('not-there-at-all')])
    assert found == {'jinja2': {'markupsafe'}, 'markupsafe': set()}


CLEAN = dict(name='torch', version='2.11.0', vulns=[])
HIT = dict(
    name='pillow',
    version='9.0.0',
    vulns=[dict(id='PYSEC-1', aliases=['CVE-1'], fix_versions=['9.1'])],
)
SKIPPED = dict(name='onnx', skip_reason='Dependency not found')


@pytest.mark.parametrize(
    ('packages', 'status', 'said'),
    [
        ([CLEAN], 0, 'audit: 1 of 1 pins were looked up\n'),
        ([CLEAN, SKIPPED], 3, '1 of 2 pins were looked up; the index has no such data on onnx\n'),
        ([HIT, SKIPPED], 1, 'pillow 9.0.0: PYSEC-1, CVE-1; mended in 9.1\n'),
    ],
)
def test_audit_says_what_it_looked_up(audit, capsys, packages, status, said):
    assert audit.report(packages) == status
    assert said in capsys.readouterr().out


@pytest.mark.parametrize(
    'script',
    ['echo gone; exit 1', 'echo gone; exit 2', 'echo gone >&2; exit 1'],
    ids=['one', 'two', 'in the errors'],
)
def test_audit_without_an_answer_is_one_line(audit, monkeypatch, tmp_path, capsys, script):
    program = tmp_path / 'bin/pip-audit'
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\n{script}\n')
    program.chmod(0o755)
    monkeypatch.setattr(audit, 'HOME', tmp_path)
    assert audit.main([]) == 3
    said = capsys.readouterr().out
    assert said.count('\n') == 1
    assert said.startswith('audit: no pin was looked up: ')
    assert said.endswith('gone\n')


def test_audit_does_not_wait_for_ever(audit, monkeypatch, tmp_path, capsys):
    program = tmp_path / 'bin/pip-audit'
    program.parent.mkdir()
    program.write_text('#!/bin/sh\nexec sleep 60\n')
    program.chmod(0o755)
    monkeypatch.setattr(audit, 'HOME', tmp_path)
    monkeypatch.setattr(audit, 'PATIENCE', 0.2)
    assert audit.main([]) == 3
    assert 'no answer' in capsys.readouterr().out


def test_audit_asks_about_these_pins(audit, monkeypatch, tmp_path, capsys):
    program = tmp_path / 'bin/pip-audit'
    program.parent.mkdir()
    program.write_text(
        '#!/bin/sh\n'
        'while [ $# -gt 1 ]; do\n'
        '  [ "$1" = --requirement ] && pins=$2\n'
        '  [ "$1" = --output ] && out=$2\n'
        '  [ "$1" = --vulnerability-service ] && service=$2\n'
        '  shift\n'
        'done\n'
        'count=$(grep -c == "$pins")\n'
        'echo "{\\"dependencies\\": [{\\"name\\": \\"$service\\", \\"version\\": \\"$count\\",'
        ' \\"vulns\\": [{\\"id\\": \\"X\\"}]}]}" > "$out"\n'
        'exit 1\n'
    )
    program.chmod(0o755)
    monkeypatch.setattr(audit, 'HOME', tmp_path)
    assert audit.main(['osv']) == 1
    count = (ROOT / 'constraints.txt').read_text().count('==')
    assert f'osv {count}: X; mended in no release' in capsys.readouterr().out
