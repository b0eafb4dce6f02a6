"""mmdet's Mask2Former for instances: COCO, 50 epochs, 1024x1024, AdamW 0.0001 for 16 images."""

_base_ = 'mmdet::mask2former/mask2former_r50_8xb2-lsj-50e_coco.py'

import os

data_root = os.path.join(os.environ.get('COCO_ROOT') or 'data/coco', '')

train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader

val_evaluator = dict(ann_file=data_root + 'annotations/instances_val2017.json')
test_evaluator = val_evaluator
