"""SSDLite with ReXNet 1.0: COCO, 600 epochs, 320x320, SGD 0.015 for 192 images."""

_base_ = '../_base_/ssdlite_600e_coco.py'

from mmscale import feature_channels

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmscale.ReXNet',
        width_mult=1.0,
        out_indices=(2, 3),
        norm_eval='auto',
        # The authors' ImageNet weights; without: --cfg-options model.backbone.init_cfg=None
        init_cfg=dict(type='Pretrained', checkpoint='timm://rexnet_100.nav_in1k'),
    ),
)
model['neck'] = dict(in_channels=list(feature_channels(**model['backbone'])))
# The neck hands these on, and makes four smaller maps.
model['neck']['out_channels'] = [*model['neck']['in_channels'], 512, 256, 256, 128]
model['bbox_head'] = dict(in_channels=model['neck']['out_channels'])
