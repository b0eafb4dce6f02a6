"""The command `mmscale`: what it lists, runs and refuses."""

import os
import shlex
import shutil
import subprocess
import sys
from importlib import import_module
from inspect import signature

import pytest
from commands import ROOT, tool

from mmscale import __version__, cli
from mmscale.cli import launch
from mmscale.cli.completion import script
from mmscale.cli.examples import EXAMPLES
from mmscale.errors import UserError


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


# Finding one's way


@pytest.mark.parametrize('command', cli.COMMANDS)
def test_examples_are_read_by_the_commands_own_parser(command):
    parser = import_module(module_of(command)).build_parser()
    assert EXAMPLES[command]
    for example in EXAMPLES[command]:
        words = shlex.split(example.partition(' > ')[0])
        assert words[:2] == ['mmscale', command]
        parser.parse_args(words[2:])


def test_help_ends_with_the_examples(monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', ['mmscale'])
    with pytest.raises(SystemExit):
        cli.main(['train', '--help'])
    shown = capsys.readouterr().out.rstrip().splitlines()
    assert [line.strip() for line in shown[-len(EXAMPLES['train']) :]] == list(EXAMPLES['train'])


@pytest.mark.parametrize(
    ('arguments', 'meant'),
    [
        (['train', 'x', '--workdir', 'y'], '--work-dir'),
        (['train', 'x', '--auto-scale-learning-rate'], '--auto-scale-lr'),
        (['export', 'x', 'y', 'z.onnx', '--shapes=1'], '--shape'),
    ],
)
def test_a_misspelt_option_is_answered_with_the_one_that_was_meant(capsys, arguments, meant):
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert f'did you mean {meant}' in capsys.readouterr().err


def test_python_runs_the_package():
    done = subprocess.run(
        [sys.executable, '-m', 'mmscale', '--version'], capture_output=True, text=True, cwd=ROOT
    )
    assert done.stdout == f'mmscale {__version__}\n'


def test_names_that_the_terminal_lacks_are_written_out(tmp_path):
    run = subprocess.run(
        [sys.executable, '-m', 'mmscale', 'check', 'größe\udcff'],
        env={**os.environ, 'PYTHONIOENCODING': 'ascii:strict'},
        capture_output=True,
        cwd=tmp_path,
        text=True,
        check=False,
    )
    assert run.returncode == 2
    assert r'gr\xf6\xdfe' in run.stdout
    assert 'Traceback' not in run.stderr


def test_launch_starts_torchs_launcher(monkeypatch):
    monkeypatch.setenv('PORT', '29511')
    started = []
    monkeypatch.setattr(launch.os, 'execv', lambda path, arguments: started.append(arguments))
    launch.main(['2', 'train', 'my.py', '--work-dir', 'w'])
    (arguments,) = started
    assert arguments[1:3] == ['-m', 'torch.distributed.run']
    assert '--nproc_per_node=2' in arguments
    assert '--master_port=29511' in arguments
    rest = arguments[arguments.index('mmscale') :]
    assert rest == ['mmscale', 'train', 'my.py', '--work-dir', 'w', '--launcher', 'pytorch']


def test_launch_wants_processes(capsys):
    with pytest.raises(SystemExit):
        launch.main(['0', 'train', 'my.py'])
    assert 'must be 1 or more' in capsys.readouterr().err


COMPLETED = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
name=$(complete -p mmscale); name=${name##*-F }; name=${name%% *}
$name mmscale "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
printf '%s\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope='module')
def completion(tmp_path_factory):
    """A file with what ``mmscale completion bash`` prints."""
    pytest.importorskip('shtab')
    path = tmp_path_factory.mktemp('shell') / 'completion.bash'
    path.write_text(script('bash'))
    return path


@pytest.mark.parametrize(
    ('words', 'wanted'),
    [
        (['tr'], 'train'),
        (['train', 'faster_rcnn_re'], 'faster_rcnn_rexnet_fpn'),
        (['train', 'x', '--work'], '--work-dir'),
        (['train', 'x', '--track', 'ml'], 'mlflow'),
        (['export', 'x', 'y', 'z', '--part', 'ne'], 'neck'),
    ],
)
def test_bash_completes(completion, words, wanted):
    bash = shutil.which('bash')
    if not bash:
        pytest.skip('there is no bash')
    done = subprocess.run(
        [bash, '-c', COMPLETED, 'bash', completion, 'mmscale', *words],
        capture_output=True,
        text=True,
        check=True,
    )
    assert wanted in done.stdout.split()


def test_completion_names_what_it_needs(monkeypatch):
    monkeypatch.setitem(sys.modules, 'shtab', None)
    with pytest.raises(UserError, match=r"pip install 'mmscale\[completion\]'"):
        script('bash')


def test_make_shapes_says_what_comes_next(tmp_path, capsys):
    few = ['--train', '1', '--val', '1', '--train-crops', '8', '--val-crops', '8']
    tool('make_shapes')([str(tmp_path / 'shapes'), *few])
    command = f'mmscale new {tmp_path}/shapes -o my_config.py'
    assert capsys.readouterr().out.splitlines()[-1] == f'next: {command}'
