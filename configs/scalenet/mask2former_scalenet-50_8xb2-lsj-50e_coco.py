"""Mask2Former with ScaleNet-50: COCO, 50 epochs, 1024x1024, AdamW 0.0001 for 16 images."""

_base_ = '../_base_/mask2former_50e_coco.py'

from mmscale import feature_channels

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmscale.ScaleNet',
        depth=50,
        norm_eval='auto',
        # The authors' weights have to be fetched by hand (docs/weights.md); None is from scratch.
        init_cfg=dict(type='Pretrained', checkpoint=None),
    ),
)
model['panoptic_head'] = dict(in_channels=list(feature_channels(**model['backbone'])))
