"""``mmscale.load``: a model from any kind of file, and what it says of pictures of any kind."""

import itertools
import os
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.dataset import Compose, pseudo_collate
from mmengine.model import BaseModel

from mmscale.engine.config import find_config
from mmscale.engine.resuming import best_checkpoint
from mmscale.engine.tasks import DETECTOR, SEGMENTOR, task_of
from mmscale.errors import UserError, check_choice, check_whole, first_line, is_number
from mmscale.exported.engines import is_exported
from mmscale.inference.drawing import Drawing
from mmscale.inference.loading import open_model
from mmscale.inference.results import Result
from mmscale.inference.slicing import in_slices
from mmscale.inference.sources import Picture, is_endless, pictures_of
from mmscale.utils.environment import require
from mmscale.utils.logs import quiet_imports

SCORE = 0.3
TOP = 5  # classes of a picture that a classifier names


@quiet_imports()
def load(
    source: str | os.PathLike,
    *,
    weights: str | os.PathLike | None = None,
    config: str | os.PathLike | None = None,
    device: str | None = None,
    trust_checkpoint: bool = False,
    overrides: Mapping[str, Any] | None = None,
) -> 'Predictor':
    """A model to predict with, from whatever it lies in.

    Args:
        source (str | Path): An exported file (NAME.onnx, NAME.xml); a checkpoint (a path, or what
            else :func:`mmscale.checkpoints.find_file` takes); a work dir, of which the best
            checkpoint is taken, or the last where none is marked as the best; or, with `weights`,
            a config by path or name.
        weights (str | Path, optional): The checkpoint of a config.
        config (str | Path, optional): The config of a checkpoint. What a run has written quotes
            its own, which is read as data: nothing in it is run.
        device (str, optional): Of a checkpoint's model. Default: the first GPU, or 'cpu'. Exported
            files run on the CPU.
        trust_checkpoint (bool): Let the checkpoint, and the config that it quotes, run code.
        overrides (dict, optional): As in :func:`mmscale.engine.config.load_config`.

    Returns:
        Predictor: With ``predict``.

    Raises:
        UserError: If there is no such file, or the parts do not fit each other.

    Example::

        import mmscale

        model = mmscale.load('detector.onnx')  # or work_dirs/mine, or epoch_12.pth
        model.predict('street.jpg')[0].save('drawn.jpg')
    """
    file = os.fspath(source)
    given = None if config is None else os.fspath(config)
    if weights is not None:
        if given is not None:
            raise UserError(f'{file!r} is the config where weights= is given: leave config= out')
        given, file = file, os.fspath(weights)
    if os.path.isdir(file):
        file = best_checkpoint(file, trust=trust_checkpoint)
    elif weights is None and not is_exported(file) and _is_config(file):
        raise UserError(
            f'{file!r} is a config: give its weights too, weights=CHECKPOINT, or on the command '
            f'line mmscale infer CHECKPOINT PICTURES --config {shlex.quote(file)}'
        )
    if is_exported(file) and device not in (None, 'cpu'):
        raise UserError(f'device={device!r}: {file} is an exported file, which runs on the CPU')
    model = open_model(file, given, trust=trust_checkpoint, overrides=overrides)
    place = device or ('cuda' if torch.cuda.is_available() and not is_exported(file) else 'cpu')
    try:
        return Predictor(model.to(place))
    except (RuntimeError, AssertionError) as error:  # torch's own words for what there is not
        raise UserError(f'device={place!r}: {first_line(error)}') from error


def _is_config(source):
    """Whether it is the path or name of a config; a checkpoint's file is not looked for there."""
    if os.path.isfile(source) or '://' in source:
        return source.endswith('.py')
    try:
        find_config(source)
    except UserError as error:
        if not os.path.exists(source) and source.isidentifier():
            raise UserError(f'there is no file or work dir {source!r}, and {error}') from error
        return source.endswith('.py') or '::' in source
    return True


class Predictor:
    """A model that says what pictures show; :func:`mmscale.load` makes it.

    Args:
        model (mmengine.model.BaseModel): As :func:`mmscale.inference.loading.open_model` gives it.

    Attributes:
        model (mmengine.model.BaseModel): In eval mode.
        task (str): 'detector', 'classifier' or 'segmentor'.
        classes (tuple[str] | None): Their names, in the order of their numbers.
    """

    def __init__(self, model: BaseModel) -> None:
        self.model = model
        self._task = task_of(model.cfg)
        self.task = self._task.name
        classes = model.dataset_meta['classes']
        if self._task is SEGMENTOR and not classes:
            raise UserError('the data set names no classes: give it metainfo=dict(classes=...)')
        self.drawing = Drawing(self._task, classes, model.dataset_meta['palette'])
        self.classes = self.drawing.classes
        if self._task is DETECTOR:
            require('mmdet.datasets.transforms')
        steps = model.cfg.test_dataloader.dataset.pipeline
        self._pipeline = Compose([step for step in steps if step['type'] != 'LoadImageFromFile'])

    def __repr__(self) -> str:
        count = len(self.classes or ())
        return f'<{self.task}, {count} classes, {type(self.model).__name__}>'

    def predict(
        self,
        pictures: Any,
        *,
        threshold: float = SCORE,
        batch: int = 1,
        channels: str = 'bgr',
        top: int = TOP,
        slices: int | tuple[int, int] | None = None,
        overlap: float = 0.2,
    ) -> list[Result] | Iterator[Result]:
        """Find, classify or segment what pictures show.

        Args:
            pictures (Any): A path, a folder, a pattern (``photos/*.jpg``), an array (height, width,
                3) of uint8, a PIL image, the bytes of a picture's file, or a list of those; a video
                file, or an iterator of those.
            threshold (float): Of a detector: boxes with lower scores are left out.
            batch (int): Pictures that are computed at once. A detector pads those of several sizes
                to one, as mmdet does; a segmentor takes neighbours of one size together.
            channels (str): 'bgr', OpenCV's order, or 'rgb': what the arrays are in.
            top (int): Of a classifier: how many classes are named.
            slices (int | tuple[int, int], optional): Of a detector: side, or width and height, of
                the parts into which larger pictures are cut, in pixels. `batch` parts are computed
                at once. Needs supervision.
            overlap (float): Of the parts, as a share of their sides.

        Returns:
            list[Result] | Iterator[Result]: One for each picture, in order: a list, but of a video
            or an iterator a generator, which computes while it is asked.

        Raises:
            UserError: If a picture is missing or cannot be read, or an argument does not fit.
        """
        check_whole('batch', batch)
        check_whole('top', top)
        check_choice('channels', channels, ('bgr', 'rgb'))
        for name, share, below in (('threshold', threshold, 1.0), ('overlap', overlap, 0.9)):
            if not is_number(share) or not 0 <= share <= below:
                raise UserError(f'{name}={share!r} must be a number from 0 to {below:g}')
        if slices is not None and self._task is not DETECTOR:
            raise UserError(f'slices={slices!r}: a {self.task} takes a picture as a whole')
        read = pictures_of(pictures, channels == 'rgb')
        if slices is None:
            results = self._results(read, threshold, batch, top)
        else:
            results = in_slices(
                read, slices, overlap, lambda parts: self._results(parts, threshold, batch, top)
            )
        if is_endless(pictures):
            return results
        return [_without_file(result) for result in results]

    def _results(self, pictures, threshold, batch, top) -> Iterator[Result]:
        for group in self._batches(pictures, batch):
            with torch.no_grad():
                samples = self.model.test_step(pseudo_collate([data for _, data in group]))
            for (picture, _), sample in zip(group, samples):
                yield self._result(picture, sample, threshold, top)

    def _batches(self, pictures, batch) -> Iterator[list[tuple[Picture, dict[str, Any]]]]:
        """Pictures with what the test pipeline makes of them, as many as are computed at once."""
        pairs = ((picture, self._prepared(picture)) for picture in pictures)
        groups: Any = [(None, pairs)]
        if self._task is SEGMENTOR:  # mmseg pads none
            groups = itertools.groupby(pairs, key=lambda pair: pair[1]['inputs'].shape)
        for _, same in groups:
            same = iter(same)
            while group := list(itertools.islice(same, batch)):
                yield group

    def _prepared(self, picture: Picture) -> dict[str, Any]:
        size = picture.pixels.shape[:2]
        given = dict(img=picture.pixels, img_shape=size, ori_shape=size)
        try:
            return self._pipeline(dict(given, img_path=picture.path or '', img_id=0))
        except cv2.error as error:
            named = repr(picture.path) if picture.path else 'the array'
            raise UserError(
                f'{named} of {size[0]} x {size[1]} px (height x width) cannot be made ready for '
                f'this model, it may be too thin: {first_line(error)}'
            ) from error

    def _result(self, picture, sample, threshold, top) -> Result:
        about = dict(
            path=picture.path,
            frame=picture.frame,
            size=picture.pixels.shape[:2],
            drawing=self.drawing,
            pixels=picture.pixels,
        )
        if self._task is DETECTOR:
            return self._detections(sample, threshold, about)
        found: dict[str, Any] = dict(boxes=np.zeros((0, 4), np.float32))
        if self._task is SEGMENTOR:
            found['map'] = sample.pred_sem_seg.data[0].cpu().numpy().astype(np.int64)
            shares = np.bincount(found['map'].ravel()) / found['map'].size
            labels = np.argsort(-shares, kind='stable')[: np.count_nonzero(shares)]
        else:
            found['probabilities'] = shares = sample.pred_score.float().cpu().numpy()
            labels = np.argsort(-shares, kind='stable')[:top]
        scores = shares[labels].astype(np.float32)
        return Result(scores=scores, labels=labels, names=self._names(labels), **found, **about)

    def _detections(self, sample, threshold, about) -> Result:
        if 'pred_instances' not in sample:
            raise UserError(f'{type(self.model).__name__} finds no boxes: it cannot be predicted')
        found = sample.pred_instances
        found = found[found.scores >= threshold]
        masks, boxes = found.get('masks'), found.get('bboxes')
        if masks is not None:
            masks = torch.as_tensor(masks).cpu()
            if boxes is None or boxes.sum() == 0:  # a detector of masks alone
                boxes = require('mmdet.structures.mask').mask2bbox(masks)
            masks = masks.numpy().astype(bool, copy=False)
        labels = found.labels.cpu().numpy()
        return Result(
            boxes=boxes.float().cpu().numpy(),
            scores=found.scores.float().cpu().numpy(),
            labels=labels,
            names=self._names(labels),
            masks=masks,
            **about,
        )

    def _names(self, labels) -> list[str]:
        classes = self.classes
        return [classes[label] if classes else str(label) for label in labels.tolist()]


def _without_file(result):
    """Let go of pixels that can be read again: a list of thousands would fill the memory."""
    if result.path is not None and result.frame is None:
        result.pixels = None
    return result
