_base_ = '../mask_rcnn_rexnet_fpn.py'
