"""What is measured: time, memory. How long things take is not tested."""

import pytest
import torch

from mmscale import benchmark
from mmscale.benchmark import Case
from mmscale.errors import UserError

SMALL = (1, 64, 64)


def test_peak_memory_is_that_of_the_case_alone():
    small = benchmark.peak_memory(Case('rexnet-lite-100', 'eager'), SMALL)
    large = benchmark.peak_memory(Case('rexnet-lite-100', 'eager'), (4, 448, 448))
    maps = 4 * 192 * 224 * 224 * 4 / benchmark.MIB  # the largest map of the larger one
    assert large - small > maps


def test_a_training_step():
    cases = [Case(name, 'channels-last') for name in ('scalenet-50', 'scalenet-50-with-cp')]
    rows = benchmark.measure(cases, SMALL, training=True, memory=True, rounds=1)
    assert all(row['training'] and row['peak_mib'] > 0 for row in rows)
    assert rows[1]['saved_mib'] < 0.5 * rows[0]['saved_mib']
    with pytest.raises(UserError, match='rexnet-100:fused'):
        benchmark.prepare(Case('rexnet-100', 'fused'), SMALL, training=True)


def test_a_detector_of_a_config(tmp_path):
    config = tmp_path / 'mask.py'
    config.write_text(
        "_base_ = 'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py'\n"
        'model = dict(backbone=dict(depth=18, init_cfg=None), '
        'neck=dict(in_channels=[64, 128, 256, 512]))\n'
    )
    [row] = benchmark.measure([Case.parse(str(config))], (1, 64, 96), training=True, rounds=1)
    assert row['case'] == f'{config}:eager'
    assert row['ms'] > 0
    assert Case.parse('mmdet::x/y.py') == Case('mmdet::x/y.py', 'eager')
    assert Case.parse('mmdet::x/y.py:fused') == Case('mmdet::x/y.py', 'fused')
    detector = benchmark.build(str(config))
    losses = detector.train()(torch.rand(1, 3, 64, 96))
    losses[0].backward()
    assert detector.model.roi_head.mask_head.conv_logits.weight.grad.abs().sum() > 0


def test_saved_bytes_are_what_is_held():
    layer = torch.nn.Sequential(
        torch.nn.Linear(10, 10, bias=False), torch.nn.Sigmoid(), torch.nn.Dropout(0.0)
    )
    x = torch.rand(5, 10)
    assert benchmark.saved_bytes(layer.eval(), x) == 5 * 10 * 4  # the sigmoid's output
    with torch.no_grad():
        assert benchmark.saved_bytes(layer, x) == 5 * 10 * 4


@pytest.mark.parametrize('form', benchmark.TRAINED[:3])
def test_images_too_small_to_train_on(form):
    case = Case('rexnet-lite-100', form)
    with pytest.raises(UserError, match='trained on --shape 1x32x32.*more images or larger'):
        benchmark.measure([case], (1, 32, 32), training=True, rounds=1)


@pytest.mark.parametrize('side', [10**6, 10**9])  # more than any memory, than any address
def test_images_too_large_for_the_memory(side):
    shape = (side, side, side)
    with pytest.raises(UserError, match=f'memory with --shape {side}x{side}x{side}; give fewer'):
        benchmark.prepare(Case('rexnet-lite-100', 'eager'), shape)
