_base_ = '../mask_rcnn_san_fpn.py'
