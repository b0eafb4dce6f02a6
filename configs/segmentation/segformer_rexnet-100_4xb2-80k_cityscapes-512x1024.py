"""SegFormer's light head on ReXNet 1.0: Cityscapes, 80k steps of 8 crops of 512 x 1024."""

_base_ = [
    '../_base_/segmentors/segformer_rexnet-100.py',
    '../_base_/cityscapes.py',
    '../_base_/segmentation_80k.py',
]

model = dict(data_preprocessor=dict(size=_base_.crop_size))
