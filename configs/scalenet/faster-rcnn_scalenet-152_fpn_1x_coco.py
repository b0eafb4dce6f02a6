_base_ = '../faster_rcnn_scalenet_fpn.py'

model = dict(backbone=dict(depth=152))
