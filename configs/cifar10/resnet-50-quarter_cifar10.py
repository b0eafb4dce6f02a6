"""ResNet-50 of a quarter of the width: the plain network beside the allocated ScaleNets.

Smaller batches than the others and more epochs: accurate enough for a comparison to mean something.
"""

_base_ = './resnet-18-half_cifar10.py'

model = dict(
    backbone=dict(_delete_=True, type='ResNet', depth=50, base_channels=16, stem_channels=16),
    head=dict(in_channels=512),
)
train_dataloader = dict(batch_size=64)
auto_scale_lr = dict(base_batch_size=64)
max_epochs = 16
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=390),
    dict(type='CosineAnnealingLR', T_max=max_epochs, by_epoch=True, convert_to_iter_based=True),
]
