"""Soft non-maximum suppression."""

import numpy as np
import torch
from torch import Tensor

from mmscale.operators.calling import at_least_single, single
from mmscale.operators.nms import FIRST_BLOCK, LAST_BLOCK, overlaps

NAIVE, LINEAR, GAUSSIAN = range(3)


def softnms(
    boxes: Tensor,
    scores: Tensor,
    dets: Tensor,
    iou_threshold: float,
    sigma: float,
    min_score: float,
    method: int,
    offset: int,
) -> Tensor:
    """Lower the scores of boxes that overlap higher ones, and sort.

    Args:
        boxes (Tensor): (N, 4) float32 on the CPU, as x1, y1, x2, y2.
        scores (Tensor): (N,).
        dets (Tensor): The result, (N, 5): boxes and lowered scores in decreasing order.
        iou_threshold (float): From which overlap on scores are lowered, but by method 2.
        sigma (float): Of method 2.
        min_score (float): Boxes with less are left out.
        method (int): A score is multiplied by 0 (0), 1 - overlap (1), exp(-overlap^2 / sigma) (2).
        offset (int): Added to every side: 1 if x2 and y2 are a box's last pixels.

    Returns:
        Tensor: Indices of the boxes in `dets`, (K,) int64. Rows from K on mean nothing.
    """
    boxes = at_least_single(boxes.detach())
    lowered = at_least_single(scores.detach()).numpy().copy()
    # The first `done` places have their boxes; those from `count` on were left out. Of equal
    # scores the first is the highest, so that boxes have to change places just as in mmcv.
    indices, done, count = np.arange(len(boxes)), 0, len(boxes)
    columns, rows, block = indices.copy(), {}, FIRST_BLOCK
    while done < count:
        highest = done + _highest(lowered[done:count])
        if columns[highest] not in rows:
            # What the highest ones do to those left: one row each, and a column for every place.
            corners = boxes[indices[done:count]].T
            columns = np.arange(-done, len(indices) - done)
            several = np.argsort(-lowered[done:count], kind='stable')[:block]
            several[-1] = highest - done
            over = overlaps(corners[:, several], corners, offset)
            weights = _weights(over, single(iou_threshold), single(sigma), method).numpy()
            rows = dict(zip(several.tolist(), weights))
            block = min(2 * block, LAST_BLOCK)
        for places in (lowered, indices, columns):
            places[done], places[highest] = places[highest], places[done]
        weights = rows[columns[done]]
        done += 1
        lowered[done:count] *= weights[columns[done:count]]
        low = lowered[done:count] < np.float32(min_score)
        if np.count_nonzero(low):
            count = _close_gaps((lowered, indices, columns), low, done, count)
    kept = torch.from_numpy(indices[:count])
    dets[:count, :4], dets[:count, 4] = boxes[kept], torch.from_numpy(lowered[:count])
    return kept


def _highest(scores):
    """The place of the highest score, the first of equal ones; NaN counts in the first place."""
    highest = scores.argmax()
    if scores[highest] != scores[highest]:
        highest = 0 if np.isnan(scores[0]) else np.where(np.isnan(scores), -np.inf, scores).argmax()
    return highest


def _weights(over, threshold, sigma, method):
    """What scores are multiplied by for these overlaps; rounded once, as C's exponential is."""
    if method == GAUSSIAN:
        return (-(over * over) / sigma).double().exp_().float()
    lowered = torch.zeros_like(over) if method == NAIVE else 1 - over
    return torch.where(over >= threshold, lowered, 1)


def _close_gaps(rows, low, done, count):
    """Put the last boxes that stay in the places of those that do not; how many there are then."""
    stay = done + np.flatnonzero(~low)
    count = done + len(stay)
    gaps = done + np.flatnonzero(low[: count - done])
    last = stay[len(stay) - len(gaps) :][::-1]
    for places in rows:
        places[gaps] = places[last]
    return count
