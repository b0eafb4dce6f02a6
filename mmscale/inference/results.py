"""What a model says of one picture, the same for checkpoints and exported files of every engine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as mask_utils

from mmscale.errors import UserError, check_choice
from mmscale.inference.drawing import Drawing
from mmscale.inference.sources import read_picture
from mmscale.utils.environment import require_optional
from mmscale.utils.figures import write_png
from mmscale.utils.files import check_out

DRAWN = ('.png', '.jpg', '.jpeg', '.bmp', '.webp')


@dataclass(eq=False)
class Result:
    """What was found in a picture.

    Attributes:
        boxes (np.ndarray): float32 (N, 4): x1, y1, x2, y2 in pixels of the picture. Of classifiers
            and segmentors (0, 4).
        scores (np.ndarray): float32 (N,), falling; of a classifier those of its best classes, of a
            segmentor the share of the picture that each class has.
        labels (np.ndarray): int64 (N,): numbers of classes, from 0; of a segmentor those in `map`.
        names (list[str]): The classes by name (their numbers, where the model knows none).
        masks (np.ndarray | None): bool (N, height, width), of a detector with masks.
        map (np.ndarray | None): int64 (height, width), of a segmentor: the class of every pixel.
        probabilities (np.ndarray | None): float32 (classes,), of a classifier.
        path (str | None): The picture's file, or the video that it is a frame of.
        frame (int | None): Its number in the video, from 0.
        size (tuple[int]): Height and width of the picture, in pixels.
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    names: list[str]
    masks: np.ndarray | None = None
    map: np.ndarray | None = None
    probabilities: np.ndarray | None = None
    path: str | None = None
    frame: int | None = None
    size: tuple[int, int] = (0, 0)
    drawing: Drawing = field(kw_only=True, repr=False)
    pixels: np.ndarray | None = field(default=None, kw_only=True, repr=False)

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        best = ', '.join(f'{name} {score:.2f}' for name, score in zip(self.names, self.scores))
        where = '' if self.path is None else f'{self.path}: '
        where += '' if self.frame is None else f'frame {self.frame}: '
        return f'<{where}{best[:200] or "nothing"}>'

    @property
    def picture(self) -> np.ndarray:
        """The picture, uint8 (height, width, 3), BGR; its file is read again where it has one."""
        if self.pixels is not None:
            return self.pixels
        assert self.path is not None
        return read_picture(self.path)

    def draw(self, threshold: float = 0.0, channels: str = 'bgr') -> np.ndarray:
        """The picture with what was found.

        Args:
            threshold (float): Boxes with lower scores are left out.
            channels (str): 'bgr' (OpenCV's order) or 'rgb' (matplotlib's and PIL's).

        Returns:
            np.ndarray: uint8 (height, width, 3).
        """
        check_choice('channels', channels, ('bgr', 'rgb'))
        drawn = self.drawing(self, threshold)
        return np.ascontiguousarray(drawn[..., ::-1]) if channels == 'rgb' else drawn

    def save(self, out: str | Path, threshold: float = 0.0) -> Path:
        """Write the drawn picture, whole or not at all.

        Args:
            out (str | Path): NAME.png or NAME.jpg.
            threshold (float): As in :meth:`draw`.

        Raises:
            UserError: If it cannot be written.
        """
        return write_png(check_out(out, DRAWN), self.draw(threshold))

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and texts, as ``mmscale infer`` writes them to ``predictions.json``."""
        if self.probabilities is not None:
            best = int(self.probabilities.argmax())
            result: dict[str, Any] = dict(
                pred_scores=self.probabilities.tolist(),
                pred_label=best,
                pred_score=float(self.probabilities[best]),
            )
            classes = self.drawing.classes
            return {**result, 'pred_class': classes[best]} if classes else result
        if self.map is not None:
            return dict(shares={n: float(share) for n, share in zip(self.names, self.scores)})
        result = dict(
            labels=self.labels.tolist(), scores=self.scores.tolist(), bboxes=self.boxes.tolist()
        )
        if self.masks is not None:
            result['masks'] = _encoded(self.masks)
        return {**result, 'names': self.names} if self.drawing.classes else result

    def to_coco(
        self, image_id: int = 0, categories: Sequence[Mapping[str, Any]] | None = None
    ) -> list[dict[str, Any]]:
        """Entries of a file of results in COCO's format.

        Args:
            image_id (int): The picture's, in the file of annotations.
            categories (list[dict], optional): Of that file: the numbers of the classes are looked
                up there by name. Without, the number of a class is its label.

        Returns:
            list[dict]: `image_id`, `category_id`, `bbox` (x, y, width, height), `score` and, of
            masks, `segmentation` (run lengths).

        Raises:
            UserError: If it is a classifier's, or a class is in none of the categories.
        """
        boxes, masks = self._regions('COCO')
        numbers = {entry['name']: entry['id'] for entry in categories or ()}
        unknown = [name for name in self.names if categories is not None and name not in numbers]
        if unknown:
            raise UserError(f'class {unknown[0]!r} is none of the categories {[*numbers]}')
        sides = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], 1)
        entries = [
            dict(
                image_id=image_id,
                category_id=numbers.get(name, label),
                bbox=box,
                score=score,
            )
            for name, label, box, score in zip(
                self.names, self.labels.tolist(), sides.tolist(), self.scores.tolist()
            )
        ]
        if masks is not None:
            for entry, encoded in zip(entries, _encoded(masks)):
                entry['segmentation'] = encoded
        return entries

    def to_supervision(self) -> Any:
        """A ``supervision.Detections``, or of a classifier ``supervision.Classifications``.

        Raises:
            UserError: If supervision is not installed.
        """
        supervision = require_optional('supervision', 'to_supervision()')
        if self.probabilities is not None:
            return supervision.Classifications(class_id=self.labels, confidence=self.scores)
        boxes, masks = self._regions('supervision')
        return supervision.Detections(
            xyxy=boxes,
            mask=masks,
            confidence=self.scores,
            class_id=self.labels,
            data={'class_name': np.array(self.names, dtype=str)},
        )

    def _regions(self, what):
        """Boxes and masks; of a segmentor one for each class, around all of its pixels."""
        if self.probabilities is not None:
            raise UserError(f'{what} has no form for what a classifier says of a whole picture')
        if self.map is None:
            return self.boxes, self.masks
        masks = self.map == self.labels[:, None, None]
        corners = [cv2.boundingRect(mask.astype(np.uint8)) for mask in masks]
        boxes = [(x, y, x + width, y + height) for x, y, width, height in corners]
        return np.array(boxes, np.float32).reshape(-1, 4), masks


def _encoded(masks: np.ndarray) -> list[dict[str, Any]]:
    """Masks as COCO's run lengths, in texts that JSON takes."""
    if not len(masks):
        return []
    encoded = mask_utils.encode(np.asfortranarray(masks.transpose(1, 2, 0), np.uint8))
    return [dict(rle, counts=rle['counts'].decode()) for rle in encoded]
