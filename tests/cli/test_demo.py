"""The demo, from crops to pictures."""

from importlib.util import find_spec

import cv2
import pytest
from commands import tool
from runs import DETECTOR, SHORT, log_of


def test_demo_from_crops_to_pictures(shapes, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr('mmscale.cli.demo.make_shapes', lambda root: None)  # a smaller set is there
    classifier, detector = tmp_path / 'classifier.py', tmp_path / 'detector.py'
    classifier.write_text(
        "_base_ = 'mmscale::shapes/rexnet-100_shapes.py'\n"
        'train_cfg = dict(max_epochs=1)\n'
        'train_dataloader = dict(batch_size=8, num_workers=0, persistent_workers=False)\n'
        'val_dataloader = dict(num_workers=0, persistent_workers=False)\n'
    )
    detector.write_text(f"_base_ = 'mmscale::{DETECTOR}.py'\n")
    options = ['--config', str(detector), '--pretraining', str(classifier)]
    options += [
        '--work-dir',
        str(tmp_path / 'demo'),
        '--cfg-options',
        f'data_root={shapes}/',
        *SHORT,
    ]
    tool('demo')(options)
    loaded = tmp_path / 'demo/classifier/epoch_1.pth'
    assert f'tensors of ReXNet 1.0 from {loaded}' in log_of(tmp_path / 'demo')
    for name in ('predictions.png', 'training_curve.png'):
        assert cv2.imread(str(tmp_path / 'demo' / name)) is not None
    ends = capsys.readouterr().out
    if find_spec('vl_convert'):
        page = tmp_path / 'demo/report.html'
        assert 'Learning curves' in page.read_text()
        assert f'Report: {page}' in ends
    else:
        assert "pip install 'mmscale[report]'" in ends
    with pytest.raises(SystemExit, match='--from-scratch'):
        tool('demo')(['--config', 'shapes/faster-rcnn_r18_fpn_shapes'])
