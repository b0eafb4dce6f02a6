"""What a config's model does, detect, classify or segment, and what follows from that."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from mmscale.exported.description import TASKS as DESCRIBED

DETECTION_SHAPE = (800, 1200)


class Task(NamedTuple):
    """What kind of model a config describes.

    Attributes:
        name (str): 'detector', 'classifier' or 'segmentor' (of pixels by classes); 'model' for
            what this package knows nothing about.
        scope (str | None): The config's `default_scope`, which is the package it is made for.
        shape (tuple[int]): Height and width of the image that such models are counted for.
        dataset (str): The type of data set that an exported file names.
        visualizer (str): The type that draws predictions.
    """

    name: str
    scope: str | None
    shape: tuple[int, int] = DETECTION_SHAPE
    dataset: str = ''
    visualizer: str = ''

    @property
    def package(self) -> str:
        """The package that builds the model: mmdet where the config does not say."""
        return self.scope or 'mmdet'


DETECTOR = Task('detector', 'mmdet', DETECTION_SHAPE, *DESCRIBED['mmdet'])
CLASSIFIER = Task('classifier', 'mmpretrain', (224, 224), *DESCRIBED['mmpretrain'])
SEGMENTOR = Task('segmentor', 'mmseg', (512, 1024), *DESCRIBED['mmseg'])
TASKS = (DETECTOR, CLASSIFIER, SEGMENTOR)


def task_of(cfg: Mapping[str, Any]) -> Task:
    """The task of a config: a row of `TASKS`, or one named 'model' if another scope is given."""
    scope = cfg.get('default_scope')
    return next((task for task in TASKS if task.scope == scope), Task('model', scope))
