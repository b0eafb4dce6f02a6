"""mmseg's UPerNet with ReXNet 1.0."""

_base_ = ['../others.py', 'mmseg::_base_/models/upernet_r50.py']

from mmscale import feature_channels

# Input: RGB with ImageNet's mean and std, as mmseg's base has it and the published weights expect.
model = dict(
    pretrained=None,
    backbone=dict(
        _delete_=True,
        type='mmscale.ReXNet',
        width_mult=1.0,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        # The authors' ImageNet weights; without: --cfg-options model.backbone.init_cfg=None
        init_cfg=dict(type='Pretrained', checkpoint='timm://rexnet_100.nav_in1k'),
    ),
)
model['decode_head'] = dict(in_channels=list(feature_channels(**model['backbone'])))
model['auxiliary_head'] = dict(in_channels=model['decode_head']['in_channels'][2])
