_base_ = '../mask_rcnn_scalenet_fpn.py'

model = dict(backbone=dict(structure='scalenet50_light'))
