"""Results drawn into pictures, by the visualizers of mmdet, mmpretrain and mmseg."""

import warnings
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from mmengine.structures import InstanceData, PixelData

from mmscale.engine.tasks import DETECTOR, SEGMENTOR, Task
from mmscale.utils.environment import require
from mmscale.utils.fonts import no_glyph_warnings, use_fonts


class Drawing:
    """How the results of a model are drawn.

    Args:
        task (Task): What the model does.
        classes (Sequence[str], optional): Their names.
        palette (Sequence, str, optional): Their colours.
    """

    def __init__(self, task: Task, classes: Sequence[str] | None, palette: Any) -> None:
        self.task = task
        self.classes = tuple(classes) if classes else None
        self.palette = palette

    def __call__(self, result: Any, threshold: float = 0.0) -> np.ndarray:
        """The picture with a result in it.

        Args:
            result (Result): It has the picture.
            threshold (float): Boxes with lower scores are left out.

        Returns:
            np.ndarray: uint8 (height, width, 3), BGR.
        """
        picture = np.ascontiguousarray(result.picture[..., ::-1])
        state = np.random.get_state()
        np.random.seed(0)  # mmdet varies the colours of masks: those of a video would flicker
        try:
            with warnings.catch_warnings(), no_glyph_warnings():
                # A box may well reach to the edge; the numbers say where.
                warnings.filterwarnings('ignore', 'Warning: The .* out of bounds')
                self._draw(picture, result, threshold)
                return np.ascontiguousarray(self._visualizer.get_image()[..., ::-1])
        finally:
            np.random.set_state(state)

    def _draw(self, picture, result, threshold):
        if self.task is DETECTOR:
            self._draw_boxes(picture, result, threshold)
        elif self.task is SEGMENTOR:
            sample = require('mmseg.structures').SegDataSample()
            sample.pred_sem_seg = PixelData(data=torch.from_numpy(result.map)[None])
            self._visualizer.add_datasample('result', picture, sample, draw_gt=False)
        else:
            sample = require('mmpretrain.structures').DataSample()
            sample.set_pred_label(result.labels).set_pred_score(result.probabilities)
            self._visualizer.visualize_cls(picture, sample, classes=self.classes, draw_gt=False)

    def _draw_boxes(self, picture, result, threshold):
        shown = result.scores >= threshold
        instances = InstanceData(
            bboxes=torch.from_numpy(result.boxes[shown]),
            scores=torch.from_numpy(result.scores[shown]),
            labels=torch.from_numpy(result.labels[shown]),
        )
        if result.masks is not None:
            instances.masks = torch.from_numpy(result.masks[shown])
        sample = require('mmdet.structures').DetDataSample(pred_instances=instances)
        self._visualizer.add_datasample(
            'result', picture, sample, draw_gt=False, pred_score_thr=-1.0
        )

    @cached_property
    def _visualizer(self) -> Any:
        if self.task is DETECTOR:
            visualizer = require('mmdet.visualization').DetLocalVisualizer(name='predictions')
            visualizer.dataset_meta = dict(classes=self.classes, palette=self.palette)
        elif self.task is SEGMENTOR:
            visualizer = require('mmseg.visualization').SegLocalVisualizer(name='segmentations')
            classes = self.classes or ()
            visualizer.set_dataset_meta(classes, _colours(self.palette, len(classes)))
        else:
            visualizer = require('mmpretrain.visualization').UniversalVisualizer()
        use_fonts(visualizer, self.classes or ())
        return visualizer


def _colours(palette, count):
    """A colour for each class: the data set's, or, where it has not as many, others."""
    if isinstance(palette, (list, tuple)) and len(palette) == count:
        return list(palette)
    return np.random.RandomState(0).randint(0, 256, (count, 3)).tolist()
