"""Template: Faster R-CNN with ReXNet 1.0 on a data set of your own, in COCO's format.

`mmscale new FOLDER -o my_config.py` fills it in for a folder (docs/own_dataset.md). By hand: copy
this file, state its first lines anew, and train: mmscale train my_config.py. For masks, inherit
from its mask-rcnn sibling.
"""

_base_ = 'mmscale::rexnet/faster-rcnn_rexnet-100_fpn_1x_coco.py'

classes = ('first', 'second', 'third')  # spelling and order of the annotation files
data_root = 'data/own/'
train_set = dict(ann_file='annotations/train.json', data_prefix=dict(img='train/'))
val_set = dict(ann_file='annotations/val.json', data_prefix=dict(img='val/'))
test_set = val_set

# The longer and the shorter side that pictures are scaled to, at most, in px
image_size = (1333, 800)
anchor_scales = [8]  # sides of the boxes that are looked for, in strides of 4, 8, 16, 32, 64 px
anchor_ratios = [0.5, 1.0, 2.0]  # their height over their width
batch_size = 2  # the learning rate follows it
max_epochs = 12
warm_up = 1  # epochs

# From here on everything follows from the lines above.
import os

metainfo = dict(classes=classes)
roi_heads = [head for head in ('bbox_head', 'mask_head') if head in _base_.model.roi_head]
model = dict(
    rpn_head=dict(anchor_generator=dict(scales=anchor_scales, ratios=anchor_ratios)),
    roi_head={head: dict(num_classes=len(classes)) for head in roi_heads},
)

train_pipeline, test_pipeline = _base_.train_pipeline, _base_.test_pipeline
train_pipeline[2].scale = test_pipeline[1].scale = image_size
every = dict(data_root=data_root, metainfo=metainfo)
train_dataloader = dict(
    batch_size=batch_size, dataset=dict(**every, **train_set, pipeline=train_pipeline)
)
val_dataloader = dict(dataset=dict(**every, **val_set, pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(**every, **test_set, pipeline=test_pipeline))
val_evaluator = dict(ann_file=os.path.join(data_root, val_set['ann_file']))
test_evaluator = dict(ann_file=os.path.join(data_root, test_set['ann_file']))

val_interval = max(max_epochs // 12, 1)
train_cfg = dict(max_epochs=max_epochs, val_interval=val_interval)
auto_scale_lr = dict(enable=True, base_batch_size=16)
epochs = dict(by_epoch=True, convert_to_iter_based=True, begin=0)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, end=warm_up, **epochs),
    dict(type='CosineAnnealingLR', T_max=max_epochs, eta_min_ratio=0.01, end=max_epochs, **epochs),
]
default_hooks = dict(
    logger=dict(interval=10),
    checkpoint=dict(interval=val_interval, max_keep_ckpts=2, save_best='coco/bbox_mAP'),
)
