"""How ReXNet's authors trained on ImageNet: 400 epochs, 4 GPUs with 128 images each.

Published: SGD with lr 0.5 for 512 images, cosine, 400 epochs, weight decay 1e-5, dropout 0.2,
RandAugment m9 n2 std 0.5, random erasing 0.2 with pixel noise, mixed precision (train.py --amp).
Assumed, as timm's defaults of that time: Nesterov momentum 0.9, label smoothing 0.1, no decay of
norms and biases, 5 epochs of warm-up from 1e-4, random interpolation. Left out: the cool-down.
"""

_base_ = './imagenet.py'

color = [104, 116, 124]  # BGR, ImageNet's mean
crops = [
    [dict(type='RandomResizedCrop', scale=224, backend='pillow', interpolation=interpolation)]
    for interpolation in ('bilinear', 'bicubic')
]
train_pipeline = [
    dict(type='mmscale.LoadImage'),
    dict(type='RandomChoice', transforms=crops),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(
        type='RandAugment',
        policies='timm_increasing',
        num_policies=2,
        total_level=10,
        magnitude_level=9,
        magnitude_std=0.5,
        hparams=dict(pad_val=color, interpolation='bicubic'),
    ),
    dict(
        type='RandomErasing',
        erase_prob=0.2,
        mode='rand',
        min_area_ratio=0.02,
        max_area_ratio=1 / 3,
        fill_color=color,
        fill_std=[57, 57, 58],
    ),
    dict(type='PackInputs'),
]
train_dataloader = dict(batch_size=128, dataset=dict(pipeline=train_pipeline))

max_epochs, warmup = 400, 5
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=1)
optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.5, momentum=0.9, nesterov=True, weight_decay=1e-5),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
)
auto_scale_lr = dict(base_batch_size=512)
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=1e-4 / 0.5,
        by_epoch=True,
        begin=0,
        end=warmup,
        convert_to_iter_based=True,
    ),
    dict(
        type='CosineAnnealingLR',
        T_max=max_epochs - warmup,
        eta_min=1e-5,
        by_epoch=True,
        begin=warmup,
        end=max_epochs,
    ),
]
