"""mmdet's Cascade Mask R-CNN with FPN: COCO, 1x, 1333x800, SGD 0.02 for 16 images."""

_base_ = [
    'mmdet::_base_/models/cascade-mask-rcnn_r50_fpn.py',
    './coco_instance.py',
    'mmdet::_base_/schedules/schedule_1x.py',
    './runtime.py',
]
