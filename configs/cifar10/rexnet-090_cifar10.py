"""ReXNet 0.9 on CIFAR-10, from scratch."""

_base_ = '../_base_/cifar10.py'

from mmscale import feature_channels

backbone = dict(type='mmscale.ReXNet', width_mult=0.9, out_indices=(4,))
model = dict(
    type='mmscale.ImageClassifier',
    backbone=backbone,
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        num_classes=10,
        in_channels=feature_channels(**backbone)[0],
        loss=dict(type='CrossEntropyLoss'),
    ),
)
