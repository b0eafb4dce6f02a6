"""ReXNet 1.0 as an ImageNet classifier."""

_base_ = '../_base_/rexnet_recipe.py'

from mmscale import feature_channels

model = dict(
    type='mmscale.ImageClassifier',
    backbone=dict(type='mmscale.ReXNet', width_mult=1.0, out_indices=(4,)),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='mmscale.DropoutLinearClsHead',
        num_classes=1000,
        in_channels=feature_channels('ReXNet', width_mult=1.0, out_indices=(4,))[0],
        dropout=0.2,
        loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original'),  # assumed
        topk=(1, 5),
    ),
)
