_base_ = '../faster_rcnn_rexnet_fpn.py'
