"""Mask R-CNN with ReXNet 1.0 and FPN: COCO, 1x, 1333x800, SGD 0.02 for 16 images."""

_base_ = './_base_/mask_rcnn_1x_coco.py'

from mmscale import feature_channels

# faster_rcnn_rexnet_fpn.py says why.
options = dict(
    norm_eval='auto', init_cfg=dict(type='Pretrained', checkpoint='timm://rexnet_100.nav_in1k')
)
backbone = dict(type='mmscale.ReXNet', width_mult=1.0, **options)
model = dict(backbone=dict(_delete_=True, **backbone))
model['neck'] = dict(in_channels=list(feature_channels(**backbone)))
del options, backbone
