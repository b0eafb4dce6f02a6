_base_ = '../faster_rcnn_scalenet_fpn.py'
