"""mmdet's RetinaNet with FPN: COCO, 1x, 1333x800, SGD 0.01 for 16 images."""

_base_ = [
    'mmdet::_base_/models/retinanet_r50_fpn.py',
    './coco_detection.py',
    'mmdet::_base_/schedules/schedule_1x.py',
    './runtime.py',
]

optim_wrapper = dict(optimizer=dict(lr=0.01))
