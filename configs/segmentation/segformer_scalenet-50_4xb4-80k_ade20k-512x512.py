"""SegFormer's light head on ScaleNet-50: ADE20K, 80k steps of 16 crops of 512 x 512."""

_base_ = [
    '../_base_/segmentors/segformer_scalenet-50.py',
    '../_base_/ade20k.py',
    '../_base_/segmentation_80k.py',
]

model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    decode_head=dict(num_classes=150),
)
