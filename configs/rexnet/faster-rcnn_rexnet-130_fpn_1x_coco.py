_base_ = '../faster_rcnn_rexnet_fpn.py'

from mmscale import feature_channels

model = dict(
    backbone=dict(
        width_mult=1.3,
        init_cfg=dict(checkpoint='timm://rexnet_130.nav_in1k'),
    ),
    neck=dict(in_channels=list(feature_channels('ReXNet', width_mult=1.3))),
)
