"""The command `mmscale`: what it lists, runs and refuses."""

import sys
from importlib import import_module
from inspect import signature

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
    ('name', 'hint'),
    [('make-shape', 'did you mean make-shapes or make-semantic?'), ('zzz', 'see mmscale --help')],
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


# Commands and their doors

DOORS = sorted((ROOT / 'tools').glob('*.py'))


def module_of(command):
    return f'mmscale.cli.{command.replace("-", "_")}'


@pytest.mark.parametrize('command', cli.COMMANDS)
def test_every_command_is_a_module_with_a_main(command):
    main = import_module(module_of(command)).main
    assert list(signature(main).parameters) == ['argv']
    assert cli.COMMANDS[command].endswith('.')


@pytest.mark.parametrize('command', cli.COMMANDS)
def test_every_command_has_a_door(command):
    text = (ROOT / f'tools/{command.replace("-", "_")}.py').read_text()
    code = [line for line in text.splitlines() if line.strip()]
    assert len(code) <= 5
    assert code[0] == f'from {module_of(command)} import main'
    assert code[-1].strip().endswith('main()')


def test_no_door_leads_elsewhere():
    assert [path.stem.replace('_', '-') for path in DOORS] == sorted(cli.COMMANDS)


@pytest.mark.parametrize('command', cli.COMMANDS)
def test_every_command_says_how_it_is_used(command, monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', ['mmscale'])
    with pytest.raises(SystemExit) as ended:
        cli.main([command, '--help'])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f'usage: mmscale {command} ')
