"""SAN ResNet-18: one classifier for 224, 192, 160, 128 and 96 px."""

_base_ = '../_base_/san_recipe.py'

from mmscale import feature_channels

model = dict(
    type='mmscale.SANClassifier',
    kd=False,  # True: smaller resolutions learn from larger ones
    backbone=dict(type='mmscale.SANResNet', depth=18, out_indices=(3,)),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        num_classes=1000,
        in_channels=feature_channels('SANResNet', depth=18, out_indices=(3,))[0],
        init_cfg=None,
        loss=dict(type='CrossEntropyLoss'),
        topk=(1, 5),
    ),
)
