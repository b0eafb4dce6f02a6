"""``mmscale infer``: what it writes for pictures and videos; what cannot be drawn is named."""

import json
import shutil

import cv2
import numpy as np
import pytest
from commands import tool

from mmscale.errors import UserError
from mmscale.inference.predicting import infer
from mmscale.inference.videos import describe_video, frames_of, video_writer


def test_pictures_that_cannot_be_drawn_are_named(classifier, pictures, tmp_path):
    broken, empty, twin = tmp_path / 'broken.jpg', tmp_path / 'empty', tmp_path / '000001.jpg'
    broken.write_text('no picture')
    cut = tmp_path / 'cut.png'
    cv2.imwrite(str(cut), np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))
    cut.write_bytes(cut.read_bytes()[:500])
    empty.mkdir()
    shutil.copy(pictures[0], twin)
    for given, words in (
        ([broken], r"broken\.jpg' cannot be read"),
        ([cut], r"cut\.png' cannot be read"),
        ([empty], "empty'"),
        ([pictures[0], twin], f'{pictures[0]} and {twin}'),
    ):
        with pytest.raises(UserError, match=words):
            infer(classifier[1], given, tmp_path / 'out', config=classifier[0])
    for options, words in (
        (dict(batch_size=0), '--batch-size=0'),
        (dict(score=5), 'score.5'),
        (dict(device='banana'), "device='banana'"),
    ):
        with pytest.raises(UserError, match=words):
            infer(classifier[1], pictures, tmp_path / 'out', config=classifier[0], **options)
    assert not (tmp_path / 'out').exists()
    with pytest.raises(UserError, match=r"broken\.jpg' is a file"):
        infer(classifier[1], pictures, broken, config=classifier[0])


def test_a_checkpoint_of_a_run_is_enough(detector_run, pictures, tmp_path, capsys):
    arguments = [*pictures, '--out', str(tmp_path / 'out')]
    tool('infer')([str(detector_run / 'iter_4.pth'), *arguments])
    assert capsys.readouterr().out.splitlines()[-1].startswith('3 pictures: ')
    results = json.loads((tmp_path / 'out/predictions.json').read_text())
    assert [result['picture'] for result in results] == pictures
    assert set(results[0]) == {'picture', 'labels', 'scores', 'bboxes', 'names'}
    drawn = sorted(path.name for path in (tmp_path / 'out/vis').iterdir())
    assert drawn == ['000001.jpg', '000002.jpg', '000003.jpg']


def test_videos_come_out_as_videos(classifier, pictures, tmp_path):
    clip = tmp_path / 'clip.avi.mp4'
    frames = [cv2.resize(cv2.imread(path), (320, 256)) for path in pictures]
    with video_writer(clip, 8) as add:
        for frame in frames:
            add(frame)
    results = infer(
        classifier[1], [pictures[0], clip], tmp_path / 'out', config=classifier[0], batch_size=2
    )
    assert [result.get('frame') for result in results] == [None, 0, 1, 2]
    assert [result['picture'] for result in results] == [pictures[0], *[str(clip)] * 3]
    drawn = tmp_path / 'out/vis/clip.avi.mp4'
    assert describe_video(str(drawn)) == (8, 3)
    for frame, found in zip(frames, frames_of(str(drawn)), strict=True):
        assert found.shape == frame.shape
        assert np.abs(found[100:].astype(int) - frame[100:]).mean() < 12  # below what is written
    broken = tmp_path / 'broken.mp4'
    broken.write_text('no video')
    with pytest.raises(UserError, match=r"broken\.mp4' cannot be read"):
        infer(classifier[1], [broken], tmp_path / 'none', config=classifier[0])
    assert not (tmp_path / 'none').exists()


def test_maps_of_pictures_with_one_stem_are_not_written_over(classifier, pictures, tmp_path):
    twin = tmp_path / '000001.png'
    cv2.imwrite(str(twin), cv2.imread(pictures[0]))
    with pytest.raises(UserError, match='have one name'):
        infer(classifier[1], [pictures[0], twin], tmp_path / 'out', config=classifier[0])
