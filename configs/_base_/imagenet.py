"""ImageNet in class folders, train/ and val/ in $IMAGENET_ROOT; or any other set in class folders.

Another set: IMAGENET_ROOT=/path/to/it, and --cfg-options model.head.num_classes=N.
"""

_base_ = 'mmpretrain::_base_/default_runtime.py'

import os

custom_imports = dict(imports=['mmscale.models.classifiers'], allow_failed_imports=False)
data_root = os.path.join(os.environ.get('IMAGENET_ROOT') or 'data/imagenet', '')

# RGB with ImageNet's mean and std.
data_preprocessor = dict(
    num_classes=1000,
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    to_rgb=True,
)
train_pipeline = [
    dict(type='mmscale.LoadImage'),
    dict(type='RandomResizedCrop', scale=224, backend='pillow', interpolation='bicubic'),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs'),
]
test_pipeline = [
    dict(type='mmscale.LoadImage', replace=True),
    # The middle 0.875 of the shorter side, which is 256 px then.
    dict(type='ResizeEdge', scale=256, edge='short', backend='pillow', interpolation='bicubic'),
    dict(type='CenterCrop', crop_size=224),
    dict(type='PackInputs'),
]
loader = dict(num_workers=4, collate_fn=dict(type='default_collate'))
train_dataloader = dict(
    **loader,
    persistent_workers=False,  # EpochSeedHook seeds them for every epoch
    batch_size=64,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='CustomDataset', data_root=data_root, data_prefix='train', pipeline=train_pipeline
    ),
)
val_dataloader = dict(
    **loader,
    persistent_workers=True,
    batch_size=64,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='CustomDataset', data_root=data_root, data_prefix='val', pipeline=test_pipeline
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='Accuracy', topk=(1, 5))
test_evaluator = [val_evaluator, dict(type='mmscale.WorstClasses')]
val_cfg = dict()
test_cfg = dict()

# A run that is killed and resumed ends as if it had not been (see mmscale.engine.hooks).
default_hooks = dict(
    checkpoint=dict(max_keep_ckpts=2, backend_args=dict(backend='mmscale.whole')),
)
custom_hooks = [dict(type='mmscale.EpochSeedHook')]
vis_backends = [dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')]
visualizer = dict(type='UniversalVisualizer', vis_backends=vis_backends)
