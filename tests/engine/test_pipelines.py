"""Test pipelines for another size of images."""

from pathlib import Path

import pytest
from mmengine.config import Config

from mmscale.engine.config import load_config
from mmscale.engine.pipelines import check_tested, fit_pipeline, pipeline_at
from mmscale.engine.runtime import runtime_config
from mmscale.errors import UserError
from mmscale.export.exporting import image_size
from mmscale.export.parity import pictures_for
from mmscale.utils.configs import test_set as set_of


@pytest.mark.parametrize(
    ('pipeline', 'resolution', 'expected'),
    [
        ([dict(scale=256), dict(crop_size=224)], 96, [dict(scale=109), dict(crop_size=96)]),
        ([dict(scale=(1333, 800))], 400, [dict(scale=(666, 400))]),
        ([dict(type='A'), dict(scale=32)], 20, [dict(type='A'), dict(scale=20)]),
        (
            [dict(scale=(64, 64)), dict(size=(96, 96))],
            32,
            [dict(scale=(32, 32)), dict(size=(48, 48))],
        ),
        ([dict(scale=None), dict(crop_size=32)], 20, [dict(scale=None), dict(crop_size=20)]),
    ],
    ids=['crop', 'detector', 'resize', 'pad', 'none'],
)
def test_pipelines_are_scaled(pipeline, resolution, expected):
    assert pipeline_at(pipeline, resolution) == expected
    with pytest.raises(UserError, match='no transform'):
        pipeline_at([dict(type='Load')], 96)


def test_a_classifier_at_another_size_than_it_is_tested_at(tmp_path):
    cfg = load_config('classification/san-resnet-18_in1k')
    assert image_size(cfg, 'classifier', None) == (224, 224)
    fit_pipeline(cfg, (160, 160))
    steps = {step['type']: step for step in cfg.test_dataloader.dataset.pipeline}
    assert steps['CenterCrop'].crop_size == 160
    assert steps['ResizeEdge'].scale == 182  # int(256 * 160 / 224)


@pytest.mark.parametrize('wrapped', [None, 'ConcatDataset', 'RepeatDataset', 'nested'])
def test_pictures_of_a_config_without_a_plain_test_set(shapes, tmp_path, wrapped):
    """An export compares on the inner set, or on the validation set."""
    cfg = load_config('shapes/faster-rcnn_rexnet-100_fpn_shapes')
    inner = cfg.test_dataloader.dataset
    repeated = dict(type='RepeatDataset', times=1, dataset=inner)
    if wrapped is None:
        cfg.test_dataloader = cfg.test_evaluator = cfg.test_cfg = None
    elif wrapped == 'RepeatDataset':
        cfg.test_dataloader.dataset = repeated
    else:
        sets = [inner if wrapped == 'ConcatDataset' else repeated]
        cfg.test_dataloader.dataset = dict(type='ConcatDataset', datasets=sets)
    assert set_of(cfg).pipeline == inner.pipeline
    pictures = pictures_for(cfg, None, tmp_path)
    assert {Path(path).parent for path in pictures} == {shapes / 'val'}
    assert runtime_config(cfg)['test_dataloader']['dataset']['metainfo']['classes']


@pytest.mark.parametrize('cfg', [{}, dict(test_dataloader=None), dict(test_dataloader={})])
def test_configs_without_a_test(cfg):
    with pytest.raises(UserError, match='a.py has no test_dataloader'):
        check_tested(Config(cfg), 'a.py')
