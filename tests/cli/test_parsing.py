"""Wrong commands end with one line."""

import errno
import os

import pytest
import torch
from commands import ROOT, tool
from runs import CLASSIFIER, DETECTOR

from mmscale.cli.parsing import one_line_errors

WRONG_COMMANDS = {
    'config': (['train', 'faster_rcn_rexnet_fpn'], 'faster_rcnn_rexnet_fpn'),
    'amp': (['train', DETECTOR, '--amp'], '--amp needs a GPU'),
    'resume': (['train', DETECTOR, '--resume', 'no.pth'], "'no.pth' is missing"),
    'checkpoint': (['test', DETECTOR, 'no.pth'], "'no.pth' is missing"),
    'no config': (['train', str(ROOT / 'README.md')], 'README.md'),
    'of mmdet': (['count_flops', 'mmdet::nope/nope.py'], "'mmdet::nope/nope.py'"),
    'near in mmdet': (
        ['count_flops', 'mmdet::retinanet/retinanet_r50_fpn_1x_coc'],
        'close to it: retinanet/retinanet_r50_fpn_1x_coco',
    ),
    'package': (['count_flops', 'mmdett::a/b'], "'mmdett' is not installed; close to it: mmdet"),
    'no folder': (['train', 'inherits.py'], 'inherits.py'),
    'argument': (
        ['train', DETECTOR, '--cfg-options', 'model.backbone.widths=1'],
        "'widths'",
    ),
    'type': (  # before the weights, which would be fetched
        ['train', DETECTOR, '--cfg-options', 'model.backbone.type=RexNet']
        + ['model.backbone.init_cfg.type=Pretrained', 'model.backbone.init_cfg.checkpoint=no.pth'],
        "did you mean 'ReXNet'?",
    ),
    'key': (
        ['train', DETECTOR, '--cfg-options', 'modle.backbone.width_mult=1.3'],
        "did you mean 'model'?",
    ),
    'launcher': (['train', DETECTOR, '--launcher', 'slurm'], 'SLURM_PROCID is not set'),
    'auto-scale-lr': (
        ['train', DETECTOR, '--auto-scale-lr', '--cfg-options', 'auto_scale_lr={}'],
        'base_batch_size',
    ),
}


@pytest.mark.parametrize(
    ('command', 'argument'),
    [
        (['check', ''], 'target'),
        (['new', '', '-o', 'a.py'], 'folder'),
        (['new', 'folder', '-o', ''], '-o/--out'),
        (['new', 'folder', '-o', '  '], '-o/--out'),
        (['infer', 'x.pth', 'a.jpg', ''], 'pictures'),
        (['plot_structures', 'scalenet50', '--out='], '--out'),
    ],
)
def test_an_empty_word_is_no_path(capsys, command, argument):
    name, *rest = command
    with pytest.raises(SystemExit) as ended:
        tool(name)(rest)
    assert ended.value.code == 2
    assert f'argument {argument}: nothing is given' in capsys.readouterr().err


@pytest.mark.parametrize('path', ['x.json', None])
def test_what_the_system_says_is_one_line(path):
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
    named = "'x.json': " if path else ''
    with pytest.raises(SystemExit, match=f'^error: {named}No space left.*; free some space'):
        raise_in_a_command(error)
    with pytest.raises(KeyError):
        raise_in_a_command(KeyError(path))


def test_an_interrupted_command_ends_with_one_line(capsys):
    with pytest.raises(SystemExit) as ended:
        raise_in_a_command(KeyboardInterrupt())
    assert ended.value.code == 130
    assert capsys.readouterr().err == 'interrupted\n'


def test_a_config_of_a_model_alone(tmp_path, capsys):
    config = tmp_path / 'm.py'
    config.write_text("model = dict(type='mmscale.ReXNet')\n")
    with pytest.raises(SystemExit, match="it lacks .*'train_cfg', .*: inherit them by _base_ from"):
        tool('train')([str(config), '--work-dir', str(tmp_path / 'work')])
    assert [path.name for path in tmp_path.iterdir()] == ['m.py']
    with pytest.raises(SystemExit) as ended:
        tool('check')([str(config)])
    assert ended.value.code == 1
    assert 'section-missing' in capsys.readouterr().out


def raise_in_a_command(error):
    with one_line_errors():
        raise error


# Longer than a system takes, with a NUL, a folder of a file, and what is no file.
STRANGE = (
    'a' * 5000 + '.pth',
    'b/' * 3000 + 'c.onnx',
    'x\0y.pth',
    'README.md/x.pth',
    '/dev/null/x.xml',
)


@pytest.mark.parametrize('path', STRANGE, ids=lambda path: path[:12])
@pytest.mark.parametrize(
    'command',
    [['test', DETECTOR, 0], ['train', DETECTOR, '--resume', 0], ['train', 0], ['infer', 0, 'x.png'],
     ['infer', 'a.onnx', 0], ['convert_weights', 0, 'out.pth'], ['convert_weights', 'in.pth', 0],
     ['export', CLASSIFIER, 'in.pth', 0], ['check', 0], ['plot_structures', 0],
     ['allocate_neurons', CLASSIFIER, 0, '-o', 'x.json', '--neurons', '3'], ['make_shapes', 0]],
    ids=lambda command: '-'.join(map(str, command))[:30],
)  # fmt: skip
def test_paths_that_no_file_can_have(shapes, tmp_path, monkeypatch, capsys, command, path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'README.md').touch()
    with pytest.raises(SystemExit) as error:
        tool(command[0])([path if part == 0 else part for part in command[1:]])
    assert error.value.code not in (0, None)
    assert 'Traceback' not in str(error.value) + capsys.readouterr().err


@pytest.mark.parametrize(('command', 'words'), WRONG_COMMANDS.values(), ids=WRONG_COMMANDS)
def test_wrong_commands_end_with_one_line(shapes, tmp_path, monkeypatch, command, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'inherits.py').write_text("_base_ = 'mmscale::faster_rcnn_rexnet_fpn.py'")
    if '--amp' in command and torch.cuda.is_available():
        pytest.skip('there is a GPU')
    with pytest.raises(SystemExit) as error:
        tool(command[0])(command[1:])
    assert str(error.value).startswith('error: ')
    assert words in str(error.value)
