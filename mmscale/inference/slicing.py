"""Large pictures in parts, by supervision's slicer."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from mmscale.errors import UserError, is_whole
from mmscale.inference.results import Result
from mmscale.inference.sources import Picture
from mmscale.utils.environment import require_optional

IOU = 0.5  # of two boxes of one class, of which the better one is kept


def in_slices(
    pictures: Iterable[Picture],
    slices: int | tuple[int, int],
    overlap: float,
    predict: Callable[[Iterator[Picture]], Iterator[Result]],
) -> Iterator[Result]:
    """Predict on parts of each picture, and put together what was found.

    Args:
        pictures (Iterable[Picture]): Whole ones.
        slices (int | tuple[int, int]): Side, or width and height, of a part in pixels.
        overlap (float): Of neighbouring parts, as a share of their sides.
        predict (Callable): Results of parts, in their order.

    Raises:
        UserError: If the sizes do not fit, or supervision is not installed.
    """
    sides = (slices, slices) if isinstance(slices, int) else tuple(slices)
    if len(sides) != 2 or not all(is_whole(side, 16) for side in sides):
        raise UserError(f'slices={slices!r} must be a side, or width and height, of 16 px or more')
    supervision = require_optional('supervision', f'slices={slices!r}')
    return _sliced(pictures, sides, overlap, predict, supervision)


def _sliced(pictures, sides, overlap, predict, supervision):
    options = dict(
        slice_wh=sides,
        overlap_wh=tuple(int(side * overlap) for side in sides),
        iou_threshold=IOU,
        thread_workers=1,
    )
    for picture in pictures:
        # The slicer asks for one part at a time; so it is run once to collect the parts, and a
        # second time to place what was found in them, which then was computed in real batches.
        parts: list[np.ndarray] = []

        def collect(part: np.ndarray, parts: list = parts) -> Any:
            parts.append(np.ascontiguousarray(part))
            return supervision.Detections.empty()

        supervision.InferenceSlicer(collect, **options)(picture.pixels)
        found = list(predict(Picture(part) for part in parts))
        waiting = iter([result.to_supervision() for result in found])
        merged = supervision.InferenceSlicer(lambda part, w=waiting: next(w), **options)(
            picture.pixels
        )
        yield _whole(picture, found[0], merged)


def _whole(picture, part, merged):
    """A result of the whole picture: the best first, as detectors give them."""
    order = np.argsort(-np.asarray(merged.confidence if len(merged) else []), kind='stable')
    labels = merged.class_id[order].astype(np.int64) if len(merged) else np.zeros(0, np.int64)
    classes = part.drawing.classes
    masks = part.masks
    size = picture.pixels.shape[:2]
    if masks is not None:
        masks = merged.mask[order] if len(merged) else np.zeros((0, *size), bool)
    return replace(
        part,
        boxes=merged.xyxy[order].astype(np.float32),
        scores=merged.confidence[order] if len(merged) else np.zeros(0, np.float32),
        labels=labels,
        names=[classes[label] if classes else str(label) for label in labels.tolist()],
        masks=masks,
        path=picture.path,
        frame=picture.frame,
        size=size,
        pixels=picture.pixels,
    )
