"""Anchors: their overlap with boxes, and which are chosen."""

import numpy as np
import pytest
import torch
from mmdet.models.task_modules import AnchorGenerator
from mmdet.structures.bbox import bbox_overlaps

from mmscale.beginning.anchors import STRIDES, Anchors, best_overlaps, fit_anchors, in_network

SIZE = 256


def random_boxes(seed=0, ratio=1.0, low=12, high=100, count=60):
    rng = np.random.default_rng(seed)
    sides = np.exp(rng.uniform(np.log(low), np.log(high), count))
    sizes = np.stack([sides / ratio**0.5, sides * ratio**0.5], 1)
    centres = rng.uniform(0.3, 0.7, (count, 2)) * SIZE
    return np.concatenate([centres - sizes / 2, sizes], 1)


@pytest.mark.parametrize('anchors', [Anchors(), Anchors((4, 5.7), (0.3, 1, 3.3))])
def test_overlaps_are_those_of_all_of_mmdets_anchors(anchors):
    boxes = random_boxes()
    made = AnchorGenerator(
        strides=list(STRIDES), scales=list(anchors.scales), ratios=list(anchors.ratios)
    )
    # Far beyond the picture too, where a small one has no place left for a large anchor.
    maps = [(SIZE // stride + 1, SIZE // stride + 1) for stride in STRIDES]
    every = torch.cat(made.grid_priors(maps, device='cpu'))
    corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], 1)
    truth = bbox_overlaps(torch.from_numpy(corners).float(), every).max(1).values
    found = best_overlaps(boxes, anchors)
    assert found == pytest.approx(truth.numpy(), abs=1e-3)


def test_boxes_that_fit_leave_mmdets_anchors():
    rng = np.random.default_rng(0)
    sides = 32 * 2.0 ** rng.integers(0, 3, 200)
    centres = rng.integers(8, 24, (200, 2)) * 64
    boxes = np.concatenate([centres - sides[:, None] / 2, sides[:, None].repeat(2, 1)], 1)
    before, after = fit_anchors(boxes)
    assert before == after
    assert after.anchors == Anchors()
    assert after.recall == (1, 1)


@pytest.mark.parametrize('ratio', [0.2, 1.0, 6.0])
def test_small_or_long_boxes_get_anchors_of_their_own(ratio):
    boxes = random_boxes(ratio=ratio, low=10, high=40, count=300)
    before, after = fit_anchors(boxes)
    assert after.recall[0] > before.recall[0] + 0.2
    assert after.recall[0] == pytest.approx((best_overlaps(boxes, after.anchors) >= 0.5).mean())
    assert any(abs(np.log(r / ratio)) < 0.3 for r in after.anchors.ratios)


def test_no_boxes():
    before, after = fit_anchors(np.zeros((0, 4)))
    assert before == after


def test_boxes_are_scaled_as_mmdet_scales_pictures():
    boxes, pictures = np.array([[10.0, 20, 30, 40]] * 2), np.array([[640.0, 480], [480, 1280]])
    scaled = in_network(boxes, pictures, (1333, 800))
    assert scaled[0] == pytest.approx(boxes[0] * 800 / 480)
    assert scaled[1] == pytest.approx(boxes[1] * 1333 / 1280)
