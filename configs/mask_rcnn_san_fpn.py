"""Mask R-CNN with SAN ResNet-50 and FPN. No such result was ever published: it is an experiment."""

_base_ = './_base_/mask_rcnn_1x_coco.py'

from mmscale import feature_channels

# faster_rcnn_san_fpn.py says why.
options = dict(norm_eval='auto', init_cfg=dict(type='Pretrained', checkpoint=None))
backbone = dict(type='mmscale.SANResNet', depth=50, resolutions=(224,), resolution=224, **options)
model = dict(
    data_preprocessor=dict(mean=[0.0, 0.0, 0.0], std=[255.0, 255.0, 255.0]),
    backbone=dict(_delete_=True, **backbone),
)
model['neck'] = dict(in_channels=list(feature_channels(**backbone)))
del options, backbone
