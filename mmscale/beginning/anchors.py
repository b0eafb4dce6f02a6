"""Anchors that fit the boxes."""

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

STRIDES = (4, 8, 16, 32, 64)  # of the maps that mmdet's FPN hands on
THRESHOLDS = (0.5, 0.6, 0.7)  # overlaps from "near" to what the RPN calls an object
GAIN = 0.01  # mean recall by which others have to be better than mmdet's own
COST = 0.02  # mean recall that each further anchor of a place has to be worth: it costs time
SAMPLE = 20_000  # boxes that are looked at


class Anchors(NamedTuple):
    """What stands at every place of every map.

    Attributes:
        scales (tuple[float]): Sides in strides.
        ratios (tuple[float]): Height over width.
    """

    scales: tuple[float, ...] = (8,)
    ratios: tuple[float, ...] = (0.5, 1.0, 2.0)


class Fit(NamedTuple):
    """Anchors, and the share of boxes that one of them overlaps by 0.5 and by 0.7."""

    anchors: Anchors
    recall: tuple[float, float]


def fit_anchors(boxes: np.ndarray) -> tuple[Fit, Fit]:
    """Choose anchors for boxes; mmdet's own stay unless others are clearly better.

    Args:
        boxes (numpy.ndarray): (N, 4), left, top, width and height in pixels of the picture that the
            network gets.

    Returns:
        tuple[Fit, Fit]: mmdet's own and the chosen ones.
    """
    boxes = boxes[(boxes[:, 2:] > 0).all(1)]
    if len(boxes) > SAMPLE:
        boxes = boxes[np.random.default_rng(0).choice(len(boxes), SAMPLE, replace=False)]
    own = Anchors()
    tried = [own, *(Anchors(s, r) for s, r in product(_scales(), _ratios(boxes)))]
    overlaps = [best_overlaps(boxes, anchors) for anchors in tried] if len(boxes) else []
    worth = [_worth(o, anchors) for o, anchors in zip(overlaps, tried)]
    best = int(np.argmax(worth)) if worth else 0
    if worth and worth[best] <= worth[0] + GAIN:
        best = 0
    fits = [Fit(tried[i], _recall(overlaps[i]) if overlaps else (1.0, 1.0)) for i in (0, best)]
    return fits[0], fits[1]


def _worth(overlaps, anchors):
    recall = np.mean([(overlaps >= threshold).mean() for threshold in THRESHOLDS])
    return recall - COST * max(_count(anchors) - _count(Anchors()), 0)


def _count(anchors):
    return len(anchors.scales) * len(anchors.ratios)


def _recall(overlaps):
    return float((overlaps >= 0.5).mean()), float((overlaps >= 0.7).mean())


def best_overlaps(boxes: np.ndarray, anchors: Anchors) -> np.ndarray:
    """The overlap (IoU) of each box with the best anchor, where anchors are: (N,).

    On every map, the places nearest to a box's centre are looked at.
    """
    centres, sizes = boxes[:, :2] + boxes[:, 2:] / 2, boxes[:, 2:]
    best = np.zeros(len(boxes))
    for stride in STRIDES:
        off = np.abs(centres - np.round(centres / stride) * stride)  # to the nearest place
        for scale, ratio in product(anchors.scales, anchors.ratios):
            side = np.array([stride * scale / ratio**0.5, stride * scale * ratio**0.5])
            common = np.minimum(sizes / 2, off + side / 2) - np.maximum(-sizes / 2, off - side / 2)
            inside = np.maximum(common, 0).prod(1)
            best = np.maximum(best, inside / (sizes.prod(1) + side.prod() - inside))
    return best


def _scales() -> list[tuple[float, ...]]:
    one = (2, 3, 4, 5, 6, 8, 10, 12)
    return [*((s,) for s in one), *((s, round(s * 2**0.5, 1)) for s in one)]


def _ratios(boxes: np.ndarray) -> list[tuple[float, ...]]:
    """mmdet's ratios, and two sets that follow the boxes."""
    found: list[tuple[float, ...]] = [Anchors().ratios]
    if len(boxes):
        ratios = boxes[:, 3] / boxes[:, 2]
        for parts in (3, 5):
            at = np.quantile(ratios, (np.arange(parts) + 0.5) / parts)
            found.append(tuple(sorted({float(f'{ratio:.2g}') for ratio in at})))
    return found


def in_network(boxes: np.ndarray, pictures: np.ndarray, image_size: Sequence[int]) -> np.ndarray:
    """Boxes as the network gets them: (N, 4).

    Args:
        boxes (numpy.ndarray): (N, 4), in pixels of the picture.
        pictures (numpy.ndarray): (N, 2), width and height of each box's picture.
        image_size (tuple[int]): The longer and the shorter side, at most.
    """
    long, short = max(image_size), min(image_size)
    factors = np.minimum(long / pictures.max(1), short / pictures.min(1))
    return boxes * factors[:, None]
