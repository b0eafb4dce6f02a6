_base_ = '../mask_rcnn_rexnet_fpn.py'

from mmscale import feature_channels

model = _base_.model
model.backbone.width_mult = 2.2
model.backbone.init_cfg.checkpoint = None  # no weights of this width were ever published
model.neck.in_channels = list(feature_channels(**model.backbone))
