"""The command `mmscale`: what it lists, runs and refuses."""

import sys

import pytest
from commands import ROOT

from mmscale import __version__, cli


@pytest.mark.parametrize('args', [[], ['--help']])
def test_command_lists_the_tools(capsys, args):
    assert cli.main(args) == 0
    printed = capsys.readouterr().out
    for path in (ROOT / 'tools').glob('[!_]*.py'):
        assert f'  {path.stem.replace("_", "-")} ' in printed


def test_command_prints_the_version(capsys):
    assert cli.main(['--version']) == 0
    assert capsys.readouterr().out == f'mmscale {__version__}\n'


@pytest.mark.parametrize(
    ('name', 'hint'), [('make-shape', 'did you mean make-shapes?'), ('zzz', 'see mmscale --help')]
)
def test_command_refuses_what_it_does_not_know(capsys, name, hint):
    assert cli.main([name]) == 2
    assert capsys.readouterr().err == f"mmscale: unknown command '{name}'; {hint}\n"


@pytest.mark.parametrize('name', ['make-shapes', 'make_shapes'])
def test_command_runs_the_tool(monkeypatch, capsys, name):
    monkeypatch.setattr(sys, 'argv', ['mmscale'])
    with pytest.raises(SystemExit) as ended:
        cli.main([name, '--help'])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith('usage: mmscale make-shapes ')
