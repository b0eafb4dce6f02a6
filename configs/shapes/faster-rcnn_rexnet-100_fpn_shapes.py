"""Faster R-CNN with ReXNet 1.0 and a slim FPN, from scratch in minutes on two CPU cores."""

_base_ = [
    '../_base_/shapes_detector.py',
    '../_base_/shapes_detection.py',
    '../_base_/shapes_schedule.py',
]

from mmscale import feature_channels

model = dict(
    backbone=dict(_delete_=True, type='mmscale.ReXNet', width_mult=1.0),
    neck=dict(in_channels=list(feature_channels('ReXNet', width_mult=1.0))),
)
