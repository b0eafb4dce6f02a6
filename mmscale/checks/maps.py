"""Data sets of mmseg: a folder of pictures, and one of maps with a number for every pixel."""

import os
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy

import numpy as np
from mmengine.config import Config
from mmengine.registry import DefaultScope
from PIL import Image

from mmscale.checks.findings import FAULT, Finding, count, first
from mmscale.errors import first_line
from mmscale.utils.configs import sets_with_pipeline
from mmscale.utils.environment import require

MISSING = {'pictures-missing': 'pictures', 'maps-missing': 'maps'}
WRONG = {
    'map-unreadable': 'cannot be read',
    'map-colours': 'are pictures, not one number for every pixel',
    'map-size': 'are of another size than their pictures',
    'map-numbers': 'have numbers that no class has',
}
LOOKED_AT = 20  # maps of a set whose pixels are read before every run
DEPTH = ('L', 'P', 'I', 'I;16', '1')  # modes of pictures with one number for every pixel


def find_in_maps(
    cfg: Config, splits: Sequence[str], *, deep: bool = False, lengths: dict[str, int] | None = None
) -> Iterator[Finding]:
    """Look at a segmentor's data sets, of which every picture has a map.

    Args:
        cfg (mmengine.Config): The segmentor's.
        splits (Sequence[str]): Which of 'train', 'val' and 'test' are about to be used.
        deep (bool): Read the pixels of every map, not of a few.
        lengths (dict, optional): Gets the number of pictures of each split.

    Yields:
        Finding: A kind of mistake. Sets that are not of this form, or not local, are passed over.
    """
    seen: dict[str, int] = {}
    for split in splits:
        length = 0
        for given in sets_with_pipeline((cfg.get(f'{split}_dataloader') or {}).get('dataset')):
            name = str({key: value for key, value in given.items() if key != 'pipeline'})
            dataset = _opened(given)
            if dataset is None:
                continue
            if name not in seen:
                seen[name] = 0
                yield from _classes(cfg, dataset, split)
                pairs, faults = _pairs(dataset)
                seen[name] = len(pairs)
                yield from faults or _pixels(dataset, pairs if deep else _some(pairs))
            length += seen[name]
        if lengths is not None and length:
            lengths[split] = length


def _opened(given):
    """A data set that has read no file yet; None if it is not a local one of this form."""
    datasets = require('mmseg.registry').DATASETS
    if given.get('backend_args'):
        return None
    given = {**deepcopy(dict(given)), 'lazy_init': True, 'pipeline': []}
    try:
        with DefaultScope.overwrite_default_scope('mmseg'):
            dataset = datasets.build(given)
    except (TypeError, KeyError, AssertionError, ValueError):
        return None  # which other checks name
    local = isinstance(getattr(dataset, 'img_suffix', None), str)
    prefix = getattr(dataset, 'data_prefix', None) or {}
    return dataset if local and {'img_path', 'seg_map_path'} <= set(prefix) else None


def _classes(cfg, dataset, split):
    """Compare the number of classes of the head with those that the maps may have."""
    classes = dataset.metainfo.get('classes')
    head = cfg.get('model', {}).get('decode_head') or {}
    heads = head if isinstance(head, (list, tuple)) else [head]
    given = [h['num_classes'] for h in heads if isinstance(h, Mapping) and 'num_classes' in h]
    if classes is not None and given and given[0] != len(classes):
        yield Finding(
            FAULT,
            'classes-number',
            f'model.decode_head.num_classes={given[0]}, but the {split} set has {len(classes)} '
            'classes',
            'correct it, and that of an auxiliary_head',
        )


def _pairs(dataset) -> tuple[list[tuple[str, str]], list[Finding]]:
    """The paths of pictures and maps; and what is wrong with them as files."""
    folder, maps = (dataset.data_prefix[key] for key in ('img_path', 'seg_map_path'))
    if not os.path.isdir(folder):
        missing = Finding(
            FAULT,
            'folder-missing',
            f'folder {str(folder)!r} of pictures is missing.\n'
            'Put the data set there, or say where it is by the variable that the config reads: '
            'CITYSCAPES_ROOT, ADE20K_ROOT, or COCO_ROOT with SEMANTIC_ROOT (mmscale make-semantic '
            'draws maps for it); a set of your own: correct data_root and data_prefix',
        )
        return [], [missing]
    try:
        names = _names(dataset, folder)
    except OSError as error:
        return [], [Finding(FAULT, 'file-unreadable', f'{dataset.ann_file!r}: {error.strerror}')]
    if not names:
        empty = f'{str(folder)!r} has no pictures that end in {dataset.img_suffix!r}'
        return [], [Finding(FAULT, 'folder-no-images', empty, 'correct img_suffix or data_prefix')]
    pairs = [
        (
            os.path.join(folder, f'{name}{dataset.img_suffix}'),
            os.path.join(maps, f'{name}{dataset.seg_map_suffix}'),
        )
        for name in names
    ]
    faults = []
    for index, (kind, what) in enumerate(MISSING.items()):
        missing_files = [pair[index] for pair in pairs if not os.path.isfile(pair[index])]
        if missing_files:
            faults.append(
                Finding(
                    FAULT,
                    kind,
                    f'{count(missing_files, pairs, what)} are missing: {first(missing_files)}',
                    "COCO's masks become maps by mmscale make-semantic; else correct data_prefix "
                    'and seg_map_suffix',
                )
            )
    return pairs, faults


def _names(dataset, folder):
    """The names of pictures without the suffix, as mmseg finds them."""
    if dataset.ann_file and not os.path.isdir(dataset.ann_file):
        with open(dataset.ann_file, encoding='utf-8', errors='replace') as lines:
            return [line.strip() for line in lines]
    found = [
        os.path.relpath(os.path.join(parent, name), folder)
        for parent, _, names in os.walk(folder, followlinks=True)
        for name in names
        if name.endswith(dataset.img_suffix) and not name.startswith('.')
    ]
    return sorted(name[: -len(dataset.img_suffix)] for name in found)


def _some(pairs):
    return pairs[:: -(-len(pairs) // LOOKED_AT)]


def _pixels(dataset, pairs):
    """What is in maps: numbers that no class has, other sizes, colours."""
    classes = len(dataset.metainfo.get('classes') or ()) if dataset.label_map is None else 0
    wrong: dict[str, dict[str, str]] = {}
    for picture, path in pairs:
        kind, what = _map_fault(picture, path, classes, dataset)
        if kind:
            wrong.setdefault(kind, {})[path] = what
    for kind, found in wrong.items():
        paths = list(found)
        yield Finding(
            FAULT,
            kind,
            f'{count(paths, pairs, "maps")} that were looked at {WRONG[kind]}: {first(paths)}; of '
            f'the first, {found[paths[0]]}',
        )


def _map_fault(picture, path, classes, dataset):
    """The kind of mistake in a map, '' for none, and what is there."""
    try:
        with Image.open(path) as image, Image.open(picture) as shown:
            if image.mode not in DEPTH:
                return 'map-colours', f'the mode is {image.mode}'
            if image.size != shown.size:
                sizes = [f'{width} x {height} px' for width, height in (image.size, shown.size)]
                return 'map-size', f'the sizes are {sizes[0]} and {sizes[1]}'
            numbers = np.unique(np.asarray(image))
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        return 'map-unreadable', f'the error is {first_line(error)}'
    numbers = numbers[numbers != dataset.ignore_index].astype(int)
    shift = 1 if dataset.reduce_zero_label else 0  # 0 is ignored, 1 the first class
    beyond = numbers[numbers >= classes + shift]
    if classes and len(beyond):
        return 'map-numbers', (
            f'the number is {beyond[0]}; the classes have {shift} to {classes + shift - 1}, and '
            f'{dataset.ignore_index} is ignored'
        )
    return '', ''
