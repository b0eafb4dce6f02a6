"""Configs of small segmentors, to be adapted in a moment."""

from mmengine.config import Config

DILATED = dict(
    type='ResNetV1c',
    depth=18,
    base_channels=16,
    num_stages=4,
    out_indices=(0, 1, 2, 3),
    strides=(1, 2, 1, 1),
    dilations=(1, 1, 2, 4),
    contract_dilation=True,
    norm_cfg=dict(type='SyncBN', requires_grad=True),
    norm_eval=False,
)
LOSS = dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)
HEAD = dict(type='FCNHead', channels=8, num_convs=1, num_classes=3, loss_decode=LOSS)


def fcn(**changes):
    """mmseg's FCN with a narrow dilated ResNet-18 of stride 8, as a whole config."""
    model = dict(
        type='EncoderDecoder',
        data_preprocessor=dict(
            type='SegDataPreProcessor',
            mean=[123.675, 116.28, 103.53],
            std=[58.395, 57.12, 57.375],
            bgr_to_rgb=True,
            size=(512, 1024),
        ),
        pretrained='open-mmlab://resnet18_v1c',
        backbone=dict(DILATED),
        decode_head=dict(HEAD, in_channels=128, in_index=3),
        auxiliary_head=dict(HEAD, in_channels=64, in_index=2),
        train_cfg=dict(),
        test_cfg=dict(mode='whole'),
    )
    model.update(changes)
    optimiser = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01))
    return Config(dict(default_scope='mmseg', model=model, optim_wrapper=optimiser))
