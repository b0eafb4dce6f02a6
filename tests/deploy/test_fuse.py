"""A fused model gives what the model gives, and says or leaves what it cannot fuse."""

import copy
import functools
import pickle

import pytest
import torch
import torch.nn.functional as F
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner.checkpoint import get_state_dict
from mmengine.structures import InstanceData
from networks import randomise_norms, small_generators
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from variants import FAMILIES, REXNET, SAN, SCALENET, VARIANTS, build, each_family, images, rexnets

from mmscale import deploy
from mmscale.deploy import KEPT, FusedSAN, TiledLayers, blocks, folding, fuse, tiling
from mmscale.deploy.examples import check_same
from mmscale.errors import UserError
from mmscale.models.backbones.scalenet import ScaleAggregation

SHAPES = [(1, 3, 33, 47), (2, 3, 64, 96), (1, 3, 131, 64)]


def used(model, seed=0):
    """The model with norms as after training, in eval mode and double precision."""
    randomise_norms(model, seed).double().eval()  # mmdet's return None
    return model


def norms(model):
    return [m for m in model.modules() if isinstance(m, _BatchNorm)]


@torch.no_grad()
def assert_same(model, fused, *shapes, tolerance=1e-9):
    """Largest difference of each output, relative to its largest value."""
    for shape in shapes or SHAPES:
        x = images(*shape).to(next(model.parameters()))
        expected, outputs = model(x), fused(x)
        if isinstance(expected, torch.Tensor):
            expected, outputs = (expected,), (outputs,)
        for ours, theirs in zip(outputs, expected, strict=True):
            error = (ours - theirs).abs().max() / theirs.abs().max()
            assert ours.shape == theirs.shape
            assert error < tolerance, (shape, error)


# This package's backbones


@pytest.mark.parametrize('name', VARIANTS)
def test_every_variant(name):
    model = used(build(VARIANTS[name][0]))
    fused = fuse(model)
    assert_same(model, fused, SHAPES[0])
    if not name.startswith('san'):
        assert norms(fused) == []


@each_family
def test_shapes_and_the_wide_convolution(cfg):
    last = 4 if cfg['type'] in ('ReXNet', 'ReXNetLite', 'SANMobileNetV2') else 3
    model = used(build(cfg, out_indices=(0, last)))
    assert_same(model, fuse(model))
    assert_same(model.float(), fuse(model), tolerance=1e-4)


@pytest.mark.parametrize('channels', [1, 4, 70])
@pytest.mark.parametrize('cfg', [REXNET, SCALENET], ids=lambda cfg: cfg['type'])
def test_grey_and_multispectral_images(cfg, channels):
    model = used(build(cfg, in_channels=channels))
    fused = fuse(model)
    assert norms(fused) == []
    assert_same(model, fused, (2, channels, 33, 47))


@pytest.mark.parametrize('mode', ['auto', 'nearest', 'bilinear'])
def test_scalenet_resize_modes(mode):
    model = used(build(SCALENET, resize=mode))
    fused = fuse(model)
    assert norms(fused) == []
    # Of 224: scale 7 divides; of 160: 4 does not in the last stage; 32: maps below the window.
    assert_same(model, fused, *SHAPES, (1, 3, 224, 224), (1, 3, 160, 192), (1, 3, 32, 32))


@each_family
@pytest.mark.parametrize(
    'norm_cfg',
    [dict(type='SyncBN'), dict(type='BN', eps=1e-2), dict(type='BN', affine=False)],
    ids=str,
)
def test_norms_that_are_folded(cfg, norm_cfg):
    model = used(build(cfg, norm_cfg=norm_cfg))
    fused = fuse(model)
    assert_same(revert_sync_batchnorm(copy.deepcopy(model)), fused)
    network = next(iter(fused.networks.values())) if isinstance(fused, FusedSAN) else fused
    assert norms(network) == []


@each_family
@pytest.mark.parametrize('kind', ['GN', 'batch statistics'])
def test_norms_that_stay(cfg, kind):
    if kind == 'GN':
        norm_cfg = dict(type='GN', num_groups=1)
    else:
        norm_cfg = dict(type='BN', track_running_stats=False)
    model = used(build(cfg, norm_cfg=norm_cfg))
    assert_same(model, fuse(model), SHAPES[1])


@each_family
def test_the_model_stays_as_it_is(cfg):
    model = build(cfg, with_cp=True, frozen_stages=1)
    reference = used(copy.deepcopy(model))
    model = copy.deepcopy(reference).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    modes = [m.training for m in model.modules()]
    grads = [p.requires_grad for p in model.parameters()]

    fused = fuse(model)

    assert [m.training for m in model.modules()] == modes
    assert [p.requires_grad for p in model.parameters()] == grads
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert not any(m.training for m in fused.modules())
    assert not any(p.requires_grad for p in fused.parameters())
    assert_same(reference, fused, SHAPES[1])


@each_family
def test_fusing_twice(cfg):
    model = used(build(cfg))
    assert_same(model, fuse(fuse(model)), SHAPES[0])


@each_family
def test_compile_trace_and_export(cfg):
    if cfg['type'].startswith('SAN') and torch.__version__ < '2.4':
        pytest.skip('torch.compile of 2.1 cannot follow how a SAN finds its resolution')
    model = used(build(cfg)).float()
    fused, x = fuse(model), images(1, 3, 64, 96)
    with torch.no_grad():
        expected = fused(x)
        compiled = torch.compile(fused, backend='eager', fullgraph=True)(x)
        traced = torch.jit.trace(fused, x)(x)
        exported = torch.export.export(fused, (x,)).module()(x)
    for outputs in (compiled, traced, exported):
        torch.testing.assert_close(outputs, expected, rtol=1e-5, atol=1e-5)


# ReXNet


@pytest.fixture
def tiles(monkeypatch):
    """Every map is large; what comes are the tiles that were computed, as rows of their outputs."""
    computed = []

    def tile(self, *args):
        y = compute(self, *args)
        computed.append(y.shape[2])
        return y

    compute = TiledLayers._tile
    monkeypatch.setattr(TiledLayers, '_tile', tile)
    monkeypatch.setattr(tiling, 'UNTILED', 0)
    return computed


@pytest.mark.parametrize('size', [1, 50_000, 200_000])
@rexnets
def test_tiles(cfg, size, tiles, monkeypatch):
    """The same outputs, from tiles of single rows to a few tiles a map."""
    monkeypatch.setattr(tiling, 'TILE', size)
    model = used(build(cfg, out_indices=(0, 1, 2, 3, 4)))
    fused = fuse(model)
    assert_same(model, fused, *SHAPES)
    assert len(tiles) > len(SHAPES) * 16
    assert set(tiles) == {1} if size == 1 else max(tiles) > 1
    for x in fused(images(2, 3, 33, 47).double()):
        assert x.is_contiguous(memory_format=torch.channels_last)


def test_tiles_of_any_size_when_followed(tiles, monkeypatch):
    """Traced, exported and compiled graphs hold for other sizes too."""
    monkeypatch.setattr(tiling, 'TILE', 100_000)
    fused = fuse(used(build(REXNET, out_indices=(0,))).float())
    x, y = images(1, 3, 64, 96), images(1, 3, 96, 128)
    with torch.no_grad():
        expected = fused(x), fused(y)
        assert tiles
        tiles.clear()
        forms = [torch.jit.trace(fused, x, check_trace=False)]
        if torch.__version__ >= '2.7':
            sides = dict.fromkeys((2, 3), torch.export.Dim.AUTO)
            forms.append(torch.export.export(fused, (x,), dynamic_shapes=(sides,)).module())
        assert not tiles
        forms += [torch.compile(fused, backend='eager', dynamic=flag) for flag in (None, True)]
        for form in forms:
            torch.testing.assert_close((form(x), form(y)), expected, rtol=1e-5, atol=1e-5)


def test_small_maps_are_left_whole(monkeypatch):
    monkeypatch.setattr(TiledLayers, '_tile', None)
    model = used(build(REXNET))
    assert_same(model, fuse(model))


# SAN


@pytest.mark.parametrize('inference', ['proxy', 'ideal', 'data-free'])
def test_san_at_every_resolution(inference):
    model = used(build(SAN, resolutions=(96, 64), inference=inference))
    fused = fuse(model)
    for side in (64, 70, 80, 96, 120):
        assert_same(model, fused, (1, 3, side, side + 5))
        x = images(1, 3, 64, 64).double()
        torch.testing.assert_close(fused(x, side), model(x, side), rtol=1e-9, atol=1e-9)


def test_san_generates_weights_once_for_a_resolution():
    model = used(build(SAN, resolutions=(96, 64), inference='ideal'))
    fused = fuse(model)
    first = fused.at(64)
    assert fused.at(96) is not first
    assert fused.at(64) is first
    for side in range(70, 70 + KEPT):
        fused.at(side)
    assert len(fused.networks) == KEPT
    assert not any('Generated' in type(m).__name__ for m in first.modules())
    assert first not in fused.modules()
    assert fused.at(77) in fused.modules()
    copied = copy.deepcopy(fused).float()
    x = images(1, 3, 64, 64)
    assert copied(x)[0].dtype == torch.float32
    assert len(copied.networks) == KEPT
    assert not [key for key in fused.state_dict() if not key.startswith('san.')]
    assert not [key for key in get_state_dict(nn.Sequential(fused)) if 'networks' in key]


def test_san_of_one_resolution():
    model = used(build(SAN, resolutions=(96, 64), resolution=96))
    fused = fuse(model)
    assert len(fused.networks) == 1
    assert_same(model, fused)
    assert len(fused.networks) == 1


# Anyone's


class Misordered(nn.Module):
    """Registered in another order than they run."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3)
        self.conv2 = nn.Conv2d(4, 4, 3)
        self.norm1 = nn.BatchNorm2d(4)
        self.norm2 = nn.BatchNorm2d(4)

    def forward(self, x):
        return self.norm2(self.conv2(self.norm1(self.conv1(x)).relu()))


class Twice(nn.Module):
    """One convolution with a norm for each of its uses, and one whose output is read as it is."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 3, 3, padding=1)
        self.norms = nn.ModuleList([nn.BatchNorm2d(3), nn.BatchNorm2d(3)])
        self.second = nn.Conv2d(3, 3, 1)
        self.norm = nn.BatchNorm2d(3)

    def forward(self, x):
        x = self.norms[1](self.first(self.norms[0](self.first(x)).relu()))
        y = self.second(x)
        return y + self.norm(y)


class Shared(nn.Module):
    """Two branches with one convolution and a norm each, and a norm of both."""

    def __init__(self):
        super().__init__()
        norm = nn.BatchNorm2d(3)
        self.one = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1), norm)
        self.two = nn.Sequential(self.one[0], nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1), norm)

    def forward(self, x):
        return self.one(x), self.two(x)


class Deciding(nn.Module):
    """What runs depends on the numbers."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)
        self.norm = nn.BatchNorm2d(3)

    def forward(self, x):
        y = self.conv(x)
        return self.norm(y) if y.sum() > 0 else y


class Normed(nn.BatchNorm2d):
    """More than a norm."""

    def forward(self, x):
        return super().forward(x).relu() + x


@pytest.mark.parametrize(
    ('module', 'left'), [(Misordered, 0), (Twice, 3), (Shared, 1), (Deciding, 1)]
)
def test_only_what_flows_from_a_convolution_to_a_norm_is_folded(module, left):
    torch.manual_seed(0)
    model = used(module())
    fused = fuse(model)
    assert len(norms(fused)) == left
    assert_same(model, fused, (2, 3, 8, 9))


def test_what_is_more_than_a_convolution_or_a_norm_stays():
    torch.manual_seed(0)
    hooked = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))
    hooked[0].register_forward_hook(lambda module, inputs, output: output + 1)
    normed = nn.Sequential(nn.Conv2d(3, 3, 1), Normed(3))
    weighted = nn.Sequential(
        nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 3, 1)), nn.BatchNorm2d(3)
    )
    for model in (hooked, normed, weighted):
        model = used(model)
        fused = fuse(model)
        assert len(norms(fused)) == 1
        assert_same(model, fused, (2, 3, 8, 9))


def test_linear_layers():
    torch.manual_seed(0)
    model = used(nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 2)))
    fused = fuse(model)
    assert norms(fused) == []
    x = torch.rand(7, 6).double()
    torch.testing.assert_close(fused(x), model(x), rtol=1e-9, atol=1e-9)


def test_what_cannot_be_fused_is_an_error():
    with pytest.raises(UserError, match='dict cannot be fused: give a torch.nn.Module'):
        fuse(dict(type='ReXNet'))


# OpenMMLab's

PEERS = [
    dict(type='mmdet.ResNet', depth=18),
    dict(type='mmdet.ResNet', depth=50, with_cp=True, style='caffe'),
    dict(type='mmdet.ResNeXt', depth=50, groups=32, base_width=4),
    dict(type='mmdet.Res2Net', depth=50, scales=4, base_width=26),
    dict(type='mmdet.MobileNetV2', out_indices=(1, 2, 4, 6)),
    dict(type='mmpretrain.ResNet', depth=50),
    dict(type='mmpretrain.ResNetV1d', depth=50),
    dict(type='mmpretrain.SEResNet', depth=50),
    dict(type='mmpretrain.EfficientNet', arch='b0'),
]


@pytest.mark.parametrize('cfg', PEERS, ids=lambda cfg: cfg['type'])
def test_peers(cfg):
    pytest.importorskip(cfg['type'].partition('.')[0] + '.models')
    model = MODELS.build(cfg)
    fused = fuse(used(model))
    assert norms(fused) == []
    assert_same(model, fused, (1, 3, 65, 96))


def test_classifier():
    pytest.importorskip('mmpretrain.models')
    with DefaultScope.overwrite_default_scope('mmpretrain'):  # another test may have left mmdet's
        model = MODELS.build(
            dict(
                type='mmpretrain.ImageClassifier',
                backbone=dict(type='mmscale.ReXNet', width_mult=0.6, out_indices=(4,)),
                neck=dict(type='mmpretrain.GlobalAveragePooling'),
                head=dict(type='mmpretrain.LinearClsHead', num_classes=5, in_channels=768),
            )
        )
    fused = fuse(used(model))
    assert norms(fused) == []
    assert_same(model, fused)


@pytest.mark.parametrize('backbone', ['ReXNet', 'ScaleNet', 'SANResNet'])
def test_detector(backbone):
    """Boxes, scores and labels, with a normed FPN and box head."""
    from mmdet.registry import MODELS as DETECTORS
    from mmdet.structures import DetDataSample

    from mmscale.engine.config import load_config

    cfg = load_config('faster_rcnn_rexnet_fpn').model
    rows = FAMILIES[backbone]
    cfg.backbone = {**rows, 'type': f'mmscale.{rows["type"]}'}
    channels = dict(ReXNet=[30, 43, 84, 117], ScaleNet=[256, 512, 1024, 2048])
    cfg.neck.update(
        in_channels=channels.get(backbone, [64, 128, 256, 512]),
        out_channels=32,
        norm_cfg=dict(type='BN'),
        act_cfg=dict(type='ReLU'),
    )
    cfg.rpn_head.update(in_channels=32, feat_channels=32)
    cfg.roi_head.bbox_roi_extractor.out_channels = 32
    cfg.roi_head.bbox_head.update(
        type='Shared4Conv1FCBBoxHead',
        in_channels=32,
        conv_out_channels=16,
        fc_out_channels=32,
        num_classes=3,
        norm_cfg=dict(type='BN'),
    )
    cfg.test_cfg.rpn.update(nms_pre=50, max_per_img=20)
    torch.manual_seed(0)
    model = small_generators(DETECTORS.build(cfg))
    used(model).float()
    fused = fuse(model)
    expected = {'SANResNet': 20}.get(backbone, 0)  # the SAN's own, beside its networks
    assert len(norms(fused)) == expected

    shape = (96, 128)
    meta = dict(img_shape=shape, ori_shape=shape, batch_input_shape=shape, pad_shape=shape)
    sample = DetDataSample(metainfo=dict(**meta, scale_factor=(1, 1)))
    sample.gt_instances = InstanceData()
    x = images(1, 3, *shape)
    with torch.no_grad():
        ours = fused.predict(x, [copy.deepcopy(sample)], rescale=False)[0].pred_instances
        theirs = model.predict(x, [copy.deepcopy(sample)], rescale=False)[0].pred_instances
    assert len(theirs) > 5
    torch.testing.assert_close(ours.bboxes, theirs.bboxes, rtol=1e-4, atol=1e-2)
    torch.testing.assert_close(ours.scores, theirs.scores, rtol=1e-4, atol=1e-4)
    assert torch.equal(ours.labels, theirs.labels)


class Own(nn.Module):
    """A convolution and its norm, used as `forward` says."""

    def __init__(self, forward, **layers):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)
        for name, layer in layers.items():
            setattr(self, name, layer)
        self.used = forward

    def forward(self, x):
        return self.used(self, x)


class InTraining(Own):
    def train(self, mode=True):
        super().train(mode)
        self.norm.train()
        return self


def _taps(module, x):
    outputs = []
    for layer in module.features:
        x = layer(x)
        outputs.append(x)
    return outputs


def _alias_of_norm():
    module = Own(lambda m, x: m.norm(m.again(m.conv(x))))
    module.again = module.norm
    return module


def _alias_of_layer():
    module = Own(lambda m, x: m.norm(m.again(x)))
    module.again = module.conv
    return module


def _another_forward():
    module = Own(lambda m, x: m.norm(m.conv(x)))
    module.conv.forward = lambda x: 2 * x
    return module


class Inner(Own):
    def __init__(self):
        super().__init__(lambda m, x: m.norm(m.conv(x)))


class TakesWeight(nn.Module):
    """As mmdet's TaskDecomposition: from a grandchild, where no trace sees it."""

    def __init__(self):
        super().__init__()
        self.inner = Inner()

    def forward(self, x):
        _, _, height, _ = x.shape
        return F.conv2d(x, self.inner.conv.weight) * height + self.inner(x)


class CallsGrandchild(TakesWeight):
    def forward(self, x):
        _, _, height, _ = x.shape
        return self.inner.conv(x) * height + self.inner(x)


class Inherits(TakesWeight):
    """Its forward pass stands in another class."""


class Alias(TakesWeight):
    def forward(self, x):
        _, _, height, _ = x.shape
        inner = self.inner
        return inner.conv(x) * height + inner(x)


class FromList(nn.Module):
    def __init__(self):
        super().__init__()
        self.items = nn.ModuleList([Inner()])

    def forward(self, x):
        _, _, height, _ = x.shape
        return F.conv2d(x, self.items[0].conv.weight) * height + self.items[0](x)


class Unregistered(TakesWeight):
    """It has the layers of another module in a list of its own."""

    def __init__(self):
        super().__init__()
        self.others = [self.inner]

    def forward(self, x):
        _, _, height, _ = x.shape
        return self.others[0].norm(x) * height + self.inner(x)


class ThroughData(TakesWeight):
    """A weight as a view, not taken by its name."""

    def forward(self, x):
        _, _, height, _ = x.shape
        weight = next(self.inner.parameters()).data.view(3, 3, 1, 1)
        return F.conv2d(x, weight) * height + self.inner(x)


class Keeps(Inner):
    """The layer's output is kept, for someone else to use."""

    def forward(self, x, keep=False):
        y = self.conv(x)
        if keep:
            self.kept = y
        return self.norm(y)


class UsesKept(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = Keeps()

    def forward(self, x):
        y = self.inner(x, keep=True)
        return y, self.inner.kept


class SharedLayer(nn.Module):
    """A layer of two names, which is called by the longer one."""

    def __init__(self):
        super().__init__()
        self.inner = Inner()
        self.again = self.inner.conv
        self.norm = nn.BatchNorm2d(3)

    def forward(self, x):
        return self.norm(self.inner.conv(x)) + self.inner(x)


def _referred(attribute, refer, forward):
    """A convolution and its norm, of which a plain attribute refers to one too."""

    def make():
        model = Own(forward)
        object.__setattr__(model, attribute, refer(model))
        return model

    return make


def _own_forward_of_an_instance():
    model = nn.Sequential(nn.Conv2d(3, 3, 1, bias=False), nn.BatchNorm2d(3), nn.SiLU())

    def forward(x):
        y = model[1](model[0](x))
        return y + model[2](y)

    model.forward = forward
    return model


def _without_source():
    """A class as of a notebook."""
    names = dict(TakesWeight=TakesWeight, F=F)
    lines = (
        'class Typed(TakesWeight):',
        '    def forward(self, x):',
        '        _, _, height, _ = x.shape',
        '        return F.conv2d(x, self.inner.conv.weight) * height + self.inner(x)',
    )
    exec('\n'.join(lines), names)
    return names['Typed']()


TAPPED = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.ReLU())
NOT_TO_BE_FOLDED = {
    'norm of two names': _alias_of_norm,
    'layer of two names': _alias_of_layer,
    'maps between': lambda: Own(_taps, features=copy.deepcopy(TAPPED)),
    'weight taken': lambda: Own(lambda m, x: m.norm(m.conv(x)) + F.conv2d(x, m.conv.weight)),
    'norm taken': lambda: Own(lambda m, x: m.norm(m.conv(x)) * m.norm.weight.sum()),
    'batch statistics': lambda: InTraining(lambda m, x: m.norm(m.conv(x))),
    'another forward': _another_forward,
    'weight taken from outside': TakesWeight,
    'called from outside': CallsGrandchild,
    'inherited': Inherits,
    'alias': Alias,
    'of a list': FromList,
    'without source': _without_source,
    'of an unregistered list': Unregistered,
    'through data': ThroughData,
    'output kept': UsesKept,
    'layer of two modules': SharedLayer,
    'layer in a plain list': _referred('ops', lambda m: [m.conv], lambda m, x: m.norm(m.ops[0](x))),
    'norm in a plain dict': _referred(
        'ops', lambda m: dict(norm=m.norm), lambda m, x: m.ops['norm'](m.conv(x))
    ),
    'layer of a plain name': _referred('other', lambda m: m.conv, lambda m, x: m.norm(m.other(x))),
    'layer in a partial': _referred(
        'call', lambda m: functools.partial(m.conv), lambda m, x: m.norm(m.call(x))
    ),
    "an instance's own forward": _own_forward_of_an_instance,
}


@pytest.mark.parametrize('make', NOT_TO_BE_FOLDED.values(), ids=NOT_TO_BE_FOLDED)
def test_what_is_used_otherwise_is_left_alone(make):
    torch.manual_seed(0)
    model = make().double()
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            for tensor in (norm.weight.data, norm.bias.data, norm.running_mean):
                tensor.normal_()
    model.eval()
    x = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    with torch.no_grad():
        fused, expected = fuse(model)(x), model(x)
    if isinstance(expected, torch.Tensor):
        fused, expected = [fused], [expected]
    for ours, theirs in zip(fused, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


def test_rows_are_fused_and_nothing_else():
    model = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16)).eval()
    model[1].running_mean.normal_()
    fused = fuse(model)
    x = torch.randn(5, 8)
    torch.testing.assert_close(fused(x), model(x))
    with pytest.raises(UserError, match='fused for'):
        fused(torch.randn(5, 16, 8))
    other = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(10)).eval()
    x = torch.randn(5, 10, 8)
    torch.testing.assert_close(fuse(other)(x), other(x))


def test_hooks_on_sa_blocks_are_called():
    model = build(dict(type='ScaleNet', structure='scalenet50_light')).eval()
    calls = []
    model.stages[0][0].aggregate.register_forward_hook(lambda *_: calls.append(1))
    fused = fuse(model)
    calls.clear()  # those of the pass that was watched
    with torch.no_grad():
        fused(torch.rand(1, 3, 64, 64))
    assert calls == [1]


def _of_another_activation(model):
    for block in model.modules():
        if isinstance(block, ScaleAggregation):
            block.act = nn.LeakyReLU(0.3)


def _of_two_resizes(model):
    for block in model.modules():
        if isinstance(block, ScaleAggregation):
            block.branches['2'].resize = 'bilinear'


def _reflected(model):
    for block in model.modules():
        if isinstance(block, nn.Conv2d) and block.kernel_size == (3, 3):
            block.padding_mode = 'reflect'


@pytest.mark.parametrize(
    ('cfg', 'change'),
    [(SCALENET, _of_another_activation), (SCALENET, _of_two_resizes), (REXNET, _reflected)],
    ids=['activation', 'resize', 'padding'],
)
def test_changed_blocks_compute_what_they_were_changed_to(cfg, change, monkeypatch):
    monkeypatch.setattr(tiling, 'UNTILED', 0)
    monkeypatch.setattr(tiling, 'TILE', 50_000)
    model = used(build(cfg, out_indices=(0,)))
    change(model)
    assert_same(model, fuse(model), (1, 3, 64, 96))


def test_a_fused_san_forgets_with_its_san():
    san, other = (used(build(SAN, out_indices=(0,)), seed) for seed in (0, 1))
    fused = fuse(san)
    assert fused.out_channels == san.out_channels
    assert_same(san, fused, (1, 3, 64, 64))
    fused.san.load_state_dict(other.state_dict())
    assert_same(other, fused, (1, 3, 64, 64))
    batches = [images(1, 3, 64, 64).double()] * len(san.resolutions)
    for ours, theirs in zip(fused(batches), other(batches), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_what_is_kept_of_a_san_holds_one_network_each():
    fused = fuse(used(build(SAN, resolutions=(96, 64), out_indices=(0,), inference='ideal')))
    sizes = [len(pickle.dumps(fused.at(side))) for side in (64, 70, 80, 96)]
    assert max(sizes) < 1.1 * min(sizes)


def test_new_weights_of_a_fused_san():
    arguments = dict(type='SANResNet', depth=18, resolutions=(64, 32), base_channels=8)
    model, other = (build(arguments).eval() for _ in range(2))
    for parameter in other.parameters():
        parameter.data *= 0.9
    fused, x = pickle.loads(pickle.dumps(fuse(model))), torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        before = fused(x)
        fused.load_state_dict({f'san.{name}': v for name, v in other.state_dict().items()})
        for ours, theirs, old in zip(fused(x), other(x), before, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
            assert not torch.allclose(ours, old)


class TakesPair(nn.Module):
    """Not an image: it cannot be guessed."""

    def __init__(self):
        super().__init__()
        self.inner = Inner()

    def forward(self, pair, *, scale):
        return self.inner(pair[0]) * scale


def test_without_a_pass_nothing_is_folded(log):
    model, x = used(TakesPair()), torch.rand(1, 3, 4, 4).double()
    example = dict(pair=[x], scale=2.0)
    assert len(norms(fuse(model))) == 1
    assert 'example=' in log.with_word('TakesPair')
    fused = fuse(model, example=example)
    assert norms(fused) == []
    torch.testing.assert_close(fused(**example), model(**example))
    assert log.with_word('TakesPair')  # not said again


def test_outputs_for_the_example_are_compared(monkeypatch):
    model, x = used(Inner()), torch.rand(2, 3, 4, 4).double()
    assert norms(fuse(model, example=x)) == []
    monkeypatch.setattr(folding, 'folded', lambda layer, norm: copy.deepcopy(layer))
    with pytest.raises(UserError, match='example'):
        fuse(model, example=x)


class Doubled(nn.Module):
    """A block that says how it is fused."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)

    def forward(self, x):
        return 2 * self.conv(x)


def test_blocks_say_how_they_are_fused(monkeypatch):
    class More(Doubled):
        def forward(self, x):
            return super().forward(x) + 1

    def form(block):
        conv = copy.deepcopy(block.conv)
        conv.weight *= 2
        conv.bias *= 2
        return conv

    monkeypatch.setitem(blocks.FORMS, Doubled, None)  # taken back afterwards
    deploy.inference_form(Doubled)(form)
    model = used(nn.Sequential(Doubled(), More()))
    fused = fuse(model)
    assert type(fused[0]) is nn.Conv2d
    assert type(fused[1]) is More
    assert_same(model, fused, (2, 3, 8, 9))


class ReachesIn(nn.Module):
    def __init__(self, backbone, path):
        super().__init__()
        self.backbone = backbone
        self.path = path

    def forward(self, x):
        layer = self.backbone.get_submodule(self.path)
        return self.backbone(x)[0], F.relu(layer.weight)


@pytest.mark.parametrize(
    ('cfg', 'path'),
    [
        (REXNET, 'stages.0.1.depthwise.conv'),
        (SCALENET, 'stages.0.0.aggregate.branches.2.conv'),
        (SAN, 'stages.0.0.conv1.norm.norms.0'),
    ],
    ids=lambda value: value if isinstance(value, str) else value['type'],
)
def test_blocks_that_are_reached_into_stay(cfg, path):
    model = used(ReachesIn(build(cfg, out_indices=(0,)), path))
    assert_same(model, fuse(model), SHAPES[0])


# mmdet's detectors


def small_detector(name):
    """A detector of mmdet's with random weights; its norms are as after training."""
    from mmdet.utils import register_all_modules
    from mmengine.hub import get_config

    register_all_modules(init_default_scope=False)
    cfg = get_config(f'mmdet::{name}.py').model
    cfg.backbone.init_cfg = None
    if cfg.backbone.type == 'ResNet':
        cfg.backbone.depth = 18
        channels = [64, 128, 256, 512]
        if cfg.get('neck'):
            cfg.neck.in_channels = channels
        if cfg.get('panoptic_head'):
            cfg.panoptic_head.in_channels = channels
            cfg.panoptic_head.num_queries = 5
            decoder = cfg.panoptic_head.pixel_decoder.encoder
            decoder.num_layers = 1
            cfg.panoptic_head.transformer_decoder.num_layers = 1
    if cfg.get('roi_head'):
        cfg.test_cfg.rpn.update(nms_pre=20, max_per_img=5)
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmdet'):
        return used(MODELS.build(cfg)).float()


@pytest.mark.parametrize(
    'name',
    [
        'retinanet/retinanet_r50_fpn_1x_coco',
        'cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco',
        'rtmdet/rtmdet_tiny_8xb32-300e_coco',
        'mask2former/mask2former_r50_8xb2-lsj-50e_coco',
    ],
)
def test_detectors_of_mmdet(name):
    from mmdet.structures import DetDataSample

    model = small_detector(name)
    shape = (64, 96)
    meta = dict(img_shape=shape, ori_shape=shape, batch_input_shape=shape, pad_shape=shape)
    example = dict(
        inputs=images(1, 3, *shape),
        data_samples=[DetDataSample(metainfo=dict(**meta, scale_factor=(1, 1)))],
        mode='tensor',
    )
    fused = fuse(model)
    assert norms(fused) == []
    with torch.no_grad():
        check_same(model(**copy.deepcopy(example)), fused(**copy.deepcopy(example)))
