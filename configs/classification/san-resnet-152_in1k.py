_base_ = './san-resnet-18_in1k.py'

from mmscale import feature_channels

model = _base_.model
model.backbone.depth = 152
model.head.in_channels = feature_channels(**model.backbone)[0]
