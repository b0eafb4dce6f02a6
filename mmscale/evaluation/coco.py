"""COCO's figures by hotcoco, many times faster than pycocotools. Needs mmdet."""

import warnings
from functools import partial
from types import FunctionType
from typing import Any

from mmdet.datasets.api_wrappers import COCO
from mmdet.evaluation.metrics import CocoMetric, coco_metric

from mmscale.evaluation.hot import hot_evaluation
from mmscale.utils.environment import require_optional


class FasterCocoMetric(CocoMetric):
    """mmdet's CocoMetric, with the same arguments and figures, computed by hotcoco.

    In a config or on the command line: ``val_evaluator.type=mmscale.FasterCocoMetric``. (The
    maintained fork has a FasterCocoMetric of its own, upstream has none; this one is for both.)

    Raises:
        UserError: If hotcoco is not installed or cannot read what it compares.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        name = type(self).__name__
        require_optional('hotcoco', name)
        # None without a file of annotations: they are made of what the run has seen then.
        read: COCO | None = vars(self)['_coco_api']
        self._coco_api = read and _Truth(read.dataset)
        # mmdet's method takes these from its module and has no argument for them: the same code,
        # with a namespace of its own in which the names are other things.
        own = partial(hot_evaluation, user=name)
        namespace = {**vars(coco_metric), 'COCO': _Truth, 'COCOeval': own, 'COCOevalMP': own}
        self._compute = FunctionType(CocoMetric.compute_metrics.__code__, namespace)

    def compute_metrics(self, results: list) -> dict[str, float]:
        """The figures, by their names."""
        with warnings.catch_warnings():  # mmdet's numbers of detections are not COCO's
            warnings.filterwarnings('ignore', 'hotcoco: max_dets')
            return self._compute(self, results)


class _Truth(COCO):
    """Annotations, from a file or as read, that leave the reading of results to hotcoco."""

    def __init__(self, annotations: Any) -> None:
        if isinstance(annotations, dict):
            super().__init__()
            self.dataset = annotations
            self.createIndex()
        else:
            super().__init__(annotations)

    def loadRes(self, results: list) -> list:
        if not results:
            raise IndexError  # as pycocotools does, for which mmdet has a message
        return results
