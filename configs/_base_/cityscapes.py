"""mmseg's Cityscapes, read from $CITYSCAPES_ROOT."""

_base_ = 'mmseg::_base_/datasets/cityscapes.py'

import os

data_root = os.path.join(os.environ.get('CITYSCAPES_ROOT') or 'data/cityscapes', '')

train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
