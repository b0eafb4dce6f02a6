"""A real detector and a real classifier at their smallest: configs, on the pictures in SHAPES_ROOT.

    python tests/helpers/small_runs.py FOLDER

writes both configs and the pictures there, for `killing.py`.
"""

import sys
from pathlib import Path

DETECTOR = """
_base_ = 'mmscale::shapes/faster-rcnn_rexnet-100_fpn_shapes.py'
from mmscale import feature_channels
small = dict(width_mult=0.9)
channels = 16
model = dict(
    backbone=dict(**small),
    neck=dict(in_channels=list(feature_channels('ReXNet', **small)), out_channels=channels),
    rpn_head=dict(in_channels=channels, feat_channels=channels),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=channels),
        bbox_head=dict(in_channels=channels, fc_out_channels=32),
    ),
    train_cfg=dict(rpn_proposal=dict(nms_pre=60, max_per_img=30)),
    test_cfg=dict(rpn=dict(nms_pre=60, max_per_img=30)),
)
load = dict(type='LoadImageFromFile')
boxes = dict(type='LoadAnnotations', with_bbox=True)
resize = dict(type='Resize', scale=(64, 64), keep_ratio=True)
keys = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')
flip = dict(type='RandomFlip', prob=0.5)
plain = dict(batch_size=2, num_workers=0, persistent_workers=False)
train_dataloader = dict(
    **plain, dataset=dict(pipeline=[load, boxes, resize, flip, dict(type='PackDetInputs')])
)
val_dataloader = dict(
    **plain,
    dataset=dict(pipeline=[load, resize, boxes, dict(type='PackDetInputs', meta_keys=keys)]),
)
test_dataloader = val_dataloader
train_cfg = dict(max_iters=8, val_interval=4)
param_scheduler = [dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=8)]
default_hooks = dict(
    checkpoint=dict(interval=3, by_epoch=False, max_keep_ckpts=1),
    ema=dict(type='EMAHook', momentum=0.1),
)
randomness = dict(seed=3)
"""
CLASSIFIER = """
_base_ = 'mmscale::shapes/rexnet-100_shapes.py'
model = dict(backbone=dict(width_mult=0.9), head=dict(in_channels=1152))
plain = dict(batch_size=8, num_workers=0, persistent_workers=False)
train_dataloader = dict(**plain)
val_dataloader = dict(**plain)
train_cfg = dict(max_epochs=2)
param_scheduler = [dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=8)]
default_hooks = dict(checkpoint=dict(interval=1, max_keep_ckpts=1, save_best='auto'))
randomness = dict(seed=3)
"""


def write(folder):
    """Write the configs and the pictures."""
    from mmscale.datasets.shapes import make_shapes

    folder = Path(folder)
    make_shapes(folder / 'shapes', train=8, val=4, train_crops=32, val_crops=8)
    for name, text in (('detector', DETECTOR), ('classifier', CLASSIFIER)):
        (folder / f'{name}.py').write_text(text)


if __name__ == '__main__':
    write(sys.argv[1])
