"""The embedded shapes data set (tools/make_shapes.py), at 224 of its 320 pixels a side."""

_base_ = 'mmdet::_base_/datasets/coco_detection.py'

import os

from mmscale.datasets import shapes

data_root = os.path.join(os.environ.get('SHAPES_ROOT') or 'data/shapes', '')
metainfo = dict(classes=shapes.CLASSES)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale=(224, 224), keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(224, 224), keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(
        type='PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
    ),
]


def loader(part, pipeline):
    return dict(
        batch_size=8,
        num_workers=1,
        dataset=dict(
            data_root=data_root,
            metainfo=metainfo,
            ann_file=f'annotations/instances_{part}.json',
            data_prefix=dict(img=f'{part}/'),
            pipeline=pipeline,
        ),
    )


train_dataloader = loader('train', train_pipeline)
val_dataloader = loader('val', test_pipeline)
test_dataloader = val_dataloader
val_evaluator = dict(
    ann_file=data_root + 'annotations/instances_val.json', proposal_nums=(1, 10, 100)
)
test_evaluator = val_evaluator
