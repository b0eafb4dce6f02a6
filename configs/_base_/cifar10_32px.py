"""CIFAR-10 at its own 32 px and below, where small batches, and so more steps, pay."""

_base_ = './cifar10.py'

train_pipeline = [
    dict(type='mmscale.LoadImage'),
    dict(type='RandomCrop', crop_size=32, padding=4),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    # Antialiased, as SAN's own resizing is.
    dict(type='Resize', scale=32, backend='pillow'),
    dict(type='PackInputs'),
]
test_pipeline = [
    dict(type='mmscale.LoadImage', replace=True),
    dict(type='Resize', scale=32, backend='pillow'),
    dict(type='PackInputs'),
]
train_dataloader = dict(batch_size=64, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
auto_scale_lr = dict(base_batch_size=64)
