"""The COCO data of coco_detection.py with masks."""

from mmengine.config import read_base

with read_base():
    from .coco_detection import *

# Each of these is a copy of its own by now.
train_pipeline[1]['with_mask'] = test_pipeline[2]['with_mask'] = True
train_dataloader['dataset']['pipeline'] = train_pipeline
val_dataloader['dataset']['pipeline'] = test_pipeline
test_dataloader = val_dataloader

val_evaluator['metric'] = ['bbox', 'segm']
test_evaluator = val_evaluator
