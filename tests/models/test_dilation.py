"""Networks with a smaller output stride: the same weights, and the same maps where they can be."""

from unittest.mock import patch

import numpy as np
import pytest
import torch
from networks import randomise_norms
from torch import nn
from variants import FAMILIES, LITE, REXNET, SAN, SAN_MOBILE, SCALENET, build, each_family, images

from mmscale import UserError
from mmscale.deploy import fuse, tiling

SIZE = (64, 96)
each_output_stride = pytest.mark.parametrize('output_stride', [8, 16])


def pair(cfg, output_stride, **changes):
    """The strided network and the dilated one, with the same weights, in double precision."""
    models = [build(cfg, output_stride=value, **changes) for value in (32, output_stride)]
    randomise_norms(models[0])
    models[1].load_state_dict(models[0].state_dict())
    return [model.double().eval() for model in models]


def assert_agree(strided, dilated, output_stride, exact=1e-10):
    """Every n-th pixel of a dilated network's map is one of the strided network's."""
    x = images(2, 3, *SIZE).double()
    with torch.no_grad():
        pairs = list(zip(strided(x), dilated(x)))
    for stride, (wanted, got) in zip(strided.out_strides, pairs):
        step = stride // min(stride, output_stride)
        assert got.shape[2:] == tuple(side // min(stride, output_stride) for side in SIZE)
        assert (got[:, :, ::step, ::step] - wanted).abs().max() <= exact * wanted.abs().max()
    assert pairs[-1][1].std() > 0.01


@each_family
def test_32_is_what_was_there(cfg):
    x = images(1, 3, *SIZE)
    given, default = build(cfg, output_stride=32).eval(), build(cfg).eval()
    assert given.out_strides == default.out_strides == (4, 8, 16, 32)
    assert all(map(torch.equal, given(x), default(x)))


@each_output_stride
@each_family
def test_strides_and_gradients(cfg, output_stride):
    model = build(cfg, output_stride=output_stride)
    strides = tuple(min(stride, output_stride) for stride in (4, 8, 16, 32))
    assert model.out_strides == strides
    maps = model(images(2, 3, *SIZE))
    assert [m.shape[2:] for m in maps] == [tuple(s // stride for s in SIZE) for stride in strides]
    maps[-1].mean().backward()
    assert all(p.grad is not None for p in model.parameters())


@each_output_stride
@pytest.mark.parametrize(
    ('cfg', 'changes'),
    [
        (LITE, {}),
        (SAN_MOBILE, {}),
        (SCALENET, dict(structure=[[9, 0, 0, 0]] * 5)),
        (SCALENET, dict(resize='nearest')),
    ],
    ids=['ReXNetLite', 'SANMobileNetV2', 'ScaleNet, scale 1', 'ScaleNet, nearest'],
)
def test_agrees_with_the_strided_network(cfg, changes, output_stride):
    assert_agree(*pair(cfg, output_stride, **changes), output_stride)


@each_output_stride
def test_rexnet_agrees_but_for_the_mean_of_squeeze_excite(output_stride):
    strided, dilated = pair(REXNET, output_stride)
    for model in (strided, dilated):
        for block in [block for stage in model.stages for block in stage]:
            block.se = nn.Identity()
    assert_agree(strided, dilated, output_stride)


@pytest.mark.parametrize(
    ('output_stride', 'strides', 'dilations'),
    [(16, (1, 2, 2, 1), (1, 1, 1, 2)), (8, (1, 2, 1, 1), (1, 1, 2, 4))],
)
@pytest.mark.parametrize('depth', [18, 50])
def test_san_is_dilated_as_mmdets_resnet(depth, output_stride, strides, dilations):
    from mmdet.models import ResNet

    model = randomise_norms(build(SAN, depth=depth, output_stride=output_stride)).eval()
    theirs = ResNet(depth, strides=strides, dilations=dilations, norm_eval=False)
    theirs.eval()
    plain = model.plain(64)
    theirs.load_state_dict(plain.state_dict())
    x = images(1, 3, *SIZE)
    for ours, wanted, got in zip(model(x), theirs(x), plain(x)):
        torch.testing.assert_close(got, wanted, rtol=0, atol=0)
        assert (ours - wanted).abs().max() <= 1e-5 * wanted.abs().max()


def test_plain_mobilenet_is_dilated_too():
    model = randomise_norms(build(SAN_MOBILE, output_stride=8)).eval()
    x = images(1, 3, *SIZE)
    for ours, plain in zip(model(x), model.plain(64)(x)):
        torch.testing.assert_close(plain, ours, rtol=1e-4, atol=1e-5)


@each_output_stride
@each_family
def test_fused_it_computes_the_same(cfg, output_stride):
    model = randomise_norms(build(cfg, output_stride=output_stride)).eval()
    x = images(1, 3, *SIZE)
    with torch.no_grad(), patch.multiple(tiling, UNTILED=0, TILE=2**14):
        for wanted, got in zip(model(x), fuse(model)(x)):
            assert (got - wanted).abs().max() <= 1e-4 * wanted.abs().max()


@pytest.mark.parametrize('size', [(33, 47), (64, 35), (32, 32)])
@each_family
def test_any_size_is_taken(cfg, size):
    for output_stride in (8, 16):
        maps = build(cfg, output_stride=output_stride).eval()(images(1, 3, *size))
        assert maps[-1].shape[2:] == maps[-2].shape[2:]
        assert all(m.isfinite().all() for m in maps)


@pytest.mark.parametrize('name', FAMILIES)
def test_exported_to_onnx_it_computes_the_same(name, tmp_path):
    onnxruntime = pytest.importorskip('onnxruntime')
    model = randomise_norms(build(FAMILIES[name], output_stride=16)).eval()
    x = images(1, 3, *SIZE)
    path = tmp_path / 'backbone.onnx'
    torch.onnx.export(model, (x,), path, dynamo=True, opset_version=20, verbose=False)
    got = onnxruntime.InferenceSession(path).run(None, {'x': x.numpy()})
    for wanted, found in zip(model(x), got):
        assert np.abs(wanted.detach().numpy() - found).max() <= 1e-4 * wanted.abs().max()


@pytest.mark.parametrize('value', [4, 64, 12, '16', None, True, -8])
def test_other_output_strides_are_refused(value):
    with pytest.raises(UserError, match=r'output_stride=.*8.*16.*32'):
        build(LITE, output_stride=value)
