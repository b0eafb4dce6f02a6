"""The proof of an adapted config: its model is built, and a small batch goes through it."""

import contextlib
import os
import random
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.registry import DefaultScope

from mmscale.adapting.hosts import INNER
from mmscale.adapting.samples import (
    classification_batch,
    detection_batch,
    segmentation_batch,
    video_batch,
)
from mmscale.engine.building import build_model
from mmscale.engine.checks import check_model
from mmscale.engine.tasks import CLASSIFIER, SEGMENTOR, TASKS, task_of
from mmscale.errors import UserError, first_line
from mmscale.models.init_cfg import is_pretrained
from mmscale.registry import type_name
from mmscale.utils.environment import require
from mmscale.utils.logs import warnings_only

Shapes = Sequence[tuple[int, int]]

SHAPES = ((96, 128), (128, 96))  # heights and widths; padded to 128 x 128
SQUARE = ((384, 384),) * 2  # for models that find the others too small, or of different sizes
STEPS = ('built', 'lost', 'predicted')
PICTURES = ('mean', 'std', 'bgr_to_rgb')
PERSON = (256, 128)  # what models that recognise persons again are made for
CLASSES = ('num_classes', 'num_things_classes')
# Few candidates are enough: before and after what overlaps is taken out, and for a loss.
MOST = {'nms_pre': 100, 'max_per_img': 5}
SAMPLES = 16
# Without training, the maps of a SAN overflow, and boxes go far beyond the picture.
DAMPED = ('.generator.', '.fc_reg.')
DAMPING = 0.02


def prove(cfg: Config, original: Config) -> str | None:
    """Let one small batch through the loss and the prediction of a config's model.

    Args:
        cfg (mmengine.Config): The adapted config.
        original (mmengine.Config): What it was made from. Where that does not take the batch
            either, nothing is said against the other.

    Returns:
        str | None: None if all went well; else why this proves nothing.

    Raises:
        UserError: If the adapted model does not work and the original does, or has a fault.
    """
    done, error = attempt(cfg)
    if error is None:
        return None
    reached, former = attempt(original)
    if former is None or len(reached) > len(done):
        raise UserError(f'the adapted model does not work, though the original does: {error}')
    check_model(original)
    return (
        f'the adapted model was not proven: {error}. The original does not take the made-up '
        f'batch either: {former}'
    )


def fault(cfg: Config) -> str | None:
    """What ends a config's model when a small batch goes through it, in a line; None if nothing."""
    return attempt(cfg)[1]


def attempt(cfg: Config) -> tuple[tuple[str, ...], str | None]:
    """How far a small batch gets through a config's model, and in a line what ended it.

    Returns:
        tuple: Of `STEPS` those that went well; and the error, or None. Where pictures of one shape
        do not pass, those of another are tried.
    """
    reached: tuple[tuple[str, ...], str | None] | None = None
    for shapes in (SHAPES, SQUARE):
        done = 0
        try:
            with untouched():
                trial = Trial(cfg, shapes)
                done = 1
                trial.loss()
                done = 2
                trial.predict()
            return STEPS, None
        except Exception as error:  # anyone's model may end with anything
            reached = reached or (STEPS[:done], first_line(error))
    assert reached
    return reached


@contextlib.contextmanager
def untouched() -> Iterator[None]:
    """Whatever is drawn inside, the random numbers after the block are those without it.

    The block is quiet.
    """
    before = random.getstate(), np.random.get_state()
    try:
        with warnings_only(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            np.random.seed(0)
            yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])


class Trial:
    """A config's model with random weights, for a loss and a prediction on two pictures.

    Of a wrapper (a tracker, a semi-supervised detector) it is the detector inside. Of models that
    no batch is made up for, what reads the backbone's maps reads them.

    Args:
        cfg (mmengine.Config): The whole config.
        shapes (Sequence[tuple[int]]): Heights and widths of two pictures, where the model does not
            ask for others.
    """

    def __init__(self, cfg: Config, shapes: Shapes = SHAPES) -> None:
        self.cfg = bare(cfg)
        self.shapes = shapes
        self.channels = (self.cfg.model.get('backbone') or {}).get('in_channels', 3)
        self.task = task_of(self.cfg)
        self.known = self.task in TASKS or self.task.scope is None
        self.model = build_model(self.cfg)
        self.model.init_weights()  # some parts leave their parameters as the memory was
        for key, parameter in self.model.named_parameters():
            if any(part in key for part in DAMPED):
                parameter.data *= DAMPING

    def loss(self, *, backward: bool = False) -> dict[str, float]:
        """The parts of the loss; `backward` also computes the gradients.

        Raises:
            UserError: If it is not finite.
        """
        if not self.known:
            return {}
        self.model.train()
        hub = MessageHub.get_current_instance()
        for key in ('iter', 'epoch'):  # some losses change with them
            if hub.get_info(key) is None:
                hub.update_info(key, 0)
        with DefaultScope.overwrite_default_scope(self.task.package):
            data = self.model.data_preprocessor(self._pictures(0), True)
            loss, parts = self.model.parse_losses(self.model(**data, mode='loss'))
            if not torch.isfinite(loss):
                raise UserError(f'the loss is not finite: {float(loss)}')
            if backward:
                loss.backward()
        return {key: float(value.detach()) for key, value in parts.items()}

    def predict(self) -> Any:
        """What the model finds in two other pictures, one at a time as in a test."""
        self.model.eval()
        scope = DefaultScope.overwrite_default_scope(self.task.package)
        with torch.no_grad(), scope:
            if not self.known:
                return self.model.extract_feat(torch.rand(1, self.channels, 128, 128))
            batch, found = self._pictures(1), []
            for i in range(len(batch['inputs'])):
                one = {key: values[i : i + 1] for key, values in batch.items()}
                found += self.model(**self.model.data_preprocessor(one, False), mode='predict')
            return found

    def _pictures(self, seed: int) -> dict[str, list[Any]]:
        """A batch, with as many channels as the backbone reads."""
        batch = self._batch(seed)
        if self.channels != 3:
            repeated = [channel % 3 for channel in range(self.channels)]
            batch['inputs'] = [picture[..., repeated, :, :] for picture in batch['inputs']]
        return batch

    def _batch(self, seed: int) -> dict[str, list[Any]]:
        """A batch of the kind that the model takes."""
        model = self.cfg.model
        if self.task is CLASSIFIER:
            return classification_batch(seed, (64, 64), require('mmpretrain.structures').DataSample)
        if self.task is SEGMENTOR:
            side = max(map(max, self.shapes))
            return segmentation_batch(seed, (side, side), count_classes(model) or 2)
        if type_name(model['type']) == 'BaseReID':
            sample = require('mmdet.structures').ReIDDataSample
            return classification_batch(seed, PERSON, sample, 4)
        classes = count_classes(model) or 1
        if 'track_head' in model:
            frames = model['track_head'].get('num_frames', 2)
            return video_batch(seed, (128, 128), classes, frames)
        text, side = str(model), _input_size(model)
        shapes = self.shapes if side is None else ((side, side),) * 2
        return detection_batch(
            seed,
            shapes,
            classes,
            masks='mask' in text,
            semantic="'num_stuff_classes': " in text or 'semantic' in text,
            proposals='roi_head' in model and 'rpn_head' not in model,
        )


def unwrapped(cfg: Config) -> Config:
    """A config of the detector inside a wrapper, which gets the wrapper's pictures; or the same."""
    if INNER not in cfg.model:
        return cfg
    cfg = deepcopy(cfg)
    inner = cfg.model[INNER]
    given = cfg.model.get('data_preprocessor') or inner.get('data_preprocessor') or {}
    while 'data_preprocessor' in given:
        given = given['data_preprocessor']
    kept = {key: given[key] for key in PICTURES if given.get(key) is not None}
    inner.data_preprocessor = dict(type='mmdet.DetDataPreprocessor', pad_size_divisor=32, **kept)
    cfg.model = inner
    return cfg


def bare(cfg: Config) -> Config:
    """A copy of a config whose model is built without weights, and whose pictures stay small.

    Of a wrapper it is that of the detector inside.
    """
    cfg = deepcopy(unwrapped(cfg))
    teacher = cfg.model.get('teacher_config')
    if isinstance(teacher, (str, Path)):
        cfg.model.teacher_config = _teacher(str(teacher))._cfg_dict
    for part in ('model', 'data_preprocessor'):
        if cfg.get(part):
            without_weights(cfg[part])
            _shrink(cfg[part])
    return cfg


def _teacher(name):
    """A teacher's config, named as from a checkout of mmdet."""
    if os.path.isfile(name):
        return Config.fromfile(name)
    root = Path(require('mmdet').__file__).parent / '.mim'
    return Config.fromfile(root / name)


def without_weights(node: Any) -> None:
    """Take every checkpoint's name out of a model's config, so that nothing is fetched."""
    for part in _dicts(node):
        given = part.get('init_cfg')
        entries = given if isinstance(given, (list, tuple)) else [given or {}]
        if any(isinstance(entry, dict) and entry and is_pretrained(entry) for entry in entries):
            part['init_cfg'] = None
        for key in ('teacher_ckpt', 'pretrained'):
            if part.get(key):
                part[key] = None


def _shrink(node):
    """Have a model take pictures as they are, look at few candidates, and find something."""
    for part in _dicts(node):
        if part.get('batch_augments'):
            part['batch_augments'] = None
        if part.get('type') == 'MMSyncBN':  # which cannot be built outside several processes
            part['type'] = 'SyncBN'
        if part.get('type') == 'SegDataPreProcessor':  # which pads to the size of a training crop
            part['size'], part['size_divisor'] = None, 32
        if 'nms' in part:
            if 'max_per_img' in part and part.get('score_thr'):
                part['score_thr'] = 0.0
            for key, most in MOST.items():
                if type(part.get(key)) is int:
                    part[key] = min(part[key], most)
        if isinstance(part.get('sampler'), dict) and type(part['sampler'].get('num')) is int:
            part['sampler']['num'] = min(part['sampler']['num'], SAMPLES)


def _dicts(node: Any) -> Iterator[Any]:
    """A config's dicts, from the outside in."""
    if isinstance(node, dict):
        yield node
    if isinstance(node, (dict, list, tuple)):
        for value in node.values() if isinstance(node, dict) else node:
            yield from _dicts(value)


def count_classes(model: Any) -> int | None:
    """The number of classes that the first part of a model says, or None."""
    if isinstance(model, Mapping):
        for key in CLASSES:
            if isinstance(model.get(key), int):
                return model[key]
        model = list(model.values())
    if isinstance(model, (list, tuple)):
        return next((found for found in map(count_classes, model) if found), None)
    return None


def _input_size(node):
    """The one size of pictures that anchors are made for, or None."""
    if isinstance(node, Mapping):
        if isinstance(node.get('input_size'), int):
            return node['input_size']
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        return next((found for found in map(_input_size, node) if found), None)
    return None
