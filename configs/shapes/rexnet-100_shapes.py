"""ReXNet 1.0 as a classifier of the shapes data set's crops: minutes on two CPU cores."""

_base_ = '../classification/rexnet-100_in1k.py'

import os

from mmscale.datasets import shapes

model = dict(
    head=dict(num_classes=len(shapes.CLASSES), loss=dict(_delete_=True, type='CrossEntropyLoss'))
)
data_preprocessor = dict(num_classes=len(shapes.CLASSES), mean=[127.5] * 3, std=[64.0] * 3)
data_root = os.path.join(os.environ.get('SHAPES_ROOT') or 'data/shapes', 'classes', '')
train_pipeline = [
    dict(type='mmscale.LoadImage'),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs'),
]
test_pipeline = [
    dict(type='mmscale.LoadImage', replace=True),
    dict(type='Resize', scale=64),  # which the crops have; what replaces a broken one has not
    dict(type='PackInputs'),
]
train_dataloader = dict(
    batch_size=32,
    num_workers=1,
    dataset=dict(data_root=data_root, pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=32, num_workers=1, dataset=dict(data_root=data_root, pipeline=test_pipeline)
)
test_dataloader = val_dataloader

max_epochs = 3
train_cfg = dict(max_epochs=max_epochs)
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=0.002, weight_decay=0.05))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=60),
    dict(type='CosineAnnealingLR', T_max=max_epochs, by_epoch=True, convert_to_iter_based=True),
]
auto_scale_lr = dict(base_batch_size=32)
