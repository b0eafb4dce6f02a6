"""Test pipelines: the size of their images, and the same pipeline for another size."""

from collections.abc import Sequence
from copy import deepcopy

from mmengine.config import Config

from mmscale.engine.tasks import CLASSIFIER, task_of
from mmscale.errors import UserError
from mmscale.registry import type_name
from mmscale.utils.configs import test_set

SIZES = ('scale', 'crop_size')
PADDED = 'size'  # mmdet's Pad: scaled with the others


def check_tested(cfg: Config, config: str) -> None:
    """Raises UserError if a config has nothing to test on; its name is for the message."""
    if not cfg.get('test_dataloader'):
        raise UserError(
            f'{config} has no test_dataloader: there is nothing to test on; give it '
            'test_dataloader, test_evaluator and test_cfg, as those of val'
        )


def pipeline_at(pipeline: Sequence[dict], resolution: int) -> list[dict]:
    """A test pipeline whose sizes are scaled so that its last one is `resolution`.

    Args:
        pipeline (list[dict]): Transforms; the last one with `scale` or `crop_size` counts. Of a
            pair of sizes the smaller one is meant: 1333 x 800 is 800. A ``Pad(size=...)`` changes
            with them.
        resolution (int): In pixels. 256, then a crop of 224, becomes int(256 / 224 x resolution),
            then a crop of it.

    Raises:
        UserError: If no transform has a size.
    """
    resized = deepcopy(list(pipeline))
    named = [(step, key) for step in resized for key in (*SIZES, PADDED) if step.get(key)]
    sized = [(step, key) for step, key in named if key in SIZES]
    if not sized:
        raise UserError(f'--resolutions: no transform of the test pipeline has any of {SIZES}')
    last, key = sized[-1]
    base = min(_tuple(last[key]))
    for step, key in named:
        sizes = tuple(int(side * resolution / base) for side in _tuple(step[key]))
        step[key] = sizes if isinstance(step[key], (tuple, list)) else sizes[0]
    return resized


def _tuple(size):
    return tuple(size) if isinstance(size, (tuple, list)) else (size,)


def last_size(pipeline: Sequence[dict]) -> tuple[int, int] | None:
    """The size that a pipeline ends with; None if it is that of the pictures."""
    for step in reversed(pipeline):
        for key in SIZES:
            # An edge, or a size to fit into, says nothing about the other side.
            if key in step and type_name(step['type']) in ('CenterCrop', 'Resize'):
                given = step[key]
                return tuple(given)[::-1] if isinstance(given, (tuple, list)) else (given, given)
    return None


def fit_pipeline(cfg: Config, size: tuple[int, int] | None) -> None:
    """Have a test pipeline give images of a fixed size, where it can by its own transforms.

    Args:
        cfg (mmengine.Config): It is changed: a classifier's sizes are scaled, a detector's bound is
            lowered to the frame.
        size (tuple[int], optional): Height and width; None leaves everything as it is.
    """
    if size is None:
        return
    dataset = test_set(cfg)
    if task_of(cfg) is CLASSIFIER:
        if last_size(dataset.pipeline) not in (None, size):
            dataset.pipeline = pipeline_at(dataset.pipeline, min(size))
        return
    for step in dataset.pipeline:
        if isinstance(step.get('scale'), tuple) and step.get('keep_ratio'):
            bounds = zip(sorted(step.scale), sorted(size))
            step.scale = tuple(min(bound) for bound in bounds)[::-1]
