"""The data sets that a config names: what is wrong with them, and what a run reads instead."""

import inspect
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.fileio import list_from_file

from mmscale.checks.annotations import Use, check_content, check_entries
from mmscale.checks.findings import FAULT, REPAIRED, WARNING, Finding, count, first, settle
from mmscale.checks.folders import (
    FEW,
    READABLE,
    check_folder,
    class_names,
    compare_classes,
    count_pictures,
)
from mmscale.checks.joined import find_in_joined, find_repeats
from mmscale.checks.pictures import check_pictures
from mmscale.checks.reading import read_annotations
from mmscale.checks.repairs import repair, select, write_copy
from mmscale.registry import type_name

METRICS = ('CocoMetric', 'FasterCocoMetric')
LOADERS = ('LoadImageFromFile', 'LoadImage')


def check_data(cfg: Config, splits: Sequence[str]) -> None:
    """Look at the data sets that a detector's config names, and stop at faults.

    Args:
        cfg (mmengine.Config): It reads repaired copies from here on, if it has a `work_dir`.
        splits (Sequence[str]): Which of 'train', 'val' and 'test' are about to be used.

    Raises:
        UserError: See :mod:`mmscale.checks.annotations` and :mod:`mmscale.checks.pictures`.
    """
    settle(find_in_data(cfg, splits, apply='work_dir' in cfg))


def find_in_data(
    cfg: Config,
    splits: Sequence[str],
    *,
    deep: bool = False,
    apply: bool = False,
    pictures: bool = True,
    lengths: dict[str, int] | None = None,
) -> Iterator[Finding]:
    """Look at the data sets in COCO's format; only local ones, each file is read once.

    Args:
        cfg (mmengine.Config): A detector's config.
        splits (Sequence[str]): Which of 'train', 'val' and 'test' are about to be used.
        deep (bool): Decode every pixel of every picture.
        apply (bool): Have the config read repaired copies, written to its `work_dir`.
        pictures (bool): Look at the pictures too.
        lengths (dict[str, int], optional): Gets the number of images of each split.
    """
    files: dict[Path, tuple[Any, list[Finding]]] = {}
    seen: set[Any] = set()
    shown: dict[str, tuple[Path, set[str]]] = {}
    for split in splits:
        loader = cfg.get(f'{split}_dataloader')
        metrics = list(_metrics(cfg.get(f'{split}_evaluator')))
        yield from _evaluator_files(metrics, split)
        sets = list(coco_sets(loader.dataset)) if loader else []
        read: list[tuple[Path, Any]] = []
        for dataset in sets:
            path, folder = _places(dataset)
            if path is None:
                yield Finding(
                    FAULT,
                    'ann-file-list',
                    f'{split}_dataloader: ann_file={dataset.ann_file!r} must be one file',
                    "several are joined by dict(type='ConcatDataset', datasets=[...])",
                )
                continue
            submitted = bool(metrics) and all(metric.get('format_only') for metric in metrics)
            if path not in files:
                files[path] = _read(path, folder, dataset, submitted)
                yield from files[path][1]
            content, repaired = files[path]
            if content is None:
                continue
            if lengths is not None:
                lengths[split] = lengths.get(split, 0) + len(content['images'])
            use = Use(
                path,
                trained=split == 'train',
                evaluated=split != 'train' and not submitted,
                masks=_wants_masks(dataset, metrics),
                classes=_classes(dataset),
                filter_cfg=dataset.get('filter_cfg') or {},
            )
            found = list(check_entries(content, use))
            if not found and not submitted:
                found = list(check_content(content, use))
            if found:
                yield from (f for f in found if (f.kind, path, split == 'train') not in seen)
                seen |= {(f.kind, path, split == 'train') for f in found}
                if any(finding.severity == FAULT for finding in found):
                    continue
            yield from _heads(use.classes, cfg.model)
            if pictures and (path, folder) not in seen:
                seen.add((path, folder))
                turns = _turns(dataset)
                yield from check_pictures(content, path, folder, deep=deep, turns=turns)
                yield from _shown_twice(content, path, folder, split, shown)
            read.append((path, content))
            if len(sets) == 1:
                yield from _other_file(metrics, content, path, split, repaired)
            yield from _applied(
                cfg, dataset, metrics if len(sets) == 1 else [], content, path, repaired, apply
            )

        if split != 'train' and metrics:
            yield from find_repeats(loader.dataset if loader else {}, f'{split}_dataloader')
            if len(read) == len(sets) > 1:
                yield from find_in_joined(read, metrics, split, cfg, apply=apply)


def find_in_folders(
    cfg: Config,
    splits: Sequence[str],
    *,
    deep: bool = False,
    every: bool = False,
    lengths: dict[str, int] | None = None,
) -> Iterator[Finding]:
    """Look at the data sets in class folders that a classifier's config names.

    Args:
        cfg (mmengine.Config): A classifier's config; only its `CustomDataset` sets are looked at.
        splits (Sequence[str]): Which of 'train', 'val' and 'test' are about to be used.
        deep (bool): Decode every pixel of every picture.
        every (bool): Read the header of every picture, however many there are.
        lengths (dict[str, int], optional): Gets the number of images of each split, if it is small.
    """
    before, seen = None, set()
    for split in splits:
        loader = cfg.get(f'{split}_dataloader')
        dataset = loader.dataset if loader else {}
        if type_name(dataset.get('type', '')) != 'CustomDataset' or dataset.get('ann_file'):
            continue
        prefix = dataset.get('data_prefix') or ''
        prefix = prefix if isinstance(prefix, str) else prefix.get('img_path', '')
        folder = Path(dataset.get('data_root') or '') / prefix
        if _is_remote(dataset) or not dataset.get('with_label', True) or folder in seen:
            continue
        seen.add(folder)
        readable = tuple(dataset.get('extensions', READABLE))
        pictures = count_pictures(folder) if os.path.isdir(folder) else 0
        if lengths is not None and 0 < pictures <= FEW:
            lengths[split] = pictures
        headers = every or deep or pictures <= FEW
        found = list(check_folder(folder, readable=readable, headers=headers, deep=deep))
        yield from found
        if any(finding.severity == FAULT for finding in found):
            continue
        classes = class_names(folder)
        yield from compare_classes(folder, classes, before)
        before = folder, classes
        num_classes = (cfg.model.get('head') or {}).get('num_classes')
        if num_classes not in (None, len(classes)):
            yield Finding(
                FAULT,
                'head-classes',
                f'model.head.num_classes={num_classes}, but {str(folder)!r} has {len(classes)} '
                f'class folders, such as {classes[:3]}: '
                f'--cfg-options model.head.num_classes={len(classes)}',
            )


def coco_sets(dataset: Any) -> Iterator[Any]:
    """Yield the sets inside `dataset` that are read as COCO is; it may wrap or join others."""
    if 'dataset' in dataset:
        yield from coco_sets(dataset.dataset)
    elif 'datasets' in dataset:
        for inner in dataset.datasets:
            yield from coco_sets(inner)
    elif dataset.get('ann_file') and _is_coco(dataset.type) and not _is_remote(dataset):
        yield dataset


def _is_coco(kind):
    # LVIS and others inherit from it, but read files of other keys.
    own = getattr(_dataset_class(kind), 'load_data_list', None)
    return own is _dataset_class('CocoDataset').load_data_list


def _dataset_class(kind):
    from mmdet.datasets import CocoDataset  # mmdet is needed only where data is looked at
    from mmdet.registry import DATASETS

    if kind == 'CocoDataset':
        return CocoDataset
    return kind if inspect.isclass(kind) else DATASETS.get(kind)


def _is_remote(dataset):
    return bool(dataset.get('backend_args')) or '://' in str(dataset.get('data_root') or '')


def _places(dataset):
    """The annotation file and the folder of the pictures; no file if there are several."""
    root = Path(dataset.get('data_root') or '')
    folder = root / ((dataset.get('data_prefix') or {}).get('img') or '')
    given = dataset.ann_file
    return (root / given if isinstance(given, (str, Path)) else None), folder


def _read(path, folder, dataset, unlabelled):
    """The content of a file, repaired in memory, and what was found on the way."""
    root = Path(dataset.get('data_root') or '')
    content, fault = read_annotations(path, root, unlabelled=unlabelled)
    if content is None:
        return None, [fault]
    content.setdefault('annotations', [])
    return content, list(repair(content, path, folder))


def _classes(dataset):
    """The names of the classes; a file of them is read as mmengine does."""
    classes = (dataset.get('metainfo') or {}).get('classes')
    if isinstance(classes, str) and os.path.isfile(classes):
        classes = list_from_file(classes)
    return classes or _dataset_class(dataset.type).METAINFO['classes']


def _wants_masks(dataset, metrics):
    steps = [step for step in dataset.get('pipeline') or () if isinstance(step, dict)]
    scored = [kind for metric in metrics for kind in _as_list(metric.get('metric', 'bbox'))]
    return any(step.get('with_mask') for step in steps) or 'segm' in scored


def _turns(dataset):
    """Whether the loader of a pipeline follows the EXIF orientation: mmcv's "color" does."""
    steps = [step for step in dataset.get('pipeline') or () if isinstance(step, dict)]
    loads = [s for s in steps if type_name(s.get('type', '')) in LOADERS]
    if loads and loads[0].get('imdecode_backend') in ('turbojpeg', 'tifffile'):
        return False
    return not loads or loads[0].get('color_type', 'color') in ('color', 'grayscale')


def _metrics(evaluator):
    """Those metrics of an evaluator that read a COCO file."""
    for metric in _as_list(evaluator):
        if isinstance(metric, dict) and type_name(metric.get('type', '')) in METRICS:
            yield metric


def _as_list(value):
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _evaluator_files(metrics, split):
    for metric in metrics:
        path = metric.get('ann_file')
        if path is not None and not isinstance(path, (str, Path)):
            yield Finding(
                FAULT,
                'evaluator-file-list',
                f'{split}_evaluator.ann_file={path!r} must be one file',
                'without it, the truth is taken from the data set (with instances in meta_keys)',
            )
        elif path and '://' not in str(path) and not os.path.isfile(path):
            yield Finding(
                FAULT,
                'evaluator-file-missing',
                f'{split}_evaluator.ann_file={path!r} is missing; correct the path',
            )


def _other_file(metrics, content, path, split, repaired):
    """An evaluator that reads another truth than the loader."""
    for metric in metrics:
        given = metric.get('ann_file')
        if not isinstance(given, (str, Path)) or not os.path.isfile(given):
            continue
        if Path(given).resolve() == path.resolve() or metric.get('format_only'):
            continue
        other, _ = read_annotations(Path(given), Path())
        if other is not None:
            list(repair(other, Path(given), None))
        same = other is not None and all(
            other[key] == content[key] for key in ('images', 'annotations', 'categories')
        )
        if not same:
            yield Finding(
                FAULT,
                'evaluator-other-file',
                f'{split}_evaluator reads another annotation file than {split}_dataloader: '
                f'{str(given)!r} and {str(path)!r}',
                f'{split}_evaluator.ann_file={path}',
            )


def _applied(cfg, dataset, metrics, content, path, repaired, apply):
    """Name the repaired copy where the file is named."""
    named = [m for m in metrics if m.get('ann_file')]
    kinds = {finding.kind for finding in repaired}
    for kind, what in (('image-id', 'images'), ('category-id', 'categories')):
        if kind in kinds and any(m.get('outfile_prefix') for m in metrics):
            yield Finding(
                FAULT,
                f'{kind}-written',
                f'the ids of {what} of {str(path)!r} have to be numbered anew for the metrics, but '
                'predictions are to be written under them',
                f'number the {what} of the file 1, 2, ...',
            )
    indices = dataset.get('indices')
    if _out_of_range(indices, len(content['images'])):
        yield Finding(
            FAULT,
            'indices-none',
            f'indices={indices!r} chooses no image, or one that is not among the '
            f'{len(content["images"])} of {str(path)!r}',
            'indices=N takes the first N, a list takes these, the first is 0',
        )
        return
    if repaired and apply:
        copy = write_copy(content, path, cfg.work_dir)
        dataset.ann_file = str(copy)
        for metric in named:
            metric.ann_file = str(copy)
    if indices is not None and named:
        chosen = dict(content)
        select(chosen, indices)
        yield Finding(
            REPAIRED,
            'indices',
            f'indices={indices!r} leaves {len(chosen["images"])} of {len(content["images"])} '
            f'images of {str(path)!r}: only these are evaluated',
        )
        if apply:
            for metric in named:
                metric.ann_file = str(write_copy(chosen, path, cfg.work_dir, part='chosen'))


def _out_of_range(indices, images):
    """Whether a data set's `indices` leave nothing, or ask for more than there is in a list."""
    if indices is None:
        return False
    if isinstance(indices, int):
        return indices == 0
    return not indices or not all(-images <= i < images for i in indices)


def _shown_twice(content, path, folder, split, shown):
    """Pictures that are both trained on and evaluated."""
    names = {str(folder / image['file_name']) for image in content['images']}
    if split == 'train':
        shown['train'] = path, names
    elif 'train' in shown and shown['train'][0] != path:
        both = sorted(names & shown['train'][1])
        if both:
            yield Finding(
                WARNING,
                'picture-in-both',
                f'{count(both, names, "pictures")} of {str(path)!r} are trained on too, by '
                f'{str(shown["train"][0])!r}: {first(both)}',
                'the figures will be too good: keep them apart',
            )


def _heads(classes, model):
    for where, num_classes in _num_classes(model, 'model'):
        if type(num_classes) is not int or num_classes != len(classes):
            yield Finding(
                FAULT,
                'head-classes',
                f'{where}.num_classes={num_classes!r}, but the data set has {len(classes)} '
                f'classes: {list(classes)}; set it to {len(classes)}',
            )


def _num_classes(node, where):
    """Yield the place and number of every box or mask head's `num_classes` (not the RPN's)."""
    if isinstance(node, (list, tuple)):
        for i, item in enumerate(node):
            yield from _num_classes(item, f'{where}[{i}]')
    elif isinstance(node, dict):
        for key, value in node.items():
            if key in ('bbox_head', 'mask_head') and isinstance(value, dict):
                if value.get('num_classes') is not None:
                    yield f'{where}.{key}', value['num_classes']
            elif key not in ('rpn_head', 'train_cfg', 'test_cfg'):
                yield from _num_classes(value, f'{where}.{key}')
