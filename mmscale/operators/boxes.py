"""Overlaps of boxes."""

import torch
from torch import Tensor

from mmscale.operators.calling import at_least_single, write


def bbox_overlaps(
    bboxes1: Tensor, bboxes2: Tensor, ious: Tensor, mode: int, aligned: bool, offset: int
) -> None:
    """Overlaps of every two boxes.

    Args:
        bboxes1 (Tensor): (M, 4), as x1, y1, x2, y2.
        bboxes2 (Tensor): (N, 4).
        ious (Tensor): The result, (M, N); (M,) of aligned boxes.
        mode (int): 0 for intersections over unions, 1 over the first boxes' areas.
        aligned (bool): Whether each box is compared with the one at the same place alone.
        offset (int): Added to every side: 1 if x2 and y2 are a box's last pixels.
    """
    first, second = at_least_single(bboxes1), at_least_single(bboxes2)
    first = first if aligned else first[:, None]
    low = torch.max(first[..., :2], second[..., :2])
    high = torch.min(first[..., 2:], second[..., 2:])
    overlap = (high - low + offset).clamp(0, 2**31).prod(-1)
    if mode == 0:
        whole = _areas(first, offset) + _areas(second, offset) - overlap
    else:
        whole = _areas(first, offset)
    write(ious, overlap / whole)


def _areas(boxes, offset):
    return (boxes[..., 2] - boxes[..., 0] + offset) * (boxes[..., 3] - boxes[..., 1] + offset)
