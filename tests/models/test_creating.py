"""Backbones by a short name, for plain PyTorch."""

import golden
import pytest
import torch
from checkpoint_files import CASE, save

import mmscale
from mmscale.models import BACKBONES, ReXNet, SANResNet, ScaleNet

NAMES = mmscale.list_backbones()


def test_every_published_network_has_a_name():
    assert len(NAMES) == len(set(NAMES)) == sum(len(list(cls.variants())) for cls in BACKBONES)
    assert mmscale.list_backbones('san_resnext*') == [
        'san_resnext_101_32x8d',
        'san_resnext_50_32x4d',
    ]
    assert mmscale.list_backbones(pretrained=True) == [
        f'rexnet_{width}' for width in (100, 130, 150, 200, 300)
    ]
    assert mmscale.list_backbones('resnet*') == []
    assert {'create', 'list_backbones'} <= set(dir(mmscale))


@pytest.mark.parametrize(
    ('name', 'cls', 'channels'),
    [
        ('rexnet_220', ReXNet, [85, 134, 283, 406]),
        ('scalenet-50-light', ScaleNet, [256, 512, 1024, 2048]),
        ('san_resnet_18', SANResNet, [64, 128, 256, 512]),
    ],
)
def test_networks_by_name(name, cls, channels):
    backbone = mmscale.create(name)
    assert type(backbone) is cls
    info = backbone.feature_info
    assert info.channels() == channels == list(backbone.out_channels)
    assert info.reduction() == [4, 8, 16, 32]
    assert backbone.training


def test_feature_info_says_what_comes_out():
    backbone = mmscale.create('rexnet_100', out_indices=(1, 3), output_stride=16, in_channels=1)
    seen = {}
    for info in backbone.feature_info:
        stage = backbone.get_submodule(info['module'])
        stage.register_forward_hook(lambda _, __, x, i=info['index']: seen.update({i: x}))
    maps = backbone(torch.zeros(1, 1, 64, 96))
    info = backbone.feature_info
    assert [x.shape[1] for x in maps] == info.channels()
    assert [64 // x.shape[2] for x in maps] == info.reduction() == [8, 16]
    assert all(torch.equal(x, seen[i['index']]) for x, i in zip(maps, info))
    assert info.module_name() == ['stages.1', 'stages.3']


def test_weights_of_a_file(tmp_path, capfd):
    path = save(golden.state_dict(CASE), tmp_path / 'weights.pth')
    backbone = mmscale.create('rexnet_100', pretrained=str(path))
    other = mmscale.create('rexnet_100', init_cfg=dict(type='Pretrained', checkpoint=str(path)))
    assert torch.equal(backbone.stem.conv.weight, other.stem.conv.weight)
    assert not torch.equal(backbone.stem.conv.weight, mmscale.create('rexnet_100').stem.conv.weight)
    assert len(capfd.readouterr().err.splitlines()) < 10  # mmengine's list has hundreds


def test_weights_of_the_hub_are_those_of_the_configs(monkeypatch):
    asked = []
    monkeypatch.setattr(ReXNet, 'init_weights', lambda self: asked.append(self.init_cfg))
    mmscale.create('rexnet_130', pretrained=True)
    assert asked == [dict(type='Pretrained', checkpoint='timm://rexnet_130.nav_in1k')]


@pytest.mark.parametrize(
    ('name', 'arguments', 'message'),
    [
        ('rexnet_101', {}, "'rexnet_101' is unknown.*'rexnet_100'"),
        (None, {}, 'None is unknown'),
        ('scalenet_50', dict(pretrained=True), 'not on the hub.*pretrained=FILE'),
        ('rexnet_100', dict(width_mult=1.3), 'fixes width_mult'),
        ('rexnet_100', dict(width=1.3), "no argument 'width'"),
        ('rexnet_100', dict(out_indices=(7,)), r'out_indices=\(7,\)'),
        ('rexnet_100', dict(pretrained='gone.pth'), "'gone.pth' is missing"),
        ('rexnet_100', dict(pretrained=True, init_cfg=None), 'not both'),
    ],
)
def test_what_is_wrong_is_said(name, arguments, message):
    with pytest.raises(mmscale.UserError, match=message):
        mmscale.create(name, **arguments)
