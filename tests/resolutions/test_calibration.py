"""A SAN's norms, calibrated for resolutions that it was not trained at."""

import pytest
import torch
from commands import tool
from mmengine.runner import Runner
from small_san import SAN, arguments, build, norms

from mmscale.engine.config import load_config
from mmscale.errors import UserError
from mmscale.resolutions.calibration import calibrate
from mmscale.resolutions.testing import evaluate_resolutions


def test_calibration_averages_over_the_batches(options):
    model = build(options).eval()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    torch.manual_seed(1)
    batches = [dict(inputs=list(torch.rand(4, 3, 40, 40) * 255)) for _ in range(3)]
    calibrate(model, batches, 40)
    # The stem's convolution is an ordinary one: its outputs can be had from outside.
    stem = model.backbone.stem
    outputs = [stem.conv(torch.stack(batch['inputs']).flip(1) / 255) for batch in batches]
    changed = stem.norm.norms[1]  # 48 is next to 40
    mean = torch.stack([x.mean((0, 2, 3)) for x in outputs]).mean(0)
    var = torch.stack([x.var((0, 2, 3)) for x in outputs]).mean(0)
    assert torch.allclose(changed.running_mean, mean, atol=1e-6)
    assert torch.allclose(changed.running_var, var, rtol=1e-4)
    assert not any(module.training for module in model.modules())
    for key, value in model.state_dict().items():
        own = '.norms.1.' in key and key.split('.')[-1] in (
            'running_mean', 'running_var', 'num_batches_tracked'
        )  # fmt: skip
        assert torch.equal(value, before[key]) != own, key
    with pytest.raises(UserError, match='batches'):
        calibrate(model, [], 40)


def test_tool_writes_a_checkpoint_with_more_resolutions(options, checkpoint, tmp_path, capsys):
    out = tmp_path / 'calibrated.pth'
    few = ['--resolutions', '56', '40', '--batches', '2']
    tool('calibrate_bn')([SAN, checkpoint, str(out), *few, *arguments(options)])
    assert 'model.backbone.resolutions=[64, 48, 56, 40]' in capsys.readouterr().out
    sizes = {'model.backbone.resolutions': [64, 48, 56, 40]}
    model, plain = build({**options, **sizes}), build(options)
    model.load_state_dict(torch.load(out)['state_dict'])
    for number in (0, 1):  # nothing of the old ones is changed
        for name, state in norms(plain, number).items():
            assert all(torch.equal(v, norms(model, number)[name][k]) for k, v in state.items())
    stem = model.backbone.stem.norm.norms
    assert torch.equal(stem[2].weight, stem[0].weight)  # 56 is between; the larger of both
    assert not torch.equal(stem[2].running_mean, stem[0].running_mean)
    assert not torch.equal(stem[3].running_var, stem[1].running_var)
    rows = evaluate_resolutions(
        SAN, str(out), [40], overrides={**options, **sizes}, work_dir=tmp_path / 'runs'
    )
    assert 0 <= rows[0]['accuracy/top1'] <= 100


def test_calibrating_helps_strange_norms(options, tmp_path):
    model = build(options).eval()
    for name, value in model.state_dict().items():
        if name.endswith('running_mean'):
            value += 100.0  # every feature is off, and ReLU has put most of them out
    cfg = load_config(SAN, options)
    batch = next(iter(Runner.build_dataloader(cfg.test_dataloader, seed=0)))
    images = model.data_preprocessor(batch, training=False)['inputs']
    model.backbone.inference = 'ideal'
    with torch.no_grad():
        off = model.backbone(images, resolution=40)[0]
        calibrate(model, [batch], 40)
        mended = model.backbone(images, resolution=40)[0]
    assert off.std(0).max() < 1e-3
    assert mended.std(0).mean() > 0.1


def test_wrong_calibrations(options, checkpoint, tmp_path):
    run, rest = tool('calibrate_bn'), arguments(options)
    with pytest.raises(SystemExit, match='48'):
        run([SAN, checkpoint, str(tmp_path / 'a.pth'), '--resolutions', '48', *rest])
    with pytest.raises(SystemExit, match='is missing'):
        run([SAN, checkpoint, str(tmp_path / 'no/a.pth'), '--resolutions', '40', *rest])
    for given, words in (
        (['a.pth', '--resolutions', '0'], '16 px'),
        (['a.pth', '--resolutions', '40', '--batches', '-1'], 'batches=-1'),
        (['a.safetensors', '--resolutions', '40'], '[.]pth or [.]pt'),
    ):
        with pytest.raises(SystemExit, match=words):
            run([SAN, checkpoint, str(tmp_path / given[0]), *given[1:], *rest])
    plain = 'shapes/rexnet-100_shapes'
    with pytest.raises(SystemExit, match='SAN'):
        run([plain, checkpoint, str(tmp_path / 'a.pth'), '--resolutions', '40'])
    detector = 'san/faster-rcnn_san-resnet-50_fpn_1x_coco'
    with pytest.raises(SystemExit, match='classifier'):
        run([detector, checkpoint, str(tmp_path / 'a.pth'), '--resolutions', '40'])
    with pytest.raises(UserError, match='classifier'):
        evaluate_resolutions(detector, checkpoint, [224], ['calibrated'])
    assert not list(tmp_path.iterdir())
