"""SegFormer's light head, half as wide as mmseg's, on ReXNet 1.0."""

_base_ = ['../others.py', 'mmseg::_base_/models/segformer_mit-b0.py']

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
    decode_head=dict(channels=128),
)
model['decode_head']['in_channels'] = list(feature_channels(**model['backbone']))
