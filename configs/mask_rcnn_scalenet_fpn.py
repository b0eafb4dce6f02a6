"""Mask R-CNN with ScaleNet-50 and FPN: COCO, 1x, 1333x800, SGD 0.02 for 16 images."""

_base_ = './_base_/mask_rcnn_1x_coco.py'

import runpy

# The Faster R-CNN's file, run as plain Python: the same backbone, neck and input.
model = runpy.run_path('{{ fileDirname }}/faster_rcnn_scalenet_fpn.py')['model']
