"""CIFAR-10 as class folders of images, train/ and test/ in $CIFAR_ROOT: a short recipe for CPUs.

The images are enlarged from 32 to 64 px, so that a stride of 32 leaves a map of 2x2.
"""

_base_ = './imagenet.py'

import os

data_root = os.path.join(os.environ.get('CIFAR_ROOT') or 'data/cifar10', '')
data_preprocessor = dict(num_classes=10, mean=[125.3, 123.0, 113.9], std=[63.0, 62.1, 66.7])
train_pipeline = [
    dict(type='mmscale.LoadImage'),
    dict(type='RandomCrop', crop_size=32, padding=4),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='Resize', scale=64),
    dict(type='PackInputs'),
]
test_pipeline = [
    dict(type='mmscale.LoadImage', replace=True),
    dict(type='Resize', scale=64),
    dict(type='PackInputs'),
]
train_dataloader = dict(
    batch_size=128,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(data_root=data_root, pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=256,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(data_root=data_root, data_prefix='test', pipeline=test_pipeline),
)
test_dataloader = val_dataloader

max_epochs = 6
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=1)
optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4),
)
auto_scale_lr = dict(base_batch_size=128)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=390),
    dict(type='CosineAnnealingLR', T_max=max_epochs, by_epoch=True, convert_to_iter_based=True),
]
custom_hooks = [dict(type='mmscale.EpochSeedHook'), dict(type='mmscale.ChannelsLastHook')]
