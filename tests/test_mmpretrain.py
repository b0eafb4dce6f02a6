"""mmpretrain's own doors, with this package's configs."""

import numpy as np
import pytest
import torch
from commands import ROOT
from mmengine.registry import DefaultScope
from mmpretrain import ImageClassificationInferencer, get_model
from mmpretrain.registry import MODELS
from networks import small_generators

from mmscale.engine.config import load_config
from mmscale.models.classifiers import ImageClassifier

CONFIGS = ['rexnet-100_in1k', 'san-resnet-18_in1k']


@pytest.fixture(autouse=True)
def scope():
    """mmpretrain's inferencer takes whatever scope another test has left."""
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        yield


def test_classifier_is_in_the_registry():
    assert MODELS.get('mmscale.ImageClassifier') is ImageClassifier


@pytest.mark.parametrize('name', CONFIGS)
def test_get_model_and_the_inferencer(name, tmp_path):
    torch.manual_seed(0)
    path = str(ROOT / f'configs/classification/{name}.py')
    model = small_generators(get_model(path))
    weights = tmp_path / 'weights.pth'
    torch.save(model.state_dict(), weights)
    picture = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)
    inferencer = ImageClassificationInferencer(path, pretrained=str(weights))
    first, second = inferencer([picture, picture[:, ::-1].copy()], batch_size=2)
    assert first['pred_scores'].shape == (1000,)
    assert first['pred_label'] == first['pred_scores'].argmax()
    assert not np.array_equal(first['pred_scores'], second['pred_scores'])
    # The same as its own steps: the test pipeline, one batch, the model.
    batch = next(inferencer.preprocess([picture]))
    with torch.no_grad():
        expected = inferencer.model.test_step(batch)[0].pred_score
    assert np.abs(first['pred_scores'] - expected.numpy()).max() < 1e-6
    assert load_config(path).test_dataloader.dataset.pipeline[0].type == 'mmscale.LoadImage'
