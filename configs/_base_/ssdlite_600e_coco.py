"""mmdet's SSDLite: COCO, 600 epochs, 320x320, SGD 0.015 for 192 images."""

_base_ = 'mmdet::ssd/ssdlite_mobilenetv2-scratch_8xb24-600e_coco.py'

import os

data_root = os.path.join(os.environ.get('COCO_ROOT') or 'data/coco', '')

model = dict(bbox_head=dict(type='mmscale.SSDHead'))

train_dataloader = dict(dataset=dict(dataset=dict(data_root=data_root)))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader

val_evaluator = dict(
    ann_file=data_root + 'annotations/instances_val2017.json', proposal_nums=(1, 10, 100)
)
test_evaluator = val_evaluator
