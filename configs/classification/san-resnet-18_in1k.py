"""SAN ResNet-18: one classifier for 224, 192, 160, 128 and 96 px."""

_base_ = ['../_base_/imagenet_classifier.py', '../_base_/san_recipe.py']

from mmscale import feature_channels

model = dict(
    type='mmscale.SANClassifier',
    kd=False,  # True: smaller resolutions learn from larger ones
    backbone=dict(type='mmscale.SANResNet', depth=18, out_indices=(3,)),
    head=dict(type='LinearClsHead', init_cfg=None, loss=dict(type='CrossEntropyLoss')),
)
model['head']['in_channels'] = feature_channels(**model['backbone'])[0]
