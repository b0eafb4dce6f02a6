"""The same detector with mmdet's ResNet-18, to compare with."""

_base_ = [
    '../_base_/shapes_detector.py',
    '../_base_/shapes_detection.py',
    '../_base_/shapes_schedule.py',
]

model = dict(
    backbone=dict(
        depth=18,
        # From scratch: nothing is frozen, and BN learns its statistics.
        frozen_stages=-1,
        norm_eval=False,
        init_cfg=None,
    ),
    neck=dict(in_channels=[64, 128, 256, 512]),
)
