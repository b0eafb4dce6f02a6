"""Faster R-CNN with SAN ResNet-50 and FPN. No such result was ever published: it is an experiment.

Images are far larger than any resolution that SAN is trained at; they all get the weights and
norms of the largest. More than one of `resolutions` leaves norms unused, which several GPUs only
take with find_unused_parameters=True.
"""

_base_ = './_base_/faster_rcnn_1x_coco.py'

from mmscale import feature_channels

model = dict(
    # SAN's authors only scale images to 0 to 1.
    data_preprocessor=dict(mean=[0.0, 0.0, 0.0], std=[255.0, 255.0, 255.0]),
    backbone=dict(
        _delete_=True,
        type='mmscale.SANResNet',
        depth=50,
        resolutions=(224,),
        resolution=224,
        norm_eval='auto',
        # The authors' weights have to be fetched by hand (docs/weights.md); None is from scratch.
        init_cfg=dict(type='Pretrained', checkpoint=None),
    ),
)
model['neck'] = dict(in_channels=list(feature_channels(**model['backbone'])))
