"""A check of the whole road: learn by heart where things are in a few COCO images, from scratch.

Meant for a COCO_ROOT with some 50 images, and the maps that tools/make_semantic.py makes of their
masks. Trains and evaluates on the same training images; a mIoU that stays below 0.5 means that
data, model or evaluation are broken.
"""

_base_ = [
    '../_base_/segmentors/segformer_rexnet-100.py',
    '../_base_/coco_semantic.py',
    '../_base_/segmentation_runtime.py',
]

size, norm_cfg = (160, 160), dict(type='BN')
model = dict(
    data_preprocessor=dict(size=size),
    backbone=dict(init_cfg=None, norm_cfg=norm_cfg),
    decode_head=dict(num_classes=len(_base_.classes), dropout_ratio=0.0, norm_cfg=norm_cfg),
)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='Resize', scale=size),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=size),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(batch_size=8, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(
    dataset=dict(data_prefix=_base_.train_dataloader.dataset.data_prefix, pipeline=test_pipeline)
)
test_dataloader = val_dataloader

max_iters = 300
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=max_iters // 3)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=30),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=30, end=max_iters, eta_min_ratio=0.01),
]
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=0.0015, weight_decay=0.0),  # nothing has to generalise
    clip_grad=dict(max_norm=10),
)
auto_scale_lr = dict(enable=False, base_batch_size=8)

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=20, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=50, max_keep_ckpts=2),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    visualization=dict(type='SegVisualizationHook'),
)
custom_hooks = [dict(type='mmscale.ChannelsLastHook')]
log_processor = dict(window_size=20)
