"""Faster R-CNN with ReXNet 1.0 and FPN: COCO, 1x, 1333x800, SGD 0.02 for 16 images."""

_base_ = './_base_/faster_rcnn_1x_coco.py'

from mmscale import feature_channels

# Input: RGB with ImageNet's mean and std, as mmdet's base has it and the published weights expect.
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
