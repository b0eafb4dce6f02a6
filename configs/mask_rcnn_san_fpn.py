"""Mask R-CNN with SAN ResNet-50 and FPN: an experiment, as faster_rcnn_san_fpn.py says."""

_base_ = './_base_/mask_rcnn_1x_coco.py'

import runpy

# The Faster R-CNN's file, run as plain Python: the same backbone, neck and input.
model = runpy.run_path('{{ fileDirname }}/faster_rcnn_san_fpn.py')['model']
