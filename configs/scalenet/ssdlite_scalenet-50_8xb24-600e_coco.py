"""SSDLite with ScaleNet-50: COCO, 600 epochs, 320x320, SGD 0.015 for 192 images."""

_base_ = '../_base_/ssdlite_600e_coco.py'

from mmscale import feature_channels

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmscale.ScaleNet',
        depth=50,
        out_indices=(2, 3),
        norm_eval='auto',
        # The authors' weights have to be fetched by hand (docs/weights.md); None is from scratch.
        init_cfg=dict(type='Pretrained', checkpoint=None),
    ),
)
model['neck'] = dict(in_channels=list(feature_channels(**model['backbone'])))
# The neck hands these on, and makes four smaller maps.
model['neck']['out_channels'] = [*model['neck']['in_channels'], 512, 256, 256, 128]
model['bbox_head'] = dict(in_channels=model['neck']['out_channels'])
