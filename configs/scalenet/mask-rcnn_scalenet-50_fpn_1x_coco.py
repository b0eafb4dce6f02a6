_base_ = '../mask_rcnn_scalenet_fpn.py'
