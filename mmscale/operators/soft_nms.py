"""Soft non-maximum suppression."""

import numpy as np
import torch
from torch import Tensor

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
    settings = np.float32(iou_threshold), np.float32(sigma), method, np.float32(offset)
    # Rows of x1, y1, x2, y2, area and score; the columns up to `count` are the boxes left.
    left = np.empty((6, len(boxes)), np.float32)
    left[:4], left[5] = boxes.detach().numpy().T, scores.detach().numpy()
    indices, count = np.arange(len(boxes)), len(boxes)
    with np.errstate(all='ignore'):
        left[4] = (left[2] - left[0] + settings[3]) * (left[3] - left[1] + settings[3])
        done = 0
        while done < count:
            highest = done + _highest(left[5, done:count])
            left[:, [done, highest]] = left[:, [highest, done]]
            indices[[done, highest]] = indices[[highest, done]]
            done += 1
            left[5, done:count] *= _weights(
                left[:5, done - 1, None], left[:5, done:count], settings
            )
            low = left[5, done:count] < np.float32(min_score)
            if low.any():
                count = _close_gaps(left, indices, low, done, count)
    dets[:count] = torch.from_numpy(left[[0, 1, 2, 3, 5], :count].T)
    return torch.from_numpy(indices[:count])


def _highest(scores):
    """The place of the highest score, the first of equal ones; NaN counts in the first place."""
    highest = scores.argmax()
    if np.isnan(scores[highest]):
        highest = 0 if np.isnan(scores[0]) else np.where(np.isnan(scores), -np.inf, scores).argmax()
    return highest


def _weights(box, others, settings):
    """What the scores of the others are multiplied by."""
    threshold, sigma, method, offset = settings
    sides = np.minimum(box[2:4], others[2:4]) - np.maximum(box[:2], others[:2]) + offset
    width, height = np.fmax(sides, np.float32(0))
    overlap = width * height
    overlap /= box[4] + others[4] - overlap
    if method == GAUSSIAN:
        return np.exp((-(overlap * overlap) / sigma).astype(np.float64)).astype(np.float32)
    lowered = np.float32(0) if method == NAIVE else 1 - overlap
    return np.where(overlap >= threshold, lowered, np.float32(1))


def _close_gaps(left, indices, low, done, count):
    """Put the last boxes that stay in the places of those that do not; how many there are then."""
    stay = done + np.flatnonzero(~low)
    count = done + len(stay)
    gaps = done + np.flatnonzero(low[: count - done])
    last = stay[len(stay) - len(gaps) :][::-1]
    left[:, gaps], indices[gaps] = left[:, last], indices[last]
    return count
