"""What pictures show, from a checkpoint; what cannot be drawn is named."""

import shutil

import cv2
import numpy as np
import pytest

from mmscale.errors import UserError
from mmscale.inference.predicting import infer


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
