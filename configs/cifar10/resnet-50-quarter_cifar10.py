"""ResNet-50 of a quarter of the width: the plain network beside the allocated ScaleNets."""

_base_ = './resnet-18-half_cifar10.py'

model = dict(
    backbone=dict(_delete_=True, type='ResNet', depth=50, base_channels=16, stem_channels=16),
    head=dict(in_channels=512),
)
