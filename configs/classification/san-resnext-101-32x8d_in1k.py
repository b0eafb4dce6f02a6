_base_ = './san-resnet-101_in1k.py'

model = dict(backbone=dict(groups=32, base_width=8))
