"""The examples in docstrings say what comes out."""

import doctest
from importlib import import_module

import pytest
from commands import ROOT

MODULES = sorted(
    '.'.join(path.relative_to(ROOT).with_suffix('').parts).removesuffix('.__init__')
    for path in (ROOT / 'mmscale').rglob('*.py')
    if '.mim' not in path.parts and '>>> ' in path.read_text(encoding='utf-8')
)


def test_there_are_examples():
    assert len(MODULES) >= 4


@pytest.mark.parametrize('module', MODULES)
def test_examples_say_what_comes_out(module):
    found = doctest.testmod(import_module(module))
    assert found.attempted
    assert not found.failed
