"""Configs of small detectors, to be adapted in a moment; and what is seen of a backbone."""

from mmengine.config import Config

from mmscale.adapting.observing import Observed

RESNET = dict(
    type='ResNet',
    depth=18,
    base_channels=16,
    num_stages=4,
    out_indices=(0, 1, 2, 3),
    frozen_stages=1,
    norm_eval=True,
    init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet18'),
)
PREPROCESSOR = dict(
    type='DetDataPreprocessor',
    mean=[103.53, 116.28, 123.675],
    std=[1.0, 1.0, 1.0],
    bgr_to_rgb=False,
    pad_size_divisor=32,
)


def retinanet(**changes):
    """A RetinaNet of 16 channels with a narrow ResNet-18 in caffe's style, as a whole config."""
    model = dict(
        type='RetinaNet',
        data_preprocessor=dict(PREPROCESSOR),
        backbone=dict(RESNET),
        neck=dict(
            type='FPN', in_channels=[16, 32, 64, 128], out_channels=16, start_level=1, num_outs=5
        ),
        bbox_head=dict(
            type='RetinaHead',
            num_classes=3,
            in_channels=16,
            feat_channels=16,
            stacked_convs=1,
            anchor_generator=dict(
                type='AnchorGenerator',
                octave_base_scale=4,
                scales_per_octave=1,
                ratios=[1.0],
                strides=[8, 16, 32, 64, 128],
            ),
        ),
        train_cfg=dict(
            assigner=dict(type='MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.4, min_pos_iou=0),
            sampler=dict(type='PseudoSampler'),
            allowed_border=-1,
            pos_weight=-1,
        ),
        test_cfg=dict(
            nms_pre=100, min_bbox_size=0, score_thr=0.05, nms=dict(type='nms', iou_threshold=0.5),
            max_per_img=10,
        ),
    )  # fmt: skip
    model.update(changes)
    optimiser = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01))
    return Config(dict(default_scope='mmdet', model=model, optim_wrapper=optimiser))


def observed(strides=(4, 8, 16, 32), channels=None, kinds=('ResNet',), levels=None, **settings):
    """A backbone that was not run."""
    channels = channels or tuple(range(len(strides)))
    return Observed(channels, strides, levels or strides, (), kinds, settings)
