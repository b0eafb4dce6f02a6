"""COCO's things against the background: pictures in $COCO_ROOT, maps in $SEMANTIC_ROOT.

The maps are made by tools/make_semantic.py --classes things.
"""

import os

data_root = os.path.join(os.environ.get('COCO_ROOT') or 'data/coco', '')
maps_root = os.path.join(os.environ.get('SEMANTIC_ROOT') or 'data/semantic', '')
classes = ('background', 'thing')

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomResize', scale=(2048, 512), ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type='RandomCrop', crop_size=(512, 512), cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(2048, 512), keep_ratio=True),
    dict(type='LoadAnnotations'),  # after Resize: maps are compared at the size of the picture
    dict(type='PackSegInputs'),
]


def loader(part, batch_size, shuffle, pipeline):
    return dict(
        batch_size=batch_size,
        num_workers=2,
        sampler=dict(type='InfiniteSampler' if shuffle else 'DefaultSampler', shuffle=shuffle),
        dataset=dict(
            type='BaseSegDataset',
            metainfo=dict(classes=classes),
            data_prefix=dict(img_path=data_root + part, seg_map_path=maps_root + part),
            pipeline=pipeline,
        ),
    )


train_dataloader = loader('train2017', 4, True, train_pipeline)
val_dataloader = loader('val2017', 1, False, test_pipeline)
test_dataloader = val_dataloader
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
