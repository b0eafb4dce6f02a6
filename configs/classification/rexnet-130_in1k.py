_base_ = './rexnet-100_in1k.py'

from mmscale import feature_channels

model = _base_.model
model.backbone.width_mult = 1.3
model.head.in_channels = feature_channels(**model.backbone)[0]
