"""Cascade Mask R-CNN with ReXNet 1.0 and FPN: COCO, 1x, 1333x800, SGD 0.02 for 16 images."""

_base_ = '../_base_/cascade_mask_rcnn_1x_coco.py'

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
model['neck'] = dict(in_channels=list(feature_channels(**model['backbone'])))
