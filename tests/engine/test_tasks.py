"""What a config's model does follows from its default_scope alone."""

import pytest
from mmengine.config import Config

from mmscale.engine.config import load_config
from mmscale.engine.tasks import CLASSIFIER, DETECTOR, TASKS, task_of


@pytest.mark.parametrize('task', TASKS, ids=lambda task: task.name)
def test_a_scope_names_its_task(task):
    assert task_of(dict(default_scope=task.scope)) is task
    assert task_of(Config(dict(default_scope=task.scope, model=dict(type='X')))) is task


@pytest.mark.parametrize('cfg', [{}, dict(default_scope=None), dict(default_scope='mmagic')])
def test_other_scopes_are_models_of_no_known_task(cfg):
    task = task_of(cfg)
    assert task not in TASKS
    assert task.name == 'model'
    assert task.scope == cfg.get('default_scope')


def test_names_and_scopes_tell_the_tasks_apart():
    for field in ('name', 'scope', 'dataset', 'visualizer'):
        values = [getattr(task, field) for task in TASKS]
        assert all(values)
        assert len(set(values)) == len(values)


@pytest.mark.parametrize(
    ('config', 'task'),
    [
        ('faster_rcnn_rexnet_fpn', DETECTOR),
        ('rexnet-100_in1k', CLASSIFIER),
        ('mmdet::retinanet/retinanet_r18_fpn_1x_coco.py', DETECTOR),
    ],
)
def test_tasks_of_configs(config, task):
    assert task_of(load_config(config)) is task


@pytest.mark.parametrize('task', TASKS, ids=lambda task: task.name)
def test_data_sets_and_visualizers_exist(task):
    package = pytest.importorskip(task.scope)
    registry = pytest.importorskip(f'{package.__name__}.registry')
    pytest.importorskip(f'{package.__name__}.datasets')
    pytest.importorskip(f'{package.__name__}.visualization')
    assert registry.DATASETS.get(task.dataset) is not None
    assert registry.VISUALIZERS.get(task.visualizer) is not None
