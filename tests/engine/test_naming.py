"""Classes and functions by the names that they are registered under."""

import sys

import pytest
from mmcv.ops import nms
from mmcv.transforms import Resize
from mmdet.datasets.transforms import Resize as OfMMDet
from mmdet.models import FPN, RPNHead
from mmengine import registry as roots
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.model import PretrainedInit
from torch.optim import SGD

from mmscale.engine.config import load_config
from mmscale.engine.hooks import EpochSeedHook
from mmscale.engine.naming import name_types, registered_name
from mmscale.models import ReXNet


@pytest.mark.parametrize(
    ('kind', 'scope', 'name', 'registry'),
    [
        (FPN, 'mmdet', 'FPN', 'MODELS'),
        (FPN, 'mmpretrain', 'mmdet.FPN', 'MODELS'),
        (FPN, 'mmengine', 'mmdet.FPN', 'MODELS'),
        (ReXNet, 'mmdet', 'mmscale.ReXNet', 'MODELS'),
        (EpochSeedHook, 'mmdet', 'mmscale.EpochSeedHook', 'HOOKS'),
        (SGD, 'mmdet', 'SGD', 'OPTIMIZERS'),
        (PretrainedInit, 'mmdet', 'Pretrained', 'WEIGHT_INITIALIZERS'),
        (pseudo_collate, 'mmdet', 'pseudo_collate', 'FUNCTIONS'),
        (OfMMDet, 'mmdet', 'Resize', 'TRANSFORMS'),
        (Resize, 'mmdet', 'mmengine.Resize', 'TRANSFORMS'),
    ],
)
def test_the_name_finds_the_class(kind, scope, name, registry):
    assert registered_name(kind, scope) == name
    with getattr(roots, registry).switch_scope_and_registry(scope) as own:
        assert own.get(name) is kind


def test_what_is_registered_nowhere():
    class Mine:
        pass

    assert registered_name(Mine, 'mmdet') is None
    assert registered_name(nms, 'mmdet') == 'nms'
    cfg = Config(dict(a=dict(type=Mine), b=[(dict(type=RPNHead),)], c=dict(type=1), d=FPN))
    cfg._cfg_dict['sys'] = sys
    name_types(cfg)
    assert cfg._cfg_dict == dict(
        a=dict(type=Mine), b=[(dict(type='mmdet.RPNHead'),)], c=dict(type=1), d=FPN
    )


def test_what_is_registered_nowhere_is_saved_as_its_address(tmp_path):
    path = tmp_path / 'config.py'
    path.write_text(
        'import mmdet.models\nfrom torch.utils.data import Subset\n'
        'a = dict(type=Subset)\nb = dict(type=mmdet.models.FPN)\n'
    )
    cfg = load_config(path)
    assert cfg.to_dict() == dict(a=dict(type='torch.utils.data.Subset'), b=dict(type='mmdet.FPN'))
    cfg.dump(tmp_path / 'saved.py')
    assert load_config(tmp_path / 'saved.py').to_dict() == cfg.to_dict()
