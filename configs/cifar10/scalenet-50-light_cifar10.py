"""ScaleNet 50-light on CIFAR-10, from scratch."""

_base_ = './rexnet-090_cifar10.py'

from mmscale import feature_channels

backbone = dict(
    _delete_=True, type='mmscale.ScaleNet', structure='scalenet50_light', out_indices=(3,)
)
model = dict(
    backbone=backbone,
    head=dict(
        in_channels=feature_channels('ScaleNet', structure='scalenet50_light', out_indices=(3,))[0]
    ),
)
