_base_ = '../faster_rcnn_san_fpn.py'
