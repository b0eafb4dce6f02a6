"""SegFormer's light head, half as wide as mmseg's, on ScaleNet-50."""

_base_ = ['../others.py', 'mmseg::_base_/models/segformer_mit-b0.py']

from mmscale import feature_channels

# Input: RGB with ImageNet's mean and std, as mmseg's base has it (assumed: published nowhere).
model = dict(
    pretrained=None,
    backbone=dict(
        _delete_=True,
        type='mmscale.ScaleNet',
        depth=50,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        # The authors' weights have to be fetched by hand (docs/weights.md); None is from scratch.
        init_cfg=dict(type='Pretrained', checkpoint=None),
    ),
    decode_head=dict(channels=128),
)
model['decode_head']['in_channels'] = list(feature_channels(**model['backbone']))
