"""Images that cannot be read."""

import shutil

import pytest
from runs import log_of, run_classifier


def test_broken_images_are_named_and_the_run_goes_on(shapes, tmp_path, monkeypatch):
    root = tmp_path / 'shapes'
    shutil.copytree(shapes / 'classes', root / 'classes')
    broken = [next((root / f'classes/{split}').rglob('*.jpg')) for split in ('train', 'val')]
    broken[0].write_bytes(b'')
    broken[1].write_bytes(b'no image')
    monkeypatch.setenv('SHAPES_ROOT', str(root))
    run_classifier('train', '--work-dir', tmp_path / 'run')
    log = log_of(tmp_path / 'run')
    assert f"image '{broken[0]}' cannot be read" in log
    assert f"image '{broken[1]}' cannot be read" in log
    assert log.count('cannot be read') == 2
    assert 'accuracy/top1' in log


def test_training_stops_where_no_image_can_be_read(shapes, tmp_path, monkeypatch):
    root = tmp_path / 'shapes'
    shutil.copytree(shapes / 'classes', root / 'classes')
    for path in (root / 'classes/train').rglob('*.jpg'):
        path.write_bytes(b'no image')
    monkeypatch.setenv('SHAPES_ROOT', str(root))
    with pytest.raises(SystemExit, match='error: 100 images'):
        run_classifier('train', '--work-dir', tmp_path / 'run')
