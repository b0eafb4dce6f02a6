"""CONTRIBUTING's "Adding a backbone" is followed to the letter, and the new family passes."""

import os
import re
import shutil
import subprocess
import sys
from textwrap import dedent, indent
from typing import NamedTuple

import pytest
from commands import ROOT

COPIED = (
    'mmscale', 'configs', 'structures', 'tools', 'tests', '.ci', 'README.md', 'setup.py',
    'pyproject.toml', 'model-index.yml',
)  # fmt: skip
NAME = 'ToyNet'


class Step(NamedTuple):
    """A numbered step: the first file that it names, the code that it shows, and its words."""

    place: str
    code: str
    text: str


def steps():
    """The steps of CONTRIBUTING's section on backbones."""
    text = (ROOT / 'CONTRIBUTING.md').read_text(encoding='utf-8')
    section = text.partition('## Adding a backbone\n')[2].partition('\n## ')[0]
    found = []
    for step in re.split(r'^\d+\. ', section, flags=re.MULTILINE)[1:]:
        words = re.sub(r'^ *```.*?^ *```$', '', step, flags=re.MULTILINE | re.DOTALL)
        code = re.search(r'^ *```\w*\n(.*?)^ *```$', step, re.MULTILINE | re.DOTALL)
        place = re.search(r'`([\w./-]*(?:/|\.yml|\.py))`', words)
        assert place, f'no file is named in: {step}'
        found.append(Step(place[1], dedent(code[1]) if code else '', words))
    return found


def change(path, *pairs):
    """Replace each text, which has to be there once, by another."""
    text = path.read_text(encoding='utf-8')
    for old, new in pairs:
        assert text.count(old) == 1, f'{old!r} stands {text.count(old)} times in {path}'
        text = text.replace(old, new)
    path.write_text(text, encoding='utf-8')


def follow(step, root):
    """Do in a copy of the repository what a step says."""
    path = root / step.place
    if step.place == 'mmscale/models/__init__.py':
        anchor = 'from mmscale.registry'
        change(path, ('__all__ = [', f"__all__ = ['{NAME}', "), (anchor, f'{step.code}{anchor}'))
    elif step.place == 'mmscale/families.py':
        last = re.search(r'^BACKBONES = \(.*(?=\)$)', path.read_text(encoding='utf-8'), re.M)[0]
        change(path, (last, f"{last}, '{NAME}'"))
    elif step.place == '.ci/zoo.yml':
        anchor = '\n# Weights that have to be fetched'
        change(path, (anchor, indent(step.code, '  ') + anchor))
    else:
        assert not path.exists(), f'what is to be done to {step.place}?'
        path.parent.mkdir(exist_ok=True)
        path.write_text(step.code, encoding='utf-8')


def contents(root):
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob('*')
        if path.is_file() and '__pycache__' not in path.parts and '.mim' not in path.parts
    }


@pytest.fixture(scope='module')
def copy(tmp_path_factory):
    """A copy of the repository in which the steps were followed, and the files that changed."""
    root = tmp_path_factory.mktemp('contributing')
    for name in COPIED:
        if (ROOT / name).is_dir():
            unwanted = shutil.ignore_patterns('__pycache__')
            shutil.copytree(ROOT / name, root / name, symlinks=True, ignore=unwanted)
        else:
            shutil.copy(ROOT / name, root)
    before = contents(root)
    for step in steps():
        if not is_optional(step):
            follow(step, root)
    after = contents(root)
    return root, sorted(name for name in after if after[name] != before.get(name))


def is_optional(step):
    """Whether a step is for some backbones only: "Where weights were published, ..."."""
    return step.text.startswith('Where ')


def test_at_most_six_places_are_touched_and_all_of_them_are_named(copy):
    _, touched = copy
    named = [step.place for step in steps()]
    assert len(set(named)) == len(named) <= 6
    assert touched == sorted(step.place for step in steps() if not is_optional(step))


def test_every_file_that_is_not_new_exists():
    for step in steps():
        assert (ROOT / step.place).exists() or NAME.lower() in step.place


def test_the_new_family_passes(copy):
    root, _ = copy
    tests = ['tests/models/test_backbones.py', 'tests/test_families.py', 'tests/test_mmdet.py']
    chosen = f'{NAME} or the_list_is'
    command = ['-m', 'pytest', '-q', '-p', 'no:cacheprovider', '-k', chosen, *tests]
    done = subprocess.run(
        [sys.executable, *command],
        cwd=root,
        env={**os.environ, 'PYTHONPATH': str(root)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-3000:]
    # The contract, registration, and the config as it is read and built.
    assert int(re.search(r'(\d+) passed', done.stdout)[1]) >= 50, done.stdout
