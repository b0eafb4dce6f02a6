"""SAN ResNet-18 of half the width on CIFAR-10, at 32, 28, 24, 20 and 16 px at once.

A seventh of the published resolutions, with the same encodings.
"""

_base_ = '../_base_/cifar10_32px.py'

backbone = dict(
    type='mmscale.SANResNet',
    depth=18,
    base_channels=32,
    resolutions=(32, 28, 24, 20, 16),
    encoding_base=320 / 7,
    out_indices=(3,),
    # The authors' generators begin in (-1, 1), ten times the usual weights: with norms behind them
    # they turn slowly, which a few epochs do not make up for. These turn as a plain network's do.
    init_cfg=dict(type='Normal', layer='Linear', std=0.2),
)
model = dict(
    type='mmscale.SANClassifier',
    kd=True,
    backbone=backbone,
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        num_classes=10,
        in_channels=256,
        init_cfg=None,
        loss=dict(type='CrossEntropyLoss'),
    ),
)
# The model resizes, and flips at every resolution anew.
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='mmscale.LoadImage'),
            dict(type='RandomCrop', crop_size=32, padding=4),
            dict(type='PackInputs'),
        ]
    )
)
