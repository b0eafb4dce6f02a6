"""Test pipelines for another size of images."""

import pytest

from mmscale.engine.config import load_config
from mmscale.engine.pipelines import fit_pipeline, pipeline_at
from mmscale.errors import UserError
from mmscale.export.exporting import image_size


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
