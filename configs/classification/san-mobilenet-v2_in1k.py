"""SAN MobileNetV2: one classifier for 224, 192, 160, 128 and 96 px."""

_base_ = './san-resnet-18_in1k.py'

from mmscale import feature_channels

model = _base_.model
model.backbone = dict(type='mmscale.SANMobileNetV2', out_indices=(4,))
model.head.in_channels = feature_channels(**model.backbone)[0]
max_epochs = 150
train_cfg = dict(max_epochs=max_epochs)
optim_wrapper = dict(optimizer=dict(lr=0.05, weight_decay=4e-5))
param_scheduler = [dict(type='CosineAnnealingLR', T_max=max_epochs, by_epoch=True)]
