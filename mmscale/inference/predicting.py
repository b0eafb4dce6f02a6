"""Pictures in; drawn pictures and JSON out: from a checkpoint or from an exported file alike."""

import itertools
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dataset import Compose, pseudo_collate
from mmengine.model import BaseModel

from mmscale.datasets.pictures import list_pictures
from mmscale.engine.tasks import DETECTOR, SEGMENTOR, task_of
from mmscale.errors import UserError, check_whole, first_line
from mmscale.inference.loading import open_model
from mmscale.utils.environment import require
from mmscale.utils.figures import write_png
from mmscale.utils.files import writing, written_aside

SCORE = 0.3


def infer(
    weights: str,
    pictures: Sequence[str],
    out: str,
    *,
    config: str | None = None,
    score: float = SCORE,
    batch_size: int = 1,
    device: str = 'cpu',
    trust_checkpoint: bool = False,
    overrides: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Find, classify or segment what pictures show.

    Args:
        weights, config, overrides: As in :func:`mmscale.inference.loading.open_model`.
        pictures (Sequence[str]): Files, and folders of such.
        out (str): A folder: the drawn pictures go to ``OUT/vis``, all predictions to
            ``OUT/predictions.json``, the maps of a segmentor to ``OUT/maps``.
        score (float): Boxes below are not drawn (they are in the JSON).
        batch_size (int): Pictures at a time.
        device (str): Of a checkpoint's model; exported files run on the CPU.
        trust_checkpoint (bool): Let the checkpoint run code.

    Returns:
        list[dict]: What is in the JSON, one for each picture: `picture`; of a detector `bboxes`
        (x1, y1, x2, y2 in pixels), `scores`, `labels`, `names` and perhaps `masks` (COCO's RLE);
        of a classifier `pred_label`, `pred_score`, `pred_scores` and perhaps `pred_class`; of a
        segmentor `map` (a path: a PNG with the number of the class of every pixel) and `shares` (of
        the classes in the pixels, by name).

    Raises:
        UserError: If a picture cannot be read, or the model does not fit.
    """
    check_whole('--batch-size', batch_size)
    if not 0 <= score <= 1:
        raise UserError(f'--score {score} must be from 0 to 1')
    paths = list_pictures(pictures)
    names: dict = {}
    for path in paths:
        other = names.setdefault(Path(path).name, path)
        if other is not path:
            raise UserError(f'{other} and {path} have one name: give them in two runs')
    model = open_model(weights, config, trust=trust_checkpoint, overrides=overrides)
    try:
        model = model.to(device)
    except (RuntimeError, AssertionError) as error:  # torch's own words for what there is not
        raise UserError(f'--device {device!r}: {first_line(error)}') from error
    folder = Path(out)
    if os.path.exists(folder) and not os.path.isdir(folder):
        raise UserError(f'{str(out)!r} is a file; give a folder to write to')
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        task = task_of(model.cfg)
        if task is DETECTOR:
            results = list(_detect(model, paths, folder / 'vis', score, batch_size))
        elif task is SEGMENTOR:
            results = list(_segment(model, paths, folder, batch_size))
        else:
            results = _classify(model, paths, folder / 'vis', batch_size)
    results = [dict(picture=path, **result) for path, result in zip(paths, results)]
    with written_aside(folder / 'predictions.json') as temporary:
        temporary.write_text(json.dumps(results) + '\n', encoding='utf-8')
    return results


def _detect(
    model: BaseModel, paths: list[str], folder: Path, score: float, batch_size: int
) -> Iterator[dict[str, Any]]:
    """Predict batch by batch, draw each picture, and yield what it shows."""
    pipeline = Compose(model.cfg.test_dataloader.dataset.pipeline)
    visualizer = require('mmdet.visualization').DetLocalVisualizer(name='predictions')
    visualizer.dataset_meta = model.dataset_meta
    imread = require('mmcv').imread
    for start in range(0, len(paths), batch_size):
        batch = paths[start : start + batch_size]
        data = pseudo_collate([pipeline(dict(img_path=path, img_id=0)) for path in batch])
        with torch.no_grad():
            samples = model.test_step(data)
        for path, sample in zip(batch, samples):
            visualizer.add_datasample(
                'prediction',
                imread(path, channel_order='rgb'),
                sample,
                draw_gt=False,
                pred_score_thr=score,
                out_file=str(folder / Path(path).name),
            )
            yield _described(sample.pred_instances, model.dataset_meta['classes'])


def _described(instances: Any, classes: Sequence[str] | None) -> dict[str, Any]:
    """The boxes of a picture, and perhaps masks, as plain numbers and texts."""
    masks = instances.get('masks')
    boxes = instances.get('bboxes')
    if masks is not None and (boxes is None or boxes.sum() == 0):  # a detector of masks alone
        boxes = require('mmdet.structures.mask').mask2bbox(torch.as_tensor(masks).cpu())
    labels = instances.labels.tolist()
    result = dict(labels=labels, scores=instances.scores.tolist(), bboxes=boxes.tolist())
    if masks is not None:
        encode = require('mmdet.structures.mask').encode_mask_results
        encoded = encode(torch.as_tensor(masks).cpu().numpy())
        result['masks'] = [dict(rle, counts=rle['counts'].decode()) for rle in encoded]
    if classes:
        result['names'] = [classes[label] for label in labels]
    return result


def _segment(
    model: BaseModel, paths: list[str], folder: Path, batch_size: int
) -> Iterator[dict[str, Any]]:
    """Predict neighbours of one size together, draw each picture, and yield what it shows."""
    pipeline = Compose(model.cfg.test_dataloader.dataset.pipeline)
    visualizer = require('mmseg.visualization').SegLocalVisualizer(name='segmentations')
    classes = model.dataset_meta['classes']
    if not classes:
        raise UserError('the data set names no classes: give it metainfo=dict(classes=...)')
    visualizer.set_dataset_meta(classes, _colours(model.dataset_meta['palette'], len(classes)))
    imread = require('mmcv').imread
    (folder / 'maps').mkdir(exist_ok=True)
    pairs = ((path, pipeline(dict(img_path=path, img_id=0))) for path in paths)
    for _, same in itertools.groupby(pairs, key=lambda pair: pair[1]['inputs'].shape):
        while batch := list(itertools.islice(same, batch_size)):
            with torch.no_grad():
                samples = model.test_step(pseudo_collate([data for _, data in batch]))
            for (path, _), sample in zip(batch, samples):
                visualizer.add_datasample(
                    'prediction',
                    imread(path, channel_order='rgb'),
                    sample,
                    draw_gt=False,
                    out_file=str(folder / 'vis' / Path(path).name),
                )
                labels = sample.pred_sem_seg.data[0].cpu().numpy().astype(np.uint8)
                target = folder / 'maps' / f'{Path(path).stem}.png'
                shares = np.bincount(labels.ravel(), minlength=len(classes)) / labels.size
                yield dict(
                    map=str(write_png(target, labels)),
                    shares={name: float(share) for name, share in zip(classes, shares) if share},
                )


def _colours(palette, count):
    """A colour for each class: the data set's, or, where it has not as many, others."""
    if isinstance(palette, (list, tuple)) and len(palette) == count:
        return list(palette)
    return np.random.RandomState(0).randint(0, 256, (count, 3)).tolist()


def _classify(
    model: BaseModel, paths: list[str], folder: Path, batch_size: int
) -> list[dict[str, Any]]:
    inferencer = require('mmpretrain').ImageClassificationInferencer(model, pretrained=False)
    results = inferencer(paths, batch_size=batch_size, show_dir=str(folder))
    return [{**result, 'pred_scores': result['pred_scores'].tolist()} for result in results]
