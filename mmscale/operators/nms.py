"""Non-maximum suppression, and the groups that it makes."""

import torch
from torch import Tensor

from mmscale.operators.calling import call, single

ROUNDING = 2**-18  # more than single precision can change an overlap of boxes with sides of 1 on
LARGE = 1e36  # areas that can be added without becoming infinite


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """Indices of the boxes that no higher one suppresses, by decreasing score.

    Args:
        boxes (Tensor): (N, 4), as x1, y1, x2, y2.
        scores (Tensor): (N,).
        iou_threshold (float): Boxes that overlap a higher one by more are suppressed.
        offset (int): Added to every side: 1 if x2 and y2 are a box's last pixels.

    Returns:
        Tensor: (K,) int64.
    """
    if not len(boxes):
        return boxes.new_empty(0, dtype=torch.long)
    order = scores.sort(0, descending=True).indices
    keep = _plain if offset == 0 else _with_offset
    return order[keep(boxes[order], single(iou_threshold))]


def nms_match(dets: Tensor, iou_threshold: float) -> list[list[int]]:
    """The boxes that are kept, by decreasing score, each with those it suppresses.

    Args:
        dets (Tensor): (N, 5), as x1, y1, x2, y2, score.
        iou_threshold (float): Boxes that overlap a higher one by as much or more are suppressed.

    Returns:
        list[list[int]]: Indices of boxes, the one that is kept first in each list.
    """
    order, threshold = dets[:, 4].sort(0, descending=True).indices, single(iou_threshold)
    boxes = dets[order, :4].T
    groups = []
    while len(order):
        suppressed = overlaps(boxes[:, :1], boxes, 0) >= threshold
        suppressed[0] = True
        groups.append(order[suppressed].tolist())
        order, boxes = order[~suppressed], boxes[:, ~suppressed]
    return groups


def overlaps(first: Tensor, second: Tensor, offset: int) -> Tensor:
    """Intersections over unions, rounded as mmcv's loops round them.

    Of two numbers, one of which is NaN, C++ takes the first as the larger and as the smaller.

    Args:
        first (Tensor): (4, M), as x1, y1, x2, y2.
        second (Tensor): (4, N), with shapes that can be broadcast.
        offset (int): Added to every side.

    Returns:
        Tensor: The overlaps.
    """
    low = torch.where(first[:2] < second[:2], second[:2], first[:2])
    high = torch.where(second[2:] < first[2:], second[2:], first[2:])
    sides = high - low + offset
    width, height = torch.where(sides > 0, sides, 0)
    overlap = width * height
    return overlap / (_areas(first, offset) + _areas(second, offset) - overlap)


def _areas(boxes, offset):
    x1, y1, x2, y2 = boxes
    return (x2 - x1 + offset) * (y2 - y1 + offset)


def _plain(boxes, threshold):
    """Those kept of boxes that are in order; torchvision sorts equal scores as they come."""
    ranks = torch.arange(len(boxes), 0, -1, dtype=boxes.dtype, device=boxes.device)
    return call(torch.ops.torchvision.nms, boxes, ranks, threshold)


def _with_offset(boxes, threshold):
    """Those kept with an offset of 1, which torchvision has not.

    With 1 added to x2 and y2, sides differ from mmcv's by roundings. In double precision, and with
    a threshold that is higher by more than mmcv's roundings, all that is suppressed is suppressed
    in mmcv too, as long as what suppresses it is kept there. That is so if what is kept stays so
    with a threshold that is as much lower. Otherwise every overlap is computed as mmcv does.
    """
    sides, areas = boxes[:, 2:] - boxes[:, :2], _areas(boxes.T, 1)
    if bool((sides >= 0).all() & (areas < LARGE).all()):  # not so with NaN
        larger = boxes.double()
        larger[:, 2:] += 1
        kept = _plain(larger, threshold + ROUNDING)
        if len(_plain(larger[kept], threshold - ROUNDING)) == len(kept):
            return kept
    return _one_by_one(boxes, threshold)


def _one_by_one(boxes, threshold, offset=1):
    left, kept = torch.arange(len(boxes), device=boxes.device), []
    boxes = boxes.T
    while len(left):
        kept.append(left[0])
        stays = ~(overlaps(boxes[:, :1], boxes, offset) > threshold)
        stays[0] = False
        left, boxes = left[stays], boxes[:, stays]
    return torch.stack(kept)
