"""ResNet-50, which ScaleNet 50-light is made from and costs as much as: to compare with."""

_base_ = './scalenet-50-light_cifar10.py'

model = dict(
    type='ImageClassifier',
    backbone=dict(_delete_=True, type='ResNet', depth=50),
    head=dict(in_channels=2048),
)
