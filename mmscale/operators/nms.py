"""Non-maximum suppression, and the groups that it makes."""

import torch
from torch import Tensor

from mmscale.operators.calling import at_least_single, call, single

# Boxes that are compared with all others at once: few at first, where many others fall away.
FIRST_BLOCK, LAST_BLOCK = 16, 128
# Four times how far single precision takes an overlap, of boxes within LARGEST.
ROUNDING, LARGEST = 4e-6, 1e6


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
    boxes = at_least_single(boxes)
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
        suppressed = overlaps(boxes[:, :1], boxes, 0)[0] >= threshold
        suppressed[0] = True
        groups.append(order[suppressed].tolist())
        order, boxes = order[~suppressed], boxes[:, ~suppressed]
    return groups


def overlaps(first: Tensor, second: Tensor, offset: int) -> Tensor:
    """Intersections over unions of every two boxes, rounded as in mmcv's loops.

    Args:
        first (Tensor): (4, M), as x1, y1, x2, y2.
        second (Tensor): (4, N).
        offset (int): Added to every side.

    Returns:
        Tensor: (M, N).
    """
    first, second = first[:, :, None], second[:, None]
    high, low = torch.minimum(first[2:], second[2:]), torch.maximum(first[:2], second[:2])
    width, height = high.sub_(low).add_(offset).clamp_(min=0)
    overlap = width.mul_(height)
    return overlap / (_areas(first, offset) + _areas(second, offset)).sub_(overlap)


def _areas(boxes, offset):
    x1, y1, x2, y2 = boxes
    return (x2 - x1 + offset) * (y2 - y1 + offset)


def _plain(boxes, threshold):
    """Those kept of boxes that are in order; torchvision sorts equal scores as they come."""
    ranks = torch.arange(len(boxes), 0, -1, dtype=boxes.dtype, device=boxes.device)
    return call(torch.ops.torchvision.nms, boxes, ranks, threshold)


def _with_offset(boxes, threshold):
    """Those kept with an offset of 1, which torchvision does not have.

    Its operator takes boxes that are larger by 1, in double precision. Only overlaps that differ
    from the threshold by less than the rounding could be decided otherwise in mmcv's loops. If
    none between two of those kept is so near, then all others are suppressed by a clear overlap,
    and what is kept is the same. Else, and for boxes that are none, mmcv's loops are followed.
    """
    sides = boxes[:, 2:] - boxes[:, :2]
    if (boxes.abs() <= LARGEST).all() and (sides >= 0).all():
        larger = boxes.double()
        larger[:, 2:] += 1
        kept = _plain(larger, threshold + ROUNDING)
        if len(_plain(larger[kept], threshold - ROUNDING)) == len(kept):
            return kept
    return _in_blocks(boxes, threshold)


def _in_blocks(boxes, threshold):
    """The same as mmcv's loops, a block of boxes after the other."""
    left, kept, block = torch.arange(len(boxes), device=boxes.device), [], FIRST_BLOCK
    boxes = boxes.T.contiguous()
    while len(left):
        over = (overlaps(boxes[:, :block], boxes, 1) > threshold).cpu().numpy()
        stays, chosen = ~over[0], [0]
        for row in range(1, len(over)):
            if stays[row]:
                chosen.append(row)
                stays &= ~over[row]
        stays[: len(over)] = False
        stays = torch.from_numpy(stays).to(left.device)
        kept.append(left[chosen])
        left, boxes = left[stays], boxes[:, stays]
        block = min(2 * block, LAST_BLOCK)
    return torch.cat(kept)
