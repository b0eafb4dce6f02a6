"""``mmscale adapt``, and ``--backbone`` on the other commands."""

import json
from importlib import import_module
from pathlib import Path

import pytest
from commands import tool
from small_detectors import retinanet

from mmscale.engine.config import load_config

BACKBONE = ['--backbone', 'ReXNet', 'width_mult=1.3']
CHANNELS = [50, 79, 167, 240]


@pytest.fixture
def base(tmp_path):
    """The path of a small detector's config."""
    path = tmp_path / 'small.py'
    retinanet().dump(path)
    return str(path)


def test_adapt_writes_a_child_that_was_proven(base, tmp_path, capsys):
    out = tmp_path / 'mine.py'
    tool('adapt')([base, *BACKBONE, '-o', str(out)])
    assert load_config(out).model.neck.in_channels == CHANNELS
    assert "_base_ = 'small.py'" in out.read_text()
    printed = capsys.readouterr().out
    assert printed.endswith('mine.py: built; two pictures went through loss and prediction\n')


# What each command calls with the config, and what else it is given.
COMMANDS = (
    ('train', 'train', []),
    ('test', 'evaluate', ['x.pth']),
    ('test', 'evaluate_resolutions', ['x.pth', '--resolutions', '224']),
    ('export', 'export', ['x.pth', 'x.onnx']),
)


@pytest.mark.parametrize(('command', 'called', 'rest'), COMMANDS)
@pytest.mark.parametrize('chosen', [BACKBONE, []])
def test_commands_take_the_adapted_config(base, monkeypatch, command, called, rest, chosen):
    module = import_module(f'mmscale.cli.{command}')
    seen = []

    def record(config, *args, **kwargs):
        assert 'backbone' not in kwargs
        seen.append((Path(config).stem, load_config(config)))
        return type('Written', (), dict(path='', compared=''))

    monkeypatch.setattr(module, called, record)
    module.main([base, *rest, *chosen])
    [(stem, cfg)] = seen
    assert stem == ('small_rexnet' if chosen else 'small')
    assert cfg.model.neck.in_channels == (CHANNELS if chosen else [16, 32, 64, 128])


def test_infer_takes_it_too(base, monkeypatch):
    module = import_module('mmscale.cli.infer')
    seen = []
    monkeypatch.setattr(module, 'infer', lambda config, **_: seen.append(load_config(config)) or [])
    module.main(['x.pth', 'x.jpg', '--config', base, *BACKBONE])
    assert seen[0].model.neck.in_channels == CHANNELS


def test_infer_needs_a_config_to_exchange_its_backbone(capsys):
    with pytest.raises(SystemExit):
        tool('infer')(['x.onnx', 'x.jpg', *BACKBONE])
    assert '--backbone needs --config' in capsys.readouterr().err


def test_check_looks_at_the_adapted_config(base, monkeypatch):
    module, seen = import_module('mmscale.cli.check'), []
    monkeypatch.setattr(module, 'find_in_run', lambda cfg, *_, **__: seen.append(cfg) or [])
    module.main([base, *BACKBONE])
    assert seen[0].model.neck.in_channels == CHANNELS


@pytest.mark.parametrize(
    ('target', 'option', 'named'),
    [
        ('', BACKBONE, 'a folder: --backbone says nothing'),
        ('', ['--cfg-options', 'a=1'], 'a folder: --cfg-options says nothing'),
        ('', ['--pictures', 'x'], 'a folder: --pictures says nothing'),
        ('a.json', ['--cfg-options', 'a=1'], 'an annotation file: --cfg-options says nothing'),
        ('c.py', ['--pictures', 'x'], 'a config: --pictures says nothing'),
        ('a.json', ['--pictures', 'x'], "--pictures 'x': there is no such folder"),
    ],
)
def test_check_says_which_option_does_not_fit(tmp_path, capsys, target, option, named):
    for name in ('a.json', 'c.py'):
        (tmp_path / name).touch()
    with pytest.raises(SystemExit) as ended:
        tool('check')([str(tmp_path / target), *option])
    assert ended.value.code == 2
    assert named in capsys.readouterr().err


def test_flops_are_those_of_the_chosen_backbone(base, capsys):
    counted = []
    for chosen in (BACKBONE, []):
        tool('count_flops')([base, '--shape', '64', '--json', *chosen])
        counted.append(json.loads(capsys.readouterr().out)['parts']['backbone']['params'])
    assert counted[0] != counted[1]


def test_benchmark_exchanges_the_backbones_of_configs_alone(base, monkeypatch):
    module = import_module('mmscale.cli.benchmark')
    seen = []

    def record(cases, *args, **kwargs):
        seen.extend(cases)
        return dict(machine=dict(processor='', threads=1, gpu=None), rows=[], profiles=[])

    monkeypatch.setattr(module.benchmark, 'run', record)
    module.main(['resnet-50', f'{base}:fused', *BACKBONE])
    assert seen[0] == 'resnet-50'
    assert seen[1].endswith('/small_rexnet.py:fused')


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (['--backbone', 'ReXNet', '1.3'], "'1.3' must be KEY=VALUE"),
        (['--backbone'], 'expected at least one argument'),
    ],
)
def test_wrong_options_are_told_at_once(base, capsys, options, words):
    with pytest.raises(SystemExit) as ended:
        tool('train')([base, *options])
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_errors_of_the_adaptation_are_one_line(base):
    with pytest.raises(SystemExit) as ended:
        tool('train')([base, '--backbone', 'ReXNet', 'width_mult=1.4'])
    assert str(ended.value.code).startswith('error: width_mult=1.4')
