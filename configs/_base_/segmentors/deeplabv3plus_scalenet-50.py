"""mmseg's DeepLabV3+ with ScaleNet-50, whose last maps are of stride 16."""

_base_ = ['../others.py', 'mmseg::_base_/models/deeplabv3plus_r50-d8.py']

from mmscale import feature_channels

# Input: RGB with ImageNet's mean and std, as mmseg's base has it (assumed: published nowhere).
model = dict(
    pretrained=None,
    backbone=dict(
        _delete_=True,
        type='mmscale.ScaleNet',
        depth=50,
        output_stride=16,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        # The authors' weights have to be fetched by hand (docs/weights.md); None is from scratch.
        init_cfg=dict(type='Pretrained', checkpoint=None),
    ),
    decode_head=dict(dilations=(1, 6, 12, 18)),
)
model['decode_head'] |= dict(
    in_channels=feature_channels(**model['backbone'])[3],
    c1_in_channels=feature_channels(**model['backbone'])[0],
)
model['auxiliary_head'] = dict(in_channels=feature_channels(**model['backbone'])[2])
