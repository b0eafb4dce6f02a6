_base_ = '../faster_rcnn_rexnet_fpn.py'

from mmscale import feature_channels

model = dict(
    backbone=dict(
        width_mult=2.2,
        init_cfg=dict(checkpoint=None),  # no weights of this width were ever published
    ),
    neck=dict(in_channels=list(feature_channels('ReXNet', width_mult=2.2))),
)
