"""What every classifier here shares: mmpretrain's runtime and RGB with ImageNet's mean and std."""

_base_ = 'mmpretrain::_base_/default_runtime.py'

data_preprocessor = dict(
    num_classes=1000,
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    to_rgb=True,
)
