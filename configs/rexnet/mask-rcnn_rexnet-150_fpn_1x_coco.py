_base_ = '../mask_rcnn_rexnet_fpn.py'

from mmscale import feature_channels

model = _base_.model
model.backbone.width_mult = 1.5
model.backbone.init_cfg.checkpoint = 'timm://rexnet_150.nav_in1k'
model.neck.in_channels = list(feature_channels(**model.backbone))
