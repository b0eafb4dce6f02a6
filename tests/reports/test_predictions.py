"""Pictures of predictions."""

import cv2
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
