"""The configs in pure Python: what the text ones are, and to be inherited by others."""

import copy
import sys
from importlib import import_module

import pytest
import torch
from mmengine.config import Config, config, utils

from mmscale.engine.building import build_model
from mmscale.engine.config import PURE, config_stem, load_config

NAMES = sorted(path.stem for path in PURE.glob('[!_]*.py'))
CHILD = """import os

from mmengine.config import read_base
from mmscale import ReXNet, feature_channels

with read_base():
    from mmscale.configs.faster_rcnn_scalenet_fpn import *

model['backbone'] = dict(type=ReXNet, width_mult=1.3, out_indices=(1, 2, 3))
model['neck']['in_channels'] = list(feature_channels(**model['backbone']))
"""


def plain(node):
    """A config without the marks that mmengine makes where text configs inherit from a package."""
    if isinstance(node, dict):
        return {key: plain(value) for key, value in node.items() if key != '_scope_'}
    return type(node)(map(plain, node)) if isinstance(node, (list, tuple)) else node


def shapes(cfg):
    with torch.device('meta'):
        return {name: value.shape for name, value in build_model(cfg).state_dict().items()}


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize('root', ['', '/somewhere'])
def test_they_are_the_text_configs(name, root, monkeypatch):
    monkeypatch.setenv('COCO_ROOT', root)
    pure, text = load_config(f'mmscale.configs.{name}'), load_config(name)
    found = plain(pure.to_dict())
    # Nothing is built of it; the others are names in the same places.
    assert found['dataset_type'] == 'mmdet.datasets.CocoDataset'
    assert {**found, 'dataset_type': 'CocoDataset'} == plain(text.to_dict())
    assert copy.deepcopy(pure).to_dict() == pure.to_dict()


@pytest.mark.parametrize('name', NAMES)
def test_their_models_have_the_same_parameters(name):
    assert shapes(load_config(f'mmscale.configs.{name}')) == shapes(load_config(name))


def test_types_are_classes_for_who_reads_them():
    model = import_module('mmscale.configs.mask_rcnn_scalenet_fpn').model
    assert model['type'] is import_module('mmdet.models').MaskRCNN
    assert model['backbone']['type'] is import_module('mmscale').ScaleNet
    read = Config.fromfile(PURE / 'mask_rcnn_scalenet_fpn.py').model
    assert (read.type, read.backbone.type) == (model['type'], model['backbone']['type'])


def test_a_child_changes_the_backbone(tmp_path):
    path = tmp_path / 'child.py'
    path.write_text(CHILD)
    cfg = load_config(path, {'model.neck.num_outs': 4})
    assert cfg.model.neck.to_dict() == dict(
        type='FPN', in_channels=[79, 167, 240], out_channels=256, num_outs=4
    )
    assert cfg.model.backbone.to_dict() == dict(
        type='mmscale.ReXNet', width_mult=1.3, out_indices=(1, 2, 3)
    )
    cfg.dump(tmp_path / 'saved.py')
    assert load_config(tmp_path / 'saved.py').to_dict() == cfg.to_dict()


def test_upstreams_mmengine_imports_no_standard_library(tmp_path, monkeypatch):
    def is_builtin(name):
        return name.startswith('mmengine.config') or name in sys.builtin_module_names

    for module in (config, utils):
        monkeypatch.setattr(module, '_is_builtin_module', is_builtin)
    monkeypatch.setenv('COCO_ROOT', 'somewhere')
    path = tmp_path / 'child.py'
    path.write_text(CHILD.replace('import os\n', ''))
    cfg = Config.fromfile(path)
    assert cfg.data_root == 'somewhere/'
    assert cfg.model.neck.in_channels == [79, 167, 240]


def test_their_runs_are_called_by_their_files():
    assert config_stem('mmscale.configs.faster_rcnn_rexnet_fpn') == 'faster_rcnn_rexnet_fpn'
