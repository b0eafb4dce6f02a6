"""What can be wrong with a data set, found before training starts."""

import inspect
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config

from mmscale.datasets.coco import check_classes, check_coco, check_images, check_usable, read_coco
from mmscale.errors import UserError


def check_data(cfg: Config, splits: Sequence[str]) -> None:
    """Check the data sets that a config names, and that its heads have one output per class.

    Only local sets in COCO's format are looked at; each annotation file is read once.

    Args:
        cfg (mmengine.Config): A detector's config.
        splits (Sequence[str]): Which of 'train', 'val' and 'test' are about to be used.

    Raises:
        UserError: If a file, a folder or images are missing, annotations are malformed, the class
            names are not the annotation's, or a head's `num_classes` differs.
    """
    annotations: dict = {}
    for split in splits:
        loader = cfg.get(f'{split}_dataloader')
        for dataset in _datasets(loader.dataset) if loader else ():
            root = Path(dataset.get('data_root') or '')
            path = root / dataset.ann_file
            if path not in annotations:
                annotations[path] = read_coco(path, root)
            content, classes = annotations[path], _classes(dataset)
            masks = any(step.get('with_mask') for step in dataset.get('pipeline', ()))
            check_coco(content, path, evaluated=split != 'train', masks=masks)
            check_classes(classes, content, path)
            if split == 'train':
                check_usable(dataset, classes, content, path)
            _check_heads(classes, cfg.model)
            check_images(root / dataset.get('data_prefix', {}).get('img', ''), content)
        _check_evaluators(cfg.get(f'{split}_evaluator'), split)


def check_folders(cfg: Config, splits: Sequence[str]) -> None:
    """Check the data sets in class folders that a classifier's config names.

    Args:
        cfg (mmengine.Config): A classifier's config; only its `CustomDataset` sets are looked at.
        splits (Sequence[str]): Which of 'train', 'val' and 'test' are about to be used.

    Raises:
        UserError: If a folder is missing or has no classes, if the splits' classes differ, or the
            head's `num_classes` does.
    """
    first = None
    for split in splits:
        loader = cfg.get(f'{split}_dataloader')
        dataset = loader.dataset if loader else {}
        if dataset.get('type') != 'CustomDataset' or dataset.get('ann_file') or _is_remote(dataset):
            continue
        folder = Path(dataset.get('data_root') or '') / dataset.get('data_prefix', '')
        if not folder.is_dir():
            raise UserError(
                f'folder {str(folder)!r} is missing: it should have one folder of images for each '
                'class.\nPut the data set there, or say where it is by the variable that the '
                'config reads: IMAGENET_ROOT=/path/to/it with train/ and val/ (ImageNet: '
                'https://image-net.org/download.php), CIFAR_ROOT, SHAPES_ROOT.\n'
                'To try everything without any data: tools/make_shapes.py data/shapes and '
                'configs/shapes/rexnet-100_shapes.py'
            )
        classes = sorted(path.name for path in folder.iterdir() if path.is_dir())
        if not classes:
            raise UserError(f'{str(folder)!r} has no class folders, but images go into one each')
        if not any(any((folder / name).rglob('*.*')) for name in classes):
            raise UserError(
                f'{str(folder)!r} has no image in any of its {len(classes)} class folders'
            )
        if first is not None and classes != first[1]:
            differ = sorted(set(classes) ^ set(first[1]))
            raise UserError(f'{str(folder)!r} and {str(first[0])!r} differ in the classes {differ}')
        first = folder, classes
        num_classes = cfg.model.get('head', {}).get('num_classes')
        if num_classes not in (None, len(classes)):
            raise UserError(
                f'model.head.num_classes={num_classes}, but {str(folder)!r} has {len(classes)} '
                f'class folders, such as {classes[:3]}: '
                f'--cfg-options model.head.num_classes={len(classes)}'
            )


def check_labels(named: str, known: Sequence[str] | None, wanted: Sequence[str] | None) -> None:
    """Labels are numbers: those of other classes would be scored as the data set's.

    Args:
        named (str): The checkpoint or exported file, for the message.
        known, wanted (Sequence[str]): Its classes and the data set's; nothing is compared if either
            does not say.

    Raises:
        UserError: If they differ.
    """
    known, wanted = list(known or ()), list(wanted or ())
    if known and wanted and known != wanted:
        differ = next((pair for pair in zip(known, wanted) if pair[0] != pair[1]), 'their number')
        raise UserError(
            f'{named} knows {len(known)} classes ({", ".join(known[:3])}, ...), the data set has '
            f'{len(wanted)} ({", ".join(wanted[:3])}, ...), and they begin to differ at {differ}: '
            'give the config and data that it was made with'
        )


def _datasets(dataset):
    """Yield the sets inside `dataset` that are read as COCO is; it may wrap or join others."""
    if 'dataset' in dataset:
        yield from _datasets(dataset.dataset)
    elif 'datasets' in dataset:
        for inner in dataset.datasets:
            yield from _datasets(inner)
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


def _classes(dataset):
    classes = (dataset.get('metainfo') or {}).get('classes')
    return classes or _dataset_class(dataset.type).METAINFO['classes']


def _check_evaluators(evaluators, split):
    for metric in evaluators if isinstance(evaluators, list) else [evaluators or {}]:
        path = metric.get('ann_file')
        if path and '://' not in path and not Path(path).is_file():
            raise UserError(f'{split}_evaluator.ann_file={path!r} is missing; correct the path')


def _check_heads(classes, model):
    for where, num_classes in _num_classes(model, 'model'):
        if num_classes != len(classes):
            raise UserError(
                f'{where}.num_classes={num_classes}, but the data set has {len(classes)} classes: '
                f'{list(classes)}; set it to {len(classes)}'
            )


def _num_classes(node, where):
    """Yield the place and number of every box or mask head's `num_classes` (not the RPN's)."""
    if isinstance(node, (list, tuple)):
        for i, item in enumerate(node):
            yield from _num_classes(item, f'{where}[{i}]')
    elif isinstance(node, dict):
        for key, value in node.items():
            if key in ('bbox_head', 'mask_head') and isinstance(value, dict):
                if isinstance(value.get('num_classes'), int):
                    yield f'{where}.{key}', value['num_classes']
            elif key not in ('rpn_head', 'train_cfg', 'test_cfg'):
                yield from _num_classes(value, f'{where}.{key}')
