"""COCO's figures of a results file, with the curves behind them."""

import contextlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mmscale.errors import UserError, first_line
from mmscale.evaluation.hot import hot_evaluation
from mmscale.utils.texts import parse_json

# pycocotools' twelve figures, in its order.
FIGURES = (
    ('AP', 'IoU 0.50:0.95'),
    ('AP50', 'IoU 0.50'),
    ('AP75', 'IoU 0.75'),
    ('AP_S', 'small objects'),
    ('AP_M', 'medium objects'),
    ('AP_L', 'large objects'),
    ('AR_1', '1 detection an image'),
    ('AR_10', '10 detections an image'),
    ('AR_100', '100 detections an image'),
    ('AR_S', 'small objects'),
    ('AR_M', 'medium objects'),
    ('AR_L', 'large objects'),
)
RECALLS = np.linspace(0, 1, 101)
IOUS = np.linspace(0.5, 0.95, 10)


class Evaluation(NamedTuple):
    """What pycocotools says of a results file. -1 stands for a class without objects.

    Attributes:
        figures (dict[str, float]): By the names of `FIGURES`, 0 to 1.
        precision (ndarray): (IoU, recall, class): at `IOUS` and `RECALLS`, over all sizes, with 100
            detections an image.
        scores (ndarray): Likewise, the score at which that recall is reached.
    """

    figures: dict[str, float]
    precision: np.ndarray
    scores: np.ndarray

    def class_ap(self, iou: int | None = None) -> np.ndarray:
        """AP of every class: over all IoUs, or at one by its place in `IOUS`."""
        chosen = self.precision if iou is None else self.precision[iou : iou + 1]
        return chosen.mean((0, 1))

    def curve(self, iou: int) -> np.ndarray:
        """Precision at `RECALLS` for an IoU by its place in `IOUS`, mean of the classes."""
        present = self.precision[iou, 0] > -1
        if not present.any():
            return np.zeros(len(RECALLS))
        return self.precision[iou][:, present].mean(1)


def read_truth(annotations: str | Path) -> COCO:
    """An annotation file in COCO's format.

    Raises:
        UserError: If it cannot be read.
    """
    try:
        with _silence():
            return COCO(str(annotations))
    except (OSError, ValueError, KeyError, TypeError, AssertionError, RecursionError) as error:
        raise UserError(
            f'annotations {str(annotations)!r}, which the predictions are compared with, cannot be '
            f'read ({first_line(error)})'
        ) from error


def read_found(truth: COCO, results: str | Path, kind: str = 'bbox') -> COCO:
    """A results file in COCO's format, ready to be compared.

    Args:
        truth (COCO): The annotations.
        results (str | Path): The file; it may be an empty list.
        kind (str): 'bbox' or 'segm'.

    Raises:
        UserError: If it cannot be read, or is of other pictures.
    """
    try:
        with open(results, encoding='utf-8') as file:
            found = parse_json(file.read())
        if kind == 'segm':  # pycocotools would take the boxes' areas for those of the masks
            found = [{k: v for k, v in one.items() if k != 'bbox'} for one in found]
        if not found:
            empty = COCO()
            empty.dataset = {**truth.dataset, 'annotations': []}
            empty.createIndex()
            return empty
        with _silence():
            return truth.loadRes(found)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, AssertionError) as error:
        raise UserError(
            f'results {str(results)!r} cannot be compared with the annotations '
            f'({first_line(error)}): test again'
        ) from error


def evaluate_coco(
    truth: COCO, found: COCO, kind: str = 'bbox', categories: Sequence[int] | None = None
) -> Evaluation:
    """Compute COCO's figures and curves.

    By hotcoco where it is installed, whose numbers are pycocotools' own, to the last bit but one,
    many times sooner.

    Args:
        truth, found (COCO): See :func:`read_truth`, :func:`read_found`.
        kind (str): 'bbox' or 'segm'.
        categories (Sequence[int], optional): The ids that count, in this order of the curves.
            Default: all of the annotations'.
    """
    ids = sorted(truth.getCatIds() if categories is None else categories)
    with _silence():
        evaluation = _evaluation(truth, found, kind)
        evaluation.params.catIds = ids  # pycocotools would sort them
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    places = slice(None) if categories is None else [ids.index(one) for one in categories]
    precision, scores = (
        evaluation.eval[name][:, :, places, 0, -1] for name in ('precision', 'scores')
    )
    figures = {name: float(value) for (name, _), value in zip(FIGURES, evaluation.stats)}
    return Evaluation(figures, precision, scores)


def _evaluation(truth, found, kind):
    """By hotcoco, unless that is missing or cannot read these."""
    results = [
        {key: value for key, value in one.items() if kind == 'bbox' or key != 'bbox'}
        for one in found.dataset['annotations']
    ]
    with contextlib.suppress(UserError):
        return hot_evaluation(truth, results, kind, 'a report')
    return COCOeval(truth, found, kind)


def coco_figures(
    annotations: str | Path, results: str | Path, kind: str = 'bbox'
) -> dict[str, float]:
    """COCO's twelve figures of a results file, by the names of `FIGURES`."""
    truth = read_truth(annotations)
    return evaluate_coco(truth, read_found(truth, results, kind), kind).figures


def _silence():
    """pycocotools tells on the screen what it does."""
    return contextlib.redirect_stdout(io.StringIO())
