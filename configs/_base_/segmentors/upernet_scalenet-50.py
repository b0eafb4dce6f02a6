"""mmseg's UPerNet with ScaleNet-50."""

_base_ = ['../others.py', 'mmseg::_base_/models/upernet_r50.py']

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
)
model['decode_head'] = dict(in_channels=list(feature_channels(**model['backbone'])))
model['auxiliary_head'] = dict(in_channels=model['decode_head']['in_channels'][2])
