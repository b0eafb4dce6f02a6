"""Mask R-CNN with ScaleNet-50 and FPN: COCO, 1x, 1333x800, SGD 0.02 for 16 images."""

_base_ = './_base_/mask_rcnn_1x_coco.py'

from mmscale import feature_channels

# faster_rcnn_scalenet_fpn.py says why.
options = dict(norm_eval='auto', init_cfg=dict(type='Pretrained', checkpoint=None))
backbone = dict(type='mmscale.ScaleNet', depth=50, **options)
model = dict(backbone=dict(_delete_=True, **backbone))
model['neck'] = dict(in_channels=list(feature_channels(**backbone)))
del options, backbone
