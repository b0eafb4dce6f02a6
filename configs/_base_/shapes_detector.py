"""A small Faster R-CNN for the shapes data set."""

_base_ = 'mmdet::_base_/models/faster-rcnn_r50_fpn.py'

from mmscale.datasets import shapes

channels = 64  # a quarter of the usual FPN: eight classes of shapes need no more
model = dict(
    data_preprocessor=dict(
        mean=[127.5, 127.5, 127.5],
        std=[64.0, 64.0, 64.0],
    ),
    neck=dict(out_channels=channels, norm_cfg=dict(type='BN')),
    rpn_head=dict(
        in_channels=channels,
        feat_channels=channels,
        # Anchors of 16 to 256 px, where mmdet's scale of 8 begins at 32.
        anchor_generator=dict(scales=[4]),
    ),
    roi_head=dict(
        bbox_roi_extractor=dict(
            out_channels=channels,
            finest_scale=28,  # half of the usual, as the images are
            roi_layer=dict(sampling_ratio=2),
        ),
        bbox_head=dict(
            in_channels=channels,
            fc_out_channels=256,
            num_classes=len(shapes.CLASSES),
            reg_class_agnostic=True,
        ),
    ),
    train_cfg=dict(
        rpn_proposal=dict(nms_pre=500, max_per_img=300),
        # Few boxes, half of them objects: the head sees as many objects at a fraction of the time.
        rcnn=dict(sampler=dict(num=64, pos_fraction=0.5)),
    ),
    test_cfg=dict(rpn=dict(nms_pre=500, max_per_img=300)),
)
