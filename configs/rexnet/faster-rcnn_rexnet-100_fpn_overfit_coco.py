"""A check of the whole road: learn a few COCO images by heart, small and from scratch.

Meant for a COCO_ROOT with some 50 images. Trains and evaluates on the same training images; a box
AP50 that stays near zero means that data, model or evaluation are broken.
"""

_base_ = '../faster_rcnn_rexnet_fpn.py'

model = dict(
    neck=dict(norm_cfg=dict(type='BN')),
    rpn_head=dict(anchor_generator=dict(scales=[4])),  # the images are less than half as large
    roi_head=dict(bbox_roi_extractor=dict(finest_scale=28)),
    train_cfg=dict(rcnn=dict(sampler=dict(num=256, pos_fraction=0.5))),
)

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
train_dataloader = dict(batch_size=4, dataset=dict(pipeline=train_pipeline))
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

max_epochs = 50
train_cfg = dict(max_epochs=max_epochs, val_interval=10)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=30),
    dict(
        type='CosineAnnealingLR',
        T_max=max_epochs,
        eta_min_ratio=0.01,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=0.001, weight_decay=0.0),
    paramwise_cfg=dict(custom_keys=dict(shared_fcs=dict(lr_mult=0.25))),
    clip_grad=dict(max_norm=10),
)
auto_scale_lr = dict(base_batch_size=4)
default_hooks = dict(
    logger=dict(interval=13), checkpoint=dict(interval=max_epochs // 2, max_keep_ckpts=1)
)
custom_hooks = [dict(type='mmscale.ChannelsLastHook')]
