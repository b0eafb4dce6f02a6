_base_ = '../faster_rcnn_rexnet_fpn.py'

from mmscale import feature_channels

model = dict(
    backbone=dict(
        type='mmscale.ReXNetLite',
        width_mult=1.0,
        # The authors' weights have to be fetched by hand (docs/weights.md); None is from scratch.
        init_cfg=dict(checkpoint=None),
    ),
    neck=dict(in_channels=list(feature_channels('ReXNetLite', width_mult=1.0))),
)
