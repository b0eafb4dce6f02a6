"""What a backbone hands out, seen by running it."""

import pytest

from mmscale.adapting.observing import observe
from mmscale.errors import UserError

NETWORKS = {
    'ResNet': (dict(type='ResNet', depth=50), (256, 512, 1024, 2048), (4, 8, 16, 32)),
    'weights are not fetched': (
        dict(type='ResNet', depth=18, init_cfg=dict(type='Pretrained', checkpoint='nowhere://x')),
        (64, 128, 256, 512),
        (4, 8, 16, 32),
    ),
    'C4': (
        dict(type='ResNet', depth=50, num_stages=3, strides=(1, 2, 2), dilations=(1, 1, 1),
             out_indices=(2,)),
        (1024,), (16,),
    ),
    'dilated C5': (
        dict(type='ResNet', depth=50, strides=(1, 2, 2, 1), dilations=(1, 1, 1, 2),
             out_indices=(3,)),
        (2048,), (16,),
    ),
    'deformable': (
        dict(type='ResNet', depth=50, dcn=dict(type='DCNv2', deform_groups=1),
             stage_with_dcn=(False, True, True, True)),
        (256, 512, 1024, 2048), (4, 8, 16, 32),
    ),
    'ours, dilated': (
        dict(type='mmscale.ReXNet', width_mult=1.0, out_indices=(0, 1, 2, 3), output_stride=8),
        (38, 61, 128, 185), (4, 8, 8, 8),
    ),
    'Swin': (
        dict(type='SwinTransformer', embed_dims=96, depths=(2, 2, 2, 2), out_indices=(1, 2, 3)),
        (192, 384, 768), (8, 16, 32),
    ),
    'five levels': (
        dict(type='CSPNeXt', arch='P6', deepen_factor=0.33, widen_factor=0.5,
             out_indices=(2, 3, 4, 5)),
        (128, 256, 384, 512), (8, 16, 32, 64),
    ),
    'Darknet': (dict(type='Darknet', depth=53), (256, 512, 1024), (8, 16, 32)),
    'norms without an epsilon': (
        dict(type='ResNet', depth=18, norm_cfg=dict(type='BN', eps=0.0)),
        (64, 128, 256, 512), (4, 8, 16, 32),
    ),
    'VGG': (
        dict(type='SSDVGG', depth=16, with_last_pool=False, ceil_mode=True, out_indices=(3, 4),
             out_feature_indices=(22, 34)),
        (512, 1024), (8, 16),
    ),
    'ours': (dict(type='mmscale.ReXNet', out_indices=(1, 3)), (61, 185), (8, 32)),
}  # fmt: skip


@pytest.mark.parametrize(('backbone', 'channels', 'strides'), NETWORKS.values(), ids=NETWORKS)
def test_channels_and_strides_are_those_of_the_maps(backbone, channels, strides):
    seen = observe(backbone, 'mmdet')
    assert (seen.channels, seen.strides) == (channels, strides)
    assert seen.parameters


def test_defaults_are_seen_too():
    assert observe(dict(type='ResNet', depth=18), 'mmdet').settings == {
        'frozen_stages': -1, 'norm_eval': True, 'with_cp': False,
    }  # fmt: skip
    assert (
        'norm_eval' not in observe(dict(type='SwinTransformer', depths=(1,) * 4), 'mmdet').settings
    )


def test_ours_are_seen_without_their_dilation_too():
    dilated = dict(type='mmscale.ReXNet', width_mult=1.0, output_stride=8)
    assert observe(dilated, 'mmdet').levels == (4, 8, 16, 32)


def test_kinds_are_those_of_the_parents_too():
    seen = observe(dict(type='ResNeXt', depth=50, groups=32, base_width=4), 'mmdet')
    assert {'ResNeXt', 'ResNet'} <= set(seen.kinds)


@pytest.mark.parametrize(
    ('backbone', 'word'),
    [
        (dict(type='ResNet', depth=51), '51'),
        (dict(type='NoNet'), 'NoNet'),
        (dict(type='mmpretrain.VisionTransformer', arch='deit-tiny', img_size=256), 'no maps'),
    ],
)
def test_what_cannot_be_observed_is_said(backbone, word):
    with pytest.raises(UserError, match=word):
        observe(backbone, 'mmdet')
