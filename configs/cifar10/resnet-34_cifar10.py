"""ResNet-34, whose cost is near ScaleNet 50-light's: to compare with."""

_base_ = './resnet-18-half_cifar10.py'

model = dict(
    backbone=dict(_delete_=True, type='ResNet', depth=34),
    head=dict(in_channels=512),
)
