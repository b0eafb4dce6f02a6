"""Small models of each task, whose outputs vary as a trained one's do."""

import torch
from mmengine.runner import save_checkpoint
from torch import nn

from mmscale.engine.config import load_config

CLASSIFIER = """
_base_ = 'mmscale::shapes/rexnet-100_shapes.py'
model = dict(backbone=dict(width_mult=0.9), head=dict(in_channels=1152))
test_dataloader = dict(num_workers=0, persistent_workers=False)
"""
# Few proposals, so that it is quick; a mask head on top.
DETECTOR = """
_base_ = 'mmscale::shapes/faster-rcnn_rexnet-100_fpn_shapes.py'
from mmscale import feature_channels
small = dict(width_mult=0.9)
channels = 16
model = dict(
    type='MaskRCNN',
    backbone=dict(**small),
    neck=dict(in_channels=list(feature_channels('ReXNet', **small)), out_channels=channels),
    rpn_head=dict(in_channels=channels, feat_channels=channels),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=channels),
        bbox_head=dict(in_channels=channels, fc_out_channels=32, reg_class_agnostic=False),
        mask_roi_extractor=dict(
            type='SingleRoIExtractor',
            roi_layer=dict(type='RoIAlign', output_size=14, sampling_ratio=0),
            out_channels=channels,
            featmap_strides=[4, 8, 16, 32],
        ),
        mask_head=dict(
            type='FCNMaskHead',
            num_convs=1,
            in_channels=channels,
            conv_out_channels=channels,
            num_classes=8,
            loss_mask=dict(type='CrossEntropyLoss', use_mask=True, loss_weight=1.0),
        ),
    ),
    test_cfg=dict(
        rpn=dict(nms_pre=60, max_per_img=50),
        rcnn=dict(max_per_img=20, mask_thr_binary=0.5),
    ),
)
test_dataloader = dict(batch_size=2, num_workers=0, persistent_workers=False)
"""

# {shapes} and {maps} are folders of pictures and of semantic maps.
SEGMENTOR = """
_base_ = 'mmscale::segmentation/segformer_rexnet-100_overfit_coco.py'
from mmscale.datasets.shapes import CLASSES
classes = ('background', *CLASSES)
model = dict(
    data_preprocessor=dict(size=(64, 64)),
    decode_head=dict(num_classes=len(classes), channels=16),
)
def loader(split, pipeline):
    return dict(
        batch_size=2,
        num_workers=0,
        dataset=dict(
            metainfo=dict(classes=classes),
            data_prefix=dict(img_path=r'{shapes}/' + split, seg_map_path=r'{maps}/' + split),
            pipeline=pipeline,
        ),
    )
_base_.train_pipeline[2].scale = _base_.test_pipeline[1].scale = (64, 64)
train_dataloader = loader('train', _base_.train_pipeline)
val_dataloader = test_dataloader = loader('val', _base_.test_pipeline)
train_cfg = dict(max_iters=2, val_interval=2)
default_hooks = dict(logger=dict(interval=1))
"""


def randomised(model):
    """A model whose outputs vary as a trained one's do, instead of being nearly constant."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = None  # the statistics of what comes
    model.train()
    model.extract_feat(torch.randn(4, 3, 128, 128))
    model.eval()
    if hasattr(model, 'roi_head'):
        nn.init.normal_(model.rpn_head.rpn_cls.weight, std=0.1)
        nn.init.normal_(model.rpn_head.rpn_reg.weight, std=0.02)
        nn.init.normal_(model.roi_head.bbox_head.fc_cls.weight, std=0.4)
        nn.init.normal_(model.roi_head.bbox_head.fc_reg.weight, std=0.03)
    if getattr(model, 'with_mask', False):
        logits = model.roi_head.mask_head.conv_logits
        nn.init.normal_(logits.weight, std=0.3)
        nn.init.constant_(logits.bias, 2.0)  # or every pixel would be one of an edge
    if hasattr(model, 'decode_head'):
        nn.init.normal_(model.decode_head.conv_seg.weight, std=1.0)
    if hasattr(model, 'head'):
        nn.init.normal_(model.head.fc.weight, std=0.1)
    return model


def built(text, folder, scope):
    """Paths of a config and of a checkpoint with random weights."""
    from mmengine.registry import MODELS, DefaultScope

    config, checkpoint = folder / f'{scope}.py', folder / f'{scope}.pth'
    config.write_text(text)
    __import__(scope)
    with torch.random.fork_rng(), DefaultScope.overwrite_default_scope(scope):
        torch.manual_seed(0)
        model = randomised(MODELS.build(load_config(config).model))
    save_checkpoint(dict(state_dict=model.state_dict()), str(checkpoint))
    return str(config), str(checkpoint)
