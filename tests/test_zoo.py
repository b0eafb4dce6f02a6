"""The metafiles and docs/zoo.md: what tools and people find of this package."""

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
        ('rexnet-100_in1k', {'Top 1 Accuracy': 77.9, 'Top 5 Accuracy': 93.9}, 0.398e9),
        ('faster-rcnn_rexnet-220_fpn_1x_coco', {'box AP': 41.5}, 145.1e9),
        ('mask-rcnn_rexnet-090_fpn_1x_coco', {'box AP': 38.7, 'mask AP': 35.2}, 169.1e9),
        ('faster-rcnn_scalenet-50_fpn_1x_coco', {}, 189.3e9),  # published without FPN alone
        ('san-mobilenet-v2_in1k', {'Top 1 Accuracy': 72.86}, 0.3008e9),
        ('retinanet_rexnet-100_fpn_1x_coco', {}, 148.9e9),
        ('rtmdet-ins_rexnet-100_8xb32-300e_coco', {}, 16.31e9),
        ('fcn_rexnet-100-d16_4xb2-80k_cityscapes-512x1024', {}, 19.3e9),
    ],
)
def test_figures(models, name, metrics, flops):
    found = {result.task: result.metrics or {} for result in models[name].results}
    assert {key: value for own in found.values() for key, value in own.items()} == metrics
    assert ('mask AP' in found.get('Instance Segmentation', {})) is ('mask AP' in metrics)
    data = models[name].metadata.data
    assert data['FLOPs'] == pytest.approx(flops, rel=2e-3)
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


def test_page_is_what_the_script_writes():
    assert ZOO['PAGE'].read_text(encoding='utf-8') == ZOO['page'](), 'run python .ci/zoo.py'


def test_published_costs_of_classifiers_are_our_counts():
    for name, task, params, flops in published_costs():
        if task == 'classifier':
            ours = ZOO['counts']()[f'{name}_in1k']
            if params != '-':
                assert abs(float(params) - ours['params'] / 1e6) <= unit(params), name
            assert abs(float(flops) - ours['macs'] / 1e9) <= unit(flops), name


def test_published_costs_of_detectors_have_our_parameters_and_other_flops():
    for name, task, params, flops in published_costs():
        if task == 'faster-rcnn':
            ours = ZOO['counts']()[f'faster-rcnn_{name}_fpn_1x_coco']
            assert abs(float(params) - ours['params'] / 1e6) <= unit(params), name
            assert 6.5 < float(flops) - ours['macs'] / 1e9 < 9, name


def published_costs():
    """Network, task, parameters and FLOPs, as the authors print them."""
    for name, published in ZOO['SOURCE']['networks'].items():
        for task, row in published.items():
            if 'cost' in row:
                yield name, task, *row['cost'].split(' / ')


def unit(number):
    """The last digit of a printed number: they are rounded or cut off."""
    return 10.0 ** -len(number.partition('.')[2]) + 1e-9


@pytest.mark.parametrize(('task', 'metric'), [('classifier', 'top-1'), ('faster-rcnn', 'box AP')])
def test_pictures_show_every_published_figure(task, metric):
    script = runpy.run_path(str(ROOT / 'docs/images/zoo.py'))
    points = script['points'](task, metric)
    networks = ZOO['SOURCE']['networks'].values()
    rows = [row for network in networks for kind, row in network.items() if kind.startswith(task)]
    assert sorted(point[3] for point in points) == sorted(float(row[metric]) for row in rows)
    [axes] = script['draw'](points, '').axes
    assert sum(len(line.get_xdata()) for line in axes.lines) == len(points)
