"""ReXNet 1.0 as an ImageNet classifier."""

_base_ = ['../_base_/imagenet_classifier.py', '../_base_/rexnet_recipe.py']

from mmscale import feature_channels

model = dict(
    backbone=dict(type='mmscale.ReXNet', width_mult=1.0, out_indices=(4,)),
    head=dict(
        type='mmscale.DropoutLinearClsHead',
        dropout=0.2,
        loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original'),  # assumed
    ),
)
model['head']['in_channels'] = feature_channels(**model['backbone'])[0]
