"""Wrong commands end with one line."""

import pytest
import torch
from commands import ROOT, tool
from runs import DETECTOR

WRONG_COMMANDS = {
    'config': (['train', 'faster_rcn_rexnet_fpn'], 'faster_rcnn_rexnet_fpn'),
    'amp': (['train', DETECTOR, '--amp'], '--amp needs a GPU'),
    'resume': (['train', DETECTOR, '--resume', 'no.pth'], "'no.pth' is missing"),
    'checkpoint': (['test', DETECTOR, 'no.pth'], "'no.pth' is missing"),
    'no config': (['train', str(ROOT / 'README.md')], 'README.md'),
    'of mmdet': (['count_flops', 'mmdet::nope/nope.py'], "'mmdet::nope/nope.py'"),
    'no folder': (['train', 'inherits.py'], 'inherits.py'),
    'argument': (
        ['train', DETECTOR, '--cfg-options', 'model.backbone.widths=1'],
        "'widths'",
    ),
    'key': (
        ['train', DETECTOR, '--cfg-options', 'modle.backbone.width_mult=1.3'],
        "did you mean 'model'?",
    ),
    'auto-scale-lr': (
        ['train', DETECTOR, '--auto-scale-lr', '--cfg-options', 'auto_scale_lr={}'],
        'base_batch_size',
    ),
}


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
