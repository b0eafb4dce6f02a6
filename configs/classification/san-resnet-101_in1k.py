_base_ = './san-resnet-18_in1k.py'

from mmscale import feature_channels

model = dict(
    backbone=dict(depth=101),
    head=dict(in_channels=feature_channels('SANResNet', depth=101, out_indices=(3,))[0]),
)
