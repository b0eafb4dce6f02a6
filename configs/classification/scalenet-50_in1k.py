"""ScaleNet-50 as an ImageNet classifier."""

_base_ = '../_base_/scalenet_recipe.py'

from mmscale import feature_channels

model = dict(
    type='mmscale.ImageClassifier',
    backbone=dict(type='mmscale.ScaleNet', depth=50, out_indices=(3,)),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        num_classes=1000,
        in_channels=feature_channels('ScaleNet', depth=50, out_indices=(3,))[0],
        # PyTorch's default, as in the authors' program.
        init_cfg=None,
        loss=dict(type='CrossEntropyLoss'),
        topk=(1, 5),
    ),
)
