"""Mask R-CNN with FPN: Faster R-CNN with a branch for masks, and without its backbone too."""

from mmdet.models import CrossEntropyLoss, FCNMaskHead, MaskRCNN, SingleRoIExtractor
from mmengine.config import read_base

with read_base():
    from .faster_rcnn_fpn import *

model['type'] = MaskRCNN
model['data_preprocessor']['pad_mask'] = True
model['roi_head']['mask_roi_extractor'] = dict(
    type=SingleRoIExtractor,
    roi_layer=dict(type='RoIAlign', output_size=14, sampling_ratio=0),
    out_channels=256,
    featmap_strides=[4, 8, 16, 32],
)
model['roi_head']['mask_head'] = dict(
    type=FCNMaskHead,
    num_convs=4,
    in_channels=256,
    conv_out_channels=256,
    num_classes=80,
    loss_mask=dict(type=CrossEntropyLoss, use_mask=True, loss_weight=1.0),
)
model['train_cfg']['rcnn']['assigner']['match_low_quality'] = True
model['train_cfg']['rcnn']['mask_size'] = 28
model['test_cfg']['rcnn']['mask_thr_binary'] = 0.5
