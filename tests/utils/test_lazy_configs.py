"""Pure-Python configs, in which this package's functions are called."""

import os
import subprocess
import sys

import pytest
from commands import ROOT
from mmengine.config import Config
from mmengine.registry import MODELS

BASE = "model = dict(neck=dict(type='mmdet.FPN', out_channels=256, num_outs=5))\n"
TOP = """from mmengine.config import read_base

with read_base():
    from .base import *
"""
USES = {
    'a name': (
        TOP + 'from mmscale import feature_channels\n',
        "dict(type='mmscale.ReXNet', width_mult=1.3)",
        'feature_channels(**backbone)',
    ),
    'a class': (
        TOP + 'from mmscale import feature_channels\nfrom mmscale.models import ReXNet\n',
        'dict(type=ReXNet, width_mult=1.3)',
        'feature_channels(**backbone)',
    ),
    'the package': (
        TOP + 'import mmscale\n',
        "dict(type='ReXNet', width_mult=1.3)",
        'mmscale.feature_channels(**backbone)',
    ),
    'without a base': (
        'from mmscale import feature_channels\nmodel = dict(neck=dict(type="mmdet.FPN"))\n',
        "dict(type='mmscale.ReXNet', width_mult=1.3)",
        'feature_channels(**backbone)',
    ),
}
EVERYWHERE = """from mmscale import feature_channels

__import__('mmscale')
backbone = dict(type='mmscale.ReXNet', width_mult=1.3)
model = dict(neck=dict(in_channels=list(feature_channels(**backbone))))
"""


@pytest.mark.parametrize('use', USES)
def test_channels_in_pure_python_configs(use, tmp_path):
    top, backbone, channels = USES[use]
    (tmp_path / 'base.py').write_text(BASE)
    path = tmp_path / 'child.py'
    path.write_text(
        f'{top}backbone = {backbone}\n'
        f'model.update(backbone=backbone)\nmodel["neck"].update(in_channels=list({channels}))\n'
    )
    cfg = Config.fromfile(path)
    assert cfg.model.neck.in_channels == [50, 79, 167, 240]
    assert MODELS.build(cfg.model.backbone).out_channels == (50, 79, 167, 240)
    cfg.dump(tmp_path / 'dumped.py')
    assert Config.fromfile(tmp_path / 'dumped.py').model.neck.in_channels == [50, 79, 167, 240]


@pytest.mark.parametrize('call', ['randint(1, 2)', 'ReXNet(width_mult=1.3)'])
def test_nothing_else_is_called(call, tmp_path):
    path = tmp_path / 'config.py'
    path.write_text(
        f'from mmscale.models import ReXNet\nfrom torch import randint\nvalue = {call}\n'
    )
    with pytest.raises(RuntimeError, match=r'cannot be called .*__import__\(.(torch|mmscale).\)\.'):
        Config.fromfile(path)


def test_configs_for_tools_that_do_not_import_this_package_first(tmp_path):
    (tmp_path / 'config.py').write_text(EVERYWHERE)
    read = "from mmengine.config import Config; print(Config.fromfile('config.py').model)"
    done = subprocess.run(
        [sys.executable, '-c', read],
        cwd=tmp_path,
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "{'neck': {'in_channels': [50, 79, 167, 240]}}\n", done.stderr[-2000:]
