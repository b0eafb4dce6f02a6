"""The metafiles: what OpenMMLab's tools find of this package, as the README says it."""

import runpy
from pathlib import Path

import mmpretrain.apis.model as hub
import numpy as np
import pytest
from commands import ROOT
from mmengine.registry import DefaultScope
from mmpretrain import get_model, inference_model, list_models
from modelindex.load_model_index import load
from networks import small_generators

import mmscale

ZOO = runpy.run_path(str(ROOT / '.ci/zoo.py'))
# Where an installed package has them too.
INDEX = Path(mmscale.__file__).parent / '.mim/model-index.yml'


@pytest.fixture(autouse=True)
def scope():
    """mmpretrain's inferencer takes whatever scope another test has left."""
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        yield


@pytest.fixture(scope='module')
def models():
    index = load(str(INDEX))
    index.build_models_with_collections()
    return {model.name: model for model in index.models}


@pytest.mark.parametrize('folder', ZOO['FOLDERS'])
def test_metafiles_are_what_the_script_writes(folder):
    path = ROOT / f'configs/{folder}/metafile.yml'
    assert path.read_text() == ZOO['metafile'](folder), 'run python .ci/zoo.py'


def test_every_config_of_a_published_network_is_listed(models):
    paths = [path for folder in ZOO['FOLDERS'] for path in (ROOT / 'configs' / folder).glob('*.py')]
    assert {path.stem for path in paths if 'overfit' not in path.name} == set(models)
    assert all((ROOT / model.config).is_file() for model in models.values())


@pytest.mark.parametrize(
    ('name', 'metrics', 'flops'),
    [
        ('rexnet-100_in1k', {'Top 1 Accuracy': 77.9}, 0.398e9),
        ('faster-rcnn_rexnet-220_fpn_1x_coco', {'box AP': 41.5}, 145.1e9),
        ('mask-rcnn_rexnet-090_fpn_1x_coco', {'box AP': 38.7, 'mask AP': 35.2}, None),
        ('faster-rcnn_scalenet-50_fpn_1x_coco', {}, None),  # published without FPN alone
        ('san-mobilenet-v2_in1k', {'Top 1 Accuracy': 72.86}, None),
        ('retinanet_rexnet-100_fpn_1x_coco', {}, None),
    ],
)
def test_figures(models, name, metrics, flops):
    [result] = models[name].results
    assert (result.metrics or {}) == metrics
    data = models[name].metadata.data
    assert data.get('FLOPs') == (flops and round(flops))
    assert ('nobody has reproduced' in data.get('Results', '')) is bool(metrics)


def test_mmpretrain_finds_classifiers_by_name(monkeypatch):
    monkeypatch.setattr(hub.ModelHub, '_models_dict', dict(hub.ModelHub._models_dict))
    hub.ModelHub.register_model_index(INDEX, config_prefix=INDEX.parent)
    assert {'rexnet-100_in1k', 'rexnet-lite-100_in1k'} <= set(list_models('rexnet'))
    picture = np.zeros((64, 64, 3), np.uint8)
    for name in ('rexnet-100_in1k', 'san-resnet-18_in1k'):
        model = small_generators(get_model(name))
        found = inference_model(model, picture)
        assert found['pred_scores'].shape == (1000,)
        assert np.isfinite(found['pred_scores']).all()
