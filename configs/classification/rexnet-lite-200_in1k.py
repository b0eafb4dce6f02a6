_base_ = './rexnet-lite-100_in1k.py'

from mmscale import feature_channels

model = dict(
    backbone=dict(width_mult=2.0),
    head=dict(in_channels=feature_channels('ReXNetLite', width_mult=2.0, out_indices=(4,))[0]),
)
