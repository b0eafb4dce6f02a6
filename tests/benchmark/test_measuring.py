"""What the benchmark measures and how it says no. How long things take is not tested."""

import json

import pytest
import torch
from conftest import targets, tool
from torch.utils.flop_counter import FlopCounterMode

from mmscale import benchmark
from mmscale.benchmark import Case
from mmscale.errors import UserError

SMALL = (1, 64, 64)


@pytest.mark.parametrize('form', ['eager', 'channels-last', 'fused'])
def test_forms_of_a_model_compute_the_same(form):
    model = benchmark.build('scalenet-50-light')
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        expected = model(x)
        outputs = benchmark.FORMS[form](model, x)(x)
    for ours, theirs in zip(outputs, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('engine', ['onnxruntime', 'openvino'])
def test_engines_compute_the_same(engine):
    pytest.importorskip(engine)
    pytest.importorskip('onnxscript')
    model = benchmark.build('rexnet-lite-100')
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        expected = model(x)
    outputs = benchmark.FORMS[engine](model, x)(x)
    for ours, theirs in zip(outputs, expected, strict=True):
        torch.testing.assert_close(torch.as_tensor(ours), theirs, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize('engine', ['onnxruntime', 'openvino'])
def test_whole_detectors_in_engines(engine):
    pytest.importorskip(engine)
    pytest.importorskip('onnxscript')
    detector = benchmark.build('faster-rcnn-rexnet-100')
    x = torch.rand(2, 3, 128, 160)
    boxes, scores, labels = benchmark.FORMS[engine](detector, x)(x)
    assert boxes.shape == (2, 100, 4)
    assert scores.shape == labels.shape == (2, 100)


def test_one_run_of_the_tool(capsys, tmp_path):
    plot = tmp_path / 'plot.png'
    shapes = ['--shape', '1x64x64', '--shape', '2x64x64']
    tool('benchmark')(
        ['rexnet-lite-100', 'mobilenet-v2:fused', *shapes]
        + ['--rounds', '1', '--json', '--plot', str(plot)]
    )
    result = json.loads(capsys.readouterr().out)
    assert [(row['case'], row['shape']) for row in result['rows']] == [
        ('rexnet-lite-100:eager', [1, 64, 64]),
        ('mobilenet-v2:fused', [1, 64, 64]),
        ('rexnet-lite-100:eager', [2, 64, 64]),
        ('mobilenet-v2:fused', [2, 64, 64]),
    ]
    assert all(0 < row['best_ms'] <= row['ms'] for row in result['rows'])
    assert result['machine']['versions']['torch']
    assert result['machine']['copy_gbs'] > 0
    assert plot.read_bytes().startswith(b'\x89PNG')


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
    with pytest.raises(UserError, match='rexnet-100:fused cannot be trained'):
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


def test_every_target_names_cases_that_exist():
    for target in targets()['TARGETS'].values():
        for text in (*target.ours, *target.theirs):
            case = Case.parse(text)
            assert not target.training or case.form in benchmark.TRAINED


def test_switching_and_evaluation_targets():
    pytest.importorskip('faster_coco_eval')
    result = targets()['coco_evaluation'](images=50, detections=20)
    assert result['difference'] < 1e-4


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ([], 'nothing to do'),
        (['rexnet'], "model 'rexnet' is unknown; choose from"),
        (['rexnet-100:fast'], "form='fast' is unknown; choose from"),
        (['rexnet-100', '--shape', '224'], "--shape '224' must be NxHxW"),
        (['--target', 'moon'], "target 'moon' is unknown; choose from"),
    ],
)
def test_errors_are_one_line(arguments, message):
    with pytest.raises(SystemExit) as error:
        tool('benchmark')(arguments)
    assert message in str(error.value)


def test_a_profile_names_operators_and_the_least_time():
    slow = dict(matmul_gflops=1.0, copy_gbs=1e9)  # counts the operations
    case = Case('resnet-50', 'channels-last')
    profile = benchmark.profile(case, SMALL, slow, passes=1)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        benchmark.build('resnet-50')(torch.rand(1, 3, 64, 64))
    flops = counter.get_total_flops()
    assert profile['convolutions_at_ceilings_ms'] == pytest.approx(flops / 1e6)
    operators = profile['operators']
    assert any('convolution' in row['operator'] for row in operators)
    assert 0.5 < sum(row['share'] for row in operators) <= 1
    assert [row['ms'] for row in operators] == sorted(
        (row['ms'] for row in operators), reverse=True
    )

    step = benchmark.profile(case, SMALL, slow, training=True, passes=1)
    stem = 2 * 64 * 32 * 32 * 3 * 7 * 7  # whose input has no gradient
    assert step['convolutions_at_ceilings_ms'] == pytest.approx((3 * flops - stem) / 1e6)

    narrow = dict(matmul_gflops=1e9, copy_gbs=1.0)  # counts the bytes
    model = benchmark.profile(Case('mobilenet-v2', 'eager'), SMALL, narrow, passes=1)
    stem = 4 * (3 * 64 * 64 + 32 * 3 * 3 * 3 + 32 * 32 * 32)
    assert model['convolutions_at_ceilings_ms'] > stem / 1e6
    with pytest.raises(UserError, match='--profile: mobilenet-v2:openvino runs outside PyTorch'):
        benchmark.profile(Case('mobilenet-v2', 'openvino'), SMALL, slow)
