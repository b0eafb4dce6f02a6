"""ResNet-50 of a quarter of the width on the shapes' crops: the plain network beside ScaleNets."""

_base_ = './rexnet-100_shapes.py'

model = dict(
    type='ImageClassifier',
    backbone=dict(_delete_=True, type='ResNet', depth=50, base_channels=16, stem_channels=16),
    neck=dict(_delete_=True, type='GlobalAveragePooling'),
    head=dict(_delete_=True, type='LinearClsHead', num_classes=8, in_channels=512),
)
