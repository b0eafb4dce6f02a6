"""RetinaNet with ScaleNet-50 and FPN: COCO, 1x, 1333x800, SGD 0.01 for 16 images."""

_base_ = '../_base_/retinanet_1x_coco.py'

from mmscale import feature_channels

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmscale.ScaleNet',
        depth=50,
        norm_eval='auto',
        # The authors' weights have to be fetched by hand (docs/weights.md); None is from scratch.
        init_cfg=dict(type='Pretrained', checkpoint=None),
    ),
)
model['neck'] = dict(in_channels=list(feature_channels(**model['backbone'])))
