"""mmseg's DeepLabV3+ with ReXNet 1.0, whose last maps are of stride 16."""

_base_ = ['../others.py', 'mmseg::_base_/models/deeplabv3plus_r50-d8.py']

from mmscale import feature_channels

# Input: RGB with ImageNet's mean and std, as mmseg's base has it and the published weights expect.
model = dict(
    pretrained=None,
    backbone=dict(
        _delete_=True,
        type='mmscale.ReXNet',
        width_mult=1.0,
        output_stride=16,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        # The authors' ImageNet weights; without: --cfg-options model.backbone.init_cfg=None
        init_cfg=dict(type='Pretrained', checkpoint='timm://rexnet_100.nav_in1k'),
    ),
    decode_head=dict(dilations=(1, 6, 12, 18)),
)
model['decode_head'] |= dict(
    in_channels=feature_channels(**model['backbone'])[3],
    c1_in_channels=feature_channels(**model['backbone'])[0],
)
model['auxiliary_head'] = dict(in_channels=feature_channels(**model['backbone'])[2])
