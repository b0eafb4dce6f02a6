_base_ = './rexnet-100_in1k.py'

from mmscale import feature_channels

model = dict(
    backbone=dict(width_mult=0.9),
    head=dict(in_channels=feature_channels('ReXNet', width_mult=0.9, out_indices=(4,))[0]),
)
