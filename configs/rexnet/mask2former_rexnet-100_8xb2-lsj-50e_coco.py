"""Mask2Former with ReXNet 1.0: COCO, 50 epochs, 1024x1024, AdamW 0.0001 for 16 images."""

_base_ = '../_base_/mask2former_50e_coco.py'

from mmscale import feature_channels

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmscale.ReXNet',
        width_mult=1.0,
        norm_eval='auto',
        # The authors' ImageNet weights; without: --cfg-options model.backbone.init_cfg=None
        init_cfg=dict(type='Pretrained', checkpoint='timm://rexnet_100.nav_in1k'),
    ),
)
model['panoptic_head'] = dict(in_channels=list(feature_channels(**model['backbone'])))
