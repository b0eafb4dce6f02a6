"""Experiment trackers: which are known, and what a run's config says of them afterwards."""

import sys

import pytest
from commands import tool
from mmengine.config import Config
from mmengine.registry import VISBACKENDS
from runs import DETECTOR

from mmscale.engine.tracking import TRACKERS, track
from mmscale.errors import UserError


def backends(cfg):
    return [backend['type'] for backend in cfg.visualizer['vis_backends']]


@pytest.fixture
def installed(monkeypatch):
    """Every tracker's package, as far as the config goes."""
    for package in ('wandb', 'mlflow', 'sqlalchemy'):
        monkeypatch.setitem(sys.modules, package, sys)


def test_backends_are_mmengines():
    assert all(VISBACKENDS.get(backend) for backend, _ in TRACKERS.values())


def test_a_tracker_is_added_to_those_that_are_there(installed, tmp_path):
    own = dict(type='LocalVisBackend')
    cfg = Config(dict(visualizer=dict(type='DetLocalVisualizer', vis_backends=[own], name='x')))
    cfg.work_dir = str(tmp_path / 'night')
    track(cfg, ['tensorboard', 'wandb'])
    track(cfg, ['tensorboard'])
    assert backends(cfg) == ['LocalVisBackend', 'TensorboardVisBackend', 'WandbVisBackend']
    assert cfg.visualizer.vis_backends[-1].init_kwargs.name == 'night'
    assert (cfg.visualizer.type, cfg.visualizer.name) == ('DetLocalVisualizer', 'x')


def test_a_config_without_a_visualizer_gets_one(installed, tmp_path):
    cfg = Config(dict(work_dir=str(tmp_path)))
    track(cfg, ['tensorboard'])
    assert backends(cfg) == ['LocalVisBackend', 'TensorboardVisBackend']


@pytest.mark.parametrize('server', [None, 'http://localhost:5000'])
def test_mlflow_goes_to_its_server_or_to_the_work_dir(installed, monkeypatch, tmp_path, server):
    monkeypatch.delenv('MLFLOW_TRACKING_URI', raising=False)
    if server:
        monkeypatch.setenv('MLFLOW_TRACKING_URI', server)
    cfg = Config(dict(work_dir=str(tmp_path)))
    track(cfg, ['mlflow'])
    given = cfg.visualizer.vis_backends[-1]
    assert given.tracking_uri == (server or f'sqlite:///{tmp_path / "mlflow.db"}')
    assert bool(given.artifact_location) is not bool(server)


def test_a_package_that_is_missing_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, 'wandb', None)
    with pytest.raises(UserError, match='--track wandb needs wandb .*: pip install wandb'):
        track(Config(dict(work_dir=str(tmp_path))), ['wandb'])


def test_an_unknown_tracker_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        tool('train')([DETECTOR, '--track', 'comet'])
    assert ended.value.code == 2
    assert "'comet' (choose from" in capsys.readouterr().err
    with pytest.raises(UserError, match='tensorboard, wandb, mlflow'):
        track(Config(dict(work_dir=str(tmp_path))), ['comet'])
