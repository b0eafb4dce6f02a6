"""RTMDet-Ins-s with ReXNet 1.0: COCO, 300 epochs, 640x640, AdamW 0.004 for 256 images."""

_base_ = '../_base_/rtmdet_ins_s_300e_coco.py'

from mmscale import feature_channels

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmscale.ReXNet',
        width_mult=1.0,
        out_indices=(1, 2, 3),
        norm_eval='auto',
        # The authors' ImageNet weights; without: --cfg-options model.backbone.init_cfg=None
        init_cfg=dict(type='Pretrained', checkpoint='timm://rexnet_100.nav_in1k'),
    ),
)
model['neck'] = dict(in_channels=list(feature_channels(**model['backbone'])))
