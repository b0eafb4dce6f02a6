"""Oriented boxes by mmrotate, whose operators have to be compiled."""

import re
import subprocess
import sys

import compiled
import cv2
import mmcv.ops
import numpy as np
import pytest
from commands import ROOT, tool
from mmdet.apis import inference_detector, init_detector
from runs import IN_THIS_PROCESS, log_of

pytest.importorskip('mmrotate')

CONFIG = ROOT / 'configs/rotated/oriented-rcnn_rexnet-100_fpn_1x_dota.py'
SHORT = (
    *IN_THIS_PROCESS,
    'model.backbone.init_cfg=None',
    'train_dataloader.dataset.pipeline.3.scale=(64,64)',
    'train_cfg.max_epochs=1',
    'val_cfg=None',
    'val_dataloader=None',
    'val_evaluator=None',
    'default_hooks.logger.interval=1',
)


@pytest.fixture
def dota(tmp_path, monkeypatch):
    """Two pictures with a turned bar each, in DOTA's layout."""
    root = tmp_path / 'dota'
    images, annotations = root / 'trainval/images', root / 'trainval/annfiles'
    images.mkdir(parents=True)
    annotations.mkdir()
    for i, angle in enumerate((30, 70)):
        corners = cv2.boxPoints(((32.0, 32.0), (40.0, 16.0), float(angle)))
        pixels = np.full((64, 64, 3), 90, np.uint8)
        cv2.fillPoly(pixels, [corners.astype(int)], (0, 0, 255))
        cv2.imwrite(str(images / f'{i}.png'), pixels)
        numbers = ' '.join(f'{value:.1f}' for value in corners.ravel())
        (annotations / f'{i}.txt').write_text(f'{numbers} ship 0\n')
    monkeypatch.setenv('DOTA_ROOT', f'{root}/')
    return images


def train(work_dir):
    tool('train')([str(CONFIG), '--work-dir', str(work_dir), '--cfg-options', *SHORT])


def test_config_is_read_without_importing_this_package():
    code = f'from mmengine.config import Config; print(Config.fromfile({str(CONFIG)!r}).model)'
    done = subprocess.run([sys.executable, '-W', 'ignore', '-c', code], capture_output=True)
    assert b"'type': 'mmscale.ReXNet'" in done.stdout, done.stderr.decode()[-2000:]


def test_oriented_rcnn_learns_and_predicts(dota, tmp_path):
    extension = compiled.load(tmp_path)
    if extension is None:
        pytest.skip('mmcv has no compiled operators here, and no wheel lies beside the checkout')
    run = tmp_path / 'run'
    with compiled.through(extension):
        train(run)
        model = init_detector(str(run / CONFIG.name), str(run / 'epoch_1.pth'), device='cpu')
        model.test_cfg.rcnn.score_thr = 0.0
        found = inference_detector(model, str(dota / '0.png')).pred_instances
    assert re.search(r'Epoch\(train\) *\[1\].* loss: \d', log_of(run))
    assert len(found)
    assert found.bboxes.shape[1] == 5  # with an angle


def test_without_compiled_operators_it_is_refused_by_name(dota, tmp_path):
    if 'stands in' not in mmcv.ops.get_compiler_version():
        pytest.skip('mmcv has its own operators here')
    with pytest.raises(SystemExit) as stopped:
        train(tmp_path / 'run')
    assert 'operator box_iou_rotated has to be compiled' in str(stopped.value)
