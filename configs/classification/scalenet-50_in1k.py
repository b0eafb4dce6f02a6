"""ScaleNet-50 as an ImageNet classifier."""

_base_ = ['../_base_/imagenet_classifier.py', '../_base_/scalenet_recipe.py']

from mmscale import feature_channels

model = dict(
    backbone=dict(type='mmscale.ScaleNet', depth=50, out_indices=(3,)),
    # Without init_cfg the weights begin as PyTorch's default, as in the authors' program.
    head=dict(type='LinearClsHead', init_cfg=None, loss=dict(type='CrossEntropyLoss')),
)
model['head']['in_channels'] = feature_channels(**model['backbone'])[0]
