"""ResNet-18 of half the width at 32 px, to compare SAN with.

At another size, 24 px say: --cfg-options train_dataloader.dataset.pipeline.3.scale=24
val_dataloader.dataset.pipeline.1.scale=24 test_dataloader.dataset.pipeline.1.scale=24
"""

_base_ = './resnet-18-half_cifar10.py'

resize = dict(type='Resize', scale=32)
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='mmscale.LoadImage'),
            dict(type='RandomCrop', crop_size=32, padding=4),
            dict(type='RandomFlip', prob=0.5, direction='horizontal'),
            resize,
            dict(type='PackInputs'),
        ]
    )
)
val_dataloader = dict(
    dataset=dict(
        pipeline=[dict(type='mmscale.LoadImage', replace=True), resize, dict(type='PackInputs')]
    )
)
test_dataloader = val_dataloader
