"""What init_cfg accepts."""

import golden
import pytest
import torch
from checkpoint_files import CASE, save
from mmengine.registry import MODELS


def test_rules_beside_a_checkpoint_are_kept(tmp_path):
    path = save(golden.state_dict(CASE), tmp_path / 'weights.pth')
    classifier = golden.build_classifier('rexnet-100', num_classes=10)
    classifier.init_cfg = [
        dict(type='Constant', layer='Linear', val=0.25),
        dict(type='Pretrained', checkpoint=path),
    ]
    classifier.init_weights()
    assert (classifier.head.fc.weight == 0.25).all()
    twice = [dict(type='Pretrained', checkpoint=path)] * 2
    with pytest.raises(ValueError, match='more than one'):
        MODELS.build(dict(type='mmscale.ReXNet', init_cfg=twice))


def test_without_a_checkpoint_one_line_says_so(log):
    model = MODELS.build(
        dict(type='mmscale.ScaleNet', init_cfg=dict(type='Pretrained', checkpoint=None))
    )
    model.init_weights()
    line = log.with_word('from scratch')
    assert all(word in line for word in ('ScaleNet scalenet50', 'init_cfg.checkpoint')), line
    convs = [m for m in model.modules() if isinstance(m, torch.nn.Conv2d)]
    wide = max(convs, key=lambda conv: conv.weight.numel())
    expected = (2 / (wide.out_channels * wide.kernel_size[0] ** 2)) ** 0.5
    assert wide.weight.std().item() == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize(
    'init_cfg', [dict(type='Pretrained'), dict(type='Pretrained', checkpoint='a', pre='b')]
)
def test_wrong_init_cfg_is_refused_at_once(init_cfg):
    with pytest.raises(ValueError, match='checkpoint=') as error:
        MODELS.build(dict(type='mmscale.ReXNet', init_cfg=init_cfg))
    assert str(init_cfg) in str(error.value)


@pytest.mark.parametrize(
    ('checkpoint', 'expected'), [(None, False), ('file.pth', True)], ids=['scratch', 'weights']
)
def test_auto_norm_eval_follows_the_weights(checkpoint, expected):
    init_cfg = dict(type='Pretrained', checkpoint=checkpoint)
    model = MODELS.build(dict(type='mmscale.ReXNet', norm_eval='auto', init_cfg=init_cfg)).train()
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert {norm.training for norm in norms} == {not expected}
