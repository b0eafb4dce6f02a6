"""Oriented R-CNN of mmrotate with ReXNet 1.0: DOTA's tiles in $DOTA_ROOT, 1x, SGD 0.005 for 2."""

_base_ = [
    '../_base_/others.py',
    'mmrotate::oriented_rcnn/oriented-rcnn-le90_r50_fpn_1x_dota.py',
]

from mmscale import feature_channels

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmscale.ReXNet',
        width_mult=1.0,
        norm_eval='auto',
        # The authors' ImageNet weights; without: --cfg-options model.backbone.init_cfg=None
        init_cfg=dict(type='Pretrained', checkpoint='timm://rexnet_100.nav_in1k'),
    ),
)
model['neck'] = dict(in_channels=list(feature_channels(**model['backbone'])))

# Written by mmrotate's tools/data/dota/split/img_split.py
data_root = '{{$DOTA_ROOT:data/split_ss_dota/}}'
train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = dict(dataset=dict(data_root=data_root))
