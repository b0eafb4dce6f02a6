"""RTMDet-Ins-s with ScaleNet-50: COCO, 300 epochs, 640x640, AdamW 0.004 for 256 images."""

_base_ = '../_base_/rtmdet_ins_s_300e_coco.py'

from mmscale import feature_channels

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmscale.ScaleNet',
        depth=50,
        out_indices=(1, 2, 3),
        norm_eval='auto',
        # The authors' weights have to be fetched by hand (docs/weights.md); None is from scratch.
        init_cfg=dict(type='Pretrained', checkpoint=None),
    ),
)
# RTMDet's neck is as wide as the maps that it gets, which are ScaleNet's up to 2048 channels.
model['neck'] = [
    dict(
        type='ChannelMapper',
        in_channels=list(feature_channels(**model['backbone'])),
        kernel_size=1,
        out_channels=256,
        num_outs=3,
    ),
    dict(_base_.model.neck, in_channels=[256, 256, 256]),
]
