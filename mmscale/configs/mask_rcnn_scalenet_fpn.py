"""Mask R-CNN with ScaleNet-50 and FPN, in pure Python: COCO, 1x, 1333x800."""

from mmengine.config import read_base

from mmscale.families import feature_channels
from mmscale.models import ScaleNet

with read_base():
    from ._base_.coco_instance import *
    from ._base_.mask_rcnn_fpn import *
    from ._base_.runtime import *
    from ._base_.schedule_1x import *

model['backbone'] = dict(
    type=ScaleNet,
    depth=50,
    norm_eval='auto',
    # The authors' weights have to be fetched by hand (docs/weights.md); None is from scratch.
    init_cfg=dict(type='Pretrained', checkpoint=None),
)
model['neck']['in_channels'] = list(feature_channels(**model['backbone']))
