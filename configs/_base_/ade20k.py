"""mmseg's ADE20K, read from $ADE20K_ROOT."""

_base_ = 'mmseg::_base_/datasets/ade20k.py'

import os

data_root = os.path.join(os.environ.get('ADE20K_ROOT') or 'data/ade/ADEChallengeData2016', '')

train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
