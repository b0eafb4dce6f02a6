"""Pictures of predictions."""

import cv2
import pytest
from runs import DETECTOR

from mmscale.engine.config import load_config
from mmscale.reports import curves
from mmscale.reports.predictions import draw_predictions


def test_pictures_of_the_demo(detector_run, shapes, tmp_path):
    cfg = load_config(DETECTOR)
    out = draw_predictions(cfg, detector_run / 'iter_4.pth', tmp_path / 'predictions.png', count=2)
    assert cv2.imread(str(out)).shape == (640, 4 * 640, 3)
    curve = curves.draw_curve(detector_run, tmp_path / 'curve.png')
    assert cv2.imread(str(curve)).shape[2] == 3
    assert not list(tmp_path.glob('*.tmp.png'))


@pytest.mark.parametrize('kind', ['none', 'RepeatDataset', 'ConcatDataset'])
def test_sets_of_every_kind_are_drawn(detector_run, tmp_path, kind):
    cfg = load_config(DETECTOR)
    inner = cfg.test_dataloader.dataset
    if kind == 'none':
        cfg.test_dataloader = None
    elif kind == 'RepeatDataset':
        cfg.test_dataloader.dataset = dict(type=kind, times=1, dataset=inner)
    else:
        cfg.test_dataloader.dataset = dict(type=kind, datasets=[inner, inner])
    before = str(cfg)
    out = draw_predictions(cfg, detector_run / 'iter_4.pth', tmp_path / 'a.png', count=1, zoom=1)
    assert cv2.imread(str(out)).shape == (320, 2 * 320, 3)
    assert str(cfg) == before
