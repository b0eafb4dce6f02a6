_base_ = '../mask_rcnn_rexnet_fpn.py'

from mmscale import feature_channels

model = dict(
    backbone=dict(type='mmscale.ReXNetLite', width_mult=2.0),
    neck=dict(in_channels=list(feature_channels('ReXNetLite', width_mult=2.0))),
)
