"""Faster R-CNN with ReXNet 1.0 and a slim FPN: minutes on two CPU cores.

From scratch, unless model.backbone.init_cfg.checkpoint names what rexnet-100_shapes.py has trained.
"""

_base_ = [
    '../_base_/shapes_detector.py',
    '../_base_/shapes_detection.py',
    '../_base_/shapes_schedule.py',
]

from mmscale import feature_channels

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmscale.ReXNet',
        width_mult=1.0,
        init_cfg=dict(type='Pretrained', checkpoint=None),
    ),
)
model['neck'] = dict(in_channels=list(feature_channels(**model['backbone'])))
