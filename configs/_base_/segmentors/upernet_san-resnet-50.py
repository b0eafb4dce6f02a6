"""mmseg's UPerNet with SAN ResNet-50. No such result was ever published: it is an experiment.

All pictures get the weights and norms of one resolution.
"""

_base_ = ['../others.py', 'mmseg::_base_/models/upernet_r50.py']

from mmscale import feature_channels

model = dict(
    # SAN's authors only scale images to 0 to 1.
    data_preprocessor=dict(mean=[0.0, 0.0, 0.0], std=[255.0, 255.0, 255.0]),
    pretrained=None,
    backbone=dict(
        _delete_=True,
        type='mmscale.SANResNet',
        depth=50,
        resolutions=(224,),
        resolution=224,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        # The authors' weights have to be fetched by hand (docs/weights.md); None is from scratch.
        init_cfg=dict(type='Pretrained', checkpoint=None),
    ),
)
model['decode_head'] = dict(in_channels=list(feature_channels(**model['backbone'])))
model['auxiliary_head'] = dict(in_channels=model['decode_head']['in_channels'][2])
