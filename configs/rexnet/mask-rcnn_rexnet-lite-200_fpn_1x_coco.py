_base_ = './mask-rcnn_rexnet-lite-100_fpn_1x_coco.py'

from mmscale import feature_channels

model = _base_.model
model.backbone.width_mult = 2.0
model.neck.in_channels = list(feature_channels(**model.backbone))
