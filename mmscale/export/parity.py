"""Whether a file computes what the model computes in PyTorch, on real pictures."""

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose

from mmscale.datasets.pictures import list_pictures
from mmscale.datasets.shapes import make_shapes
from mmscale.engine.tasks import task_of
from mmscale.exported.files import ExportedFile, pad_to
from mmscale.exported.models import adapter, shrink
from mmscale.utils.configs import test_set
from mmscale.utils.environment import require

COUNT = 8  # pictures of a test set
RELATIVE = 1e-4  # of the largest value of a tensor
SCORE, IOU, SCORES, MASKS = 0.3, 0.99, 0.01, 0.98


def compare(model: Any, file: ExportedFile, pictures: Sequence[str]) -> tuple[str, list[str]]:
    """Compare a file with its model.

    Args:
        model (mmengine.model.BaseModel): See :func:`mmscale.inference.loading.load_model`.
        file (ExportedFile): The file.
        pictures (Sequence[str]): At least one path.

    Returns:
        tuple[str, list[str]]: What was compared, and a sentence for every picture or map that
        differs: a tensor by more than 1e-4 of its largest value; a box scored above 0.3, in either,
        without one of its label that overlaps it by 0.99 with a score within 0.01 and, if there are
        masks, one that overlaps by 0.98.
    """
    pipeline = Compose(model.cfg.test_dataloader.dataset.pipeline)
    samples = [pipeline(dict(img_path=path, img_id=0)) for path in pictures]
    look = _compare_boxes if file.meta['part'] == 'detector' else _compare_tensors
    with torch.no_grad():
        return look(model, file, samples, [Path(path).name for path in pictures])


def _compare_tensors(model, file, samples, names):
    one = adapter(file)
    worst, wrong = 0.0, []
    for sample, name in zip(samples, names):
        image = sample['inputs']
        if file.meta['part'] == 'segmentor':
            image = shrink(image, sample['data_samples'], file.meta['input']['size'])
        pixels = pad_to(image.numpy(), one.frame([image]))
        count = file.meta['input']['batch'] or 1
        found = file.run(np.repeat(pixels[None, ::-1], count, 0))
        data = dict(
            inputs=[torch.from_numpy(pixels)], data_samples=[deepcopy(sample['data_samples'])]
        )
        images = model.data_preprocessor(data, False)['inputs']
        expected = _tensors(model, images, file.meta['part'])
        for (output, value), tensor in zip(found.items(), expected):
            scale = tensor.abs().max().item()
            error = (torch.from_numpy(value[:1]) - tensor).abs().max().item() / max(scale, 1e-12)
            worst = max(worst, error)
            if not error <= RELATIVE:
                wrong.append(f'{name}: {output} differs by {error:.1e} of its largest value')
    return f'outputs of {len(samples)} pictures differ by {worst:.1e} of the largest value', wrong


def _tensors(model, images, part):
    if part == 'classifier':
        return [model(images, mode='tensor')]
    if part == 'segmentor':
        return [model.encode_decode(images, [dict(img_shape=images.shape[2:])])]
    maps = model.backbone(images)
    return model.neck(maps) if part == 'neck' else maps


def _compare_boxes(model, file, samples, names):
    exported = adapter(file)
    count, least, wrong = 0, 1.0, []
    for sample, name in zip(samples, names):
        described = sample['data_samples']
        image = shrink(sample['inputs'], described, file.meta['input']['size'])
        expected, found = (
            one.test_step(dict(inputs=[image], data_samples=[deepcopy(described)]))[0]
            for one in (model, exported)
        )
        expected, found = expected.pred_instances, found.pred_instances
        for one, other, where in ((expected, found, 'the file'), (found, expected, 'PyTorch')):
            for index in (one.scores > SCORE).nonzero()[:, 0].tolist():
                overlap, problem = _match(one[index], other, where)
                count, least = count + 1, min(least, overlap)
                if problem:
                    wrong.append(f'{name}: {problem}')
    said = f'{count} boxes above {SCORE}, of PyTorch and of the file, in {len(samples)} pictures'
    if count:
        return f'{said}: IoU from {least:.4f}', wrong
    return f'{said}: nothing was compared, give --images that show what the model knows', wrong


def _match(box, others, where):
    """The overlap with the most similar of other boxes, and what is wrong with that."""
    from mmdet.structures.bbox import bbox_overlaps

    score, label = box.scores.item(), box.labels.item()
    said = f'label {label}, score {score:.3f}, box {box.bboxes[0].round().int().tolist()}'
    others = others[others.labels == label]
    if not len(others):
        return 0.0, f'{where} has nothing for {said}'
    overlaps = bbox_overlaps(box.bboxes, others.bboxes)[0]
    index = overlaps.argmax()
    overlap, other = overlaps[index].item(), others.scores[index].item()
    if overlap < IOU or abs(other - score) > SCORES:
        return overlap, f'{where} has IoU {overlap:.3f} and score {other:.3f} for {said}'
    if 'masks' in box:
        mask, mate = torch.as_tensor(box.masks[0]), torch.as_tensor(others.masks[index])
        union = (mask | mate).sum().item()
        shared = (mask & mate).sum().item() / union if union else 1.0
        if shared < MASKS:
            return overlap, f'{where} has a mask of IoU {shared:.3f} for {said}'
    return overlap, ''


def pictures_for(cfg: Config, given: Sequence[str] | None, folder: Path) -> list[str]:
    """Pictures to compare on.

    Args:
        cfg (mmengine.Config): The whole config.
        given (Sequence[str], optional): Pictures and folders of such.
        folder (Path): Where shapes are drawn, if there is no test set either.

    Returns:
        list[str]: Paths; of a test set eight, evenly spread.

    Raises:
        UserError: If what is given cannot be read.
    """
    if given:
        return list_pictures(given)
    try:
        return list(spread(data_set(cfg, 'test'), COUNT))
    except (OSError, RuntimeError):  # there is none here
        make_shapes(folder / 'shapes', train=0, val=COUNT, train_crops=0, val_crops=0)
        return list_pictures([folder / 'shapes' / 'val'])


def data_set(cfg: Config, split: str) -> list[str]:
    """The paths of the pictures of a config's 'train' or 'test' set (or validation set without it).

    Raises:
        OSError, RuntimeError: If it is not there or empty.
    """
    scope = task_of(cfg).scope
    datasets = require(f'{scope}.registry').DATASETS
    loader = cfg.get(f'{split}_dataloader')
    if not loader and split == 'train':
        raise FileNotFoundError('the config has no train_dataloader')
    dataset = datasets.build(deepcopy(loader.dataset if loader else test_set(cfg)))
    while not hasattr(dataset, 'get_data_info'):  # what mixes pictures of another set
        dataset = dataset.dataset
    if not len(dataset):
        raise FileNotFoundError(f'the {split} set is empty')
    return [dataset.get_data_info(index)['img_path'] for index in range(len(dataset))]


def spread(items: Sequence[str], count: int) -> Sequence[str]:
    """At most `count` of a list, evenly spread over it."""
    return items[:: -(-len(items) // count)]
