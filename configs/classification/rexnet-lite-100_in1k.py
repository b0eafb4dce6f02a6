"""ReXNet-lite 1.0 as an ImageNet classifier; its head has a hidden layer of 1024."""

_base_ = ['../_base_/imagenet_classifier.py', '../_base_/rexnet_recipe.py']

from mmscale import feature_channels

model = dict(
    backbone=dict(type='mmscale.ReXNetLite', width_mult=1.0, out_indices=(4,)),
    head=dict(
        type='StackedLinearClsHead',
        mid_channels=[1024],
        dropout_rate=0.2,
        norm_cfg=dict(type='BN1d'),
        act_cfg=dict(type='ReLU6'),
        loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original'),  # assumed
    ),
)
model['head']['in_channels'] = feature_channels(**model['backbone'])[0]
