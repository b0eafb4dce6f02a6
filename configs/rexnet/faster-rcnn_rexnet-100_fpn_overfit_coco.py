"""A check of the whole road: learn a few COCO images by heart, small and from scratch.

Meant for a COCO_ROOT with some 50 images. Trains and evaluates on the same training images; a box
AP50 that stays near zero means that data, model or evaluation are broken.
"""

_base_ = [
    '../_base_/shapes_detector.py',
    '../_base_/coco_detection.py',
    '../_base_/shapes_schedule.py',
]

from mmscale import feature_channels

model = dict(
    backbone=dict(_delete_=True, type='mmscale.ReXNet', width_mult=1.0, init_cfg=None),
    roi_head=dict(bbox_head=dict(num_classes=80)),
    train_cfg=dict(rcnn=dict(sampler=dict(num=128))),
)
model['neck'] = dict(in_channels=list(feature_channels(**model['backbone'])))

scale = (448, 280)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(
        type='PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
    ),
]
train_dataloader = dict(
    batch_size=4, sampler=dict(type='InfiniteSampler'), dataset=dict(pipeline=train_pipeline)
)
val_dataloader = dict(
    dataset=dict(
        ann_file='annotations/instances_train2017.json',
        data_prefix=dict(img='train2017/'),
        pipeline=test_pipeline,
    )
)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=_base_.data_root + 'annotations/instances_train2017.json')
test_evaluator = val_evaluator

max_iters = 900
train_cfg = dict(max_iters=max_iters, val_interval=max_iters // 6)
param_scheduler = [
    _base_.param_scheduler[0],
    dict(type='CosineAnnealingLR', by_epoch=False, begin=30, end=max_iters, eta_min_ratio=0.01),
]
optim_wrapper = dict(optimizer=dict(weight_decay=0.0))  # nothing has to generalise
auto_scale_lr = dict(base_batch_size=4)
