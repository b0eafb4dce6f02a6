"""Faster R-CNN with ReXNet 1.0 and FPN, in pure Python: COCO, 1x, 1333x800."""

from mmengine.config import read_base

from mmscale.families import feature_channels
from mmscale.models import ReXNet

with read_base():
    from ._base_.coco_detection import *
    from ._base_.faster_rcnn_fpn import *
    from ._base_.runtime import *
    from ._base_.schedule_1x import *

model['backbone'] = dict(
    type=ReXNet,
    width_mult=1.0,
    norm_eval='auto',
    # The authors' ImageNet weights; without: --cfg-options model.backbone.init_cfg=None
    init_cfg=dict(type='Pretrained', checkpoint='timm://rexnet_100.nav_in1k'),
)
model['neck']['in_channels'] = list(feature_channels(**model['backbone']))
