_base_ = './rexnet-lite-100_in1k.py'

from mmscale import feature_channels

model = _base_.model
model.backbone.width_mult = 2.0
model.head.in_channels = feature_channels(**model.backbone)[0]
