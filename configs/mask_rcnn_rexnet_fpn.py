"""Mask R-CNN with ReXNet 1.0 and FPN: COCO, 1x, 1333x800, SGD 0.02 for 16 images."""

_base_ = [
    'mmdet::_base_/models/mask-rcnn_r50_fpn.py',
    './_base_/coco_instance.py',
    'mmdet::_base_/schedules/schedule_1x.py',
    './_base_/runtime.py',
]

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
    neck=dict(in_channels=list(feature_channels('ReXNet', width_mult=1.0))),
)
