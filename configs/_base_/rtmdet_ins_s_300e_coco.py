"""mmdet's RTMDet-Ins-s: COCO, 300 epochs, 640x640, AdamW 0.004 for 256 images."""

_base_ = 'mmdet::rtmdet/rtmdet-ins_s_8xb32-300e_coco.py'

import os

data_root = os.path.join(os.environ.get('COCO_ROOT') or 'data/coco', '')

# RGB with ImageNet's mean and std, which the backbones' weights expect.
model = dict(
    data_preprocessor=dict(
        mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True
    )
)

train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader

val_evaluator = dict(ann_file=data_root + 'annotations/instances_val2017.json')
test_evaluator = val_evaluator
