"""The config of a folder: the package's template with what was found in the place of its head."""

import textwrap
from pathlib import Path
from typing import Any

from mmscale.beginning.anchors import Anchors
from mmscale.beginning.coco import relative
from mmscale.beginning.fitting import Plan
from mmscale.beginning.parts import ClassSet, DetectionSet
from mmscale.engine.config import FOLDER
from mmscale.errors import printable

WIDTH = 100
MARK = '# From here on everything follows from the lines above.\n'
DETECTORS = {
    False: 'mmscale::rexnet/faster-rcnn_rexnet-100_fpn_1x_coco.py',
    True: 'mmscale::rexnet/mask-rcnn_rexnet-100_fpn_1x_coco.py',
}
TRAIN, VAL, TEST = 'train', 'val', 'test'
SPACE = '\0'  # for a space inside a name, while lines are broken: repr writes a real one as \\x00


def detector_config(
    found: DetectionSet, files: dict[str, Path], plan: Plan, anchors: Anchors, title: str
) -> str:
    """The text of a detector's config.

    Args:
        found (DetectionSet): The data.
        files (dict[str, Path]): The annotation file of each part.
        plan (Plan): Image size, batch and schedule.
        anchors (Anchors): What stands at every place.
        title (str): For its first line.
    """
    sets = {}
    for split, part in found.parts.items():
        prefix = relative(part.folder, found.root)
        prefix = '' if prefix == '.' else f'{prefix}/'
        sets[split] = dict(
            ann_file=relative(files[split], found.root), data_prefix=dict(img=prefix)
        )
        if split == TRAIN and has_empty(part.content):
            # mmdet would leave pictures without objects out.
            sets[split]['filter_cfg'] = dict(filter_empty_gt=False)
    head = [
        f'_base_ = {DETECTORS[found.masks]!r}',
        '',
        *_assigned('classes', found.classes),
        *_assigned('data_root', f'{found.root}/'),
        *_sets(sets),
        '',
        '# The longer and the shorter side that pictures are scaled to, at most, in px',
        f'image_size = {plan.image_size}',
        '# Sides of the boxes that are looked for, in strides of 4, 8, 16, 32, 64 px',
        f'anchor_scales = {list(anchors.scales)}',
        f'anchor_ratios = {list(anchors.ratios)}  # their height over their width',
        *_schedule(plan),
    ]
    return _joined(title, head, 'own_dataset')


def classifier_config(found: ClassSet, files: dict[str, Path], plan: Plan, title: str) -> str:
    """The text of a classifier's config.

    Args:
        found (ClassSet): The data.
        files (dict[str, Path]): The list of pictures of each part that is no folder.
        plan (Plan): Image size, batch and schedule.
        title (str): For its first line.
    """
    sets: dict[str, Any] = {}
    for split in found.parts:
        where = dict(data_prefix=found.folders.get(split, ''))
        if split in files:
            where = dict(ann_file=str(files[split]), data_prefix='')
        # By their names; mmpretrain then counts the folders too.
        sets[split] = {**where, 'metainfo': dict(classes=found.classes)}
    head = [
        "_base_ = 'mmscale::classification/rexnet-100_in1k.py'",
        '',
        *_assigned('classes', found.classes),
        'num_classes = len(classes)',
        *_assigned('data_root', f'{found.root}/'),
        *(line.replace(repr(found.classes), 'classes') for line in _sets(sets)),
        '',
        f'image_size = {plan.image_size}  # of the square that is cut out of a picture, in px',
        *_schedule(plan),
    ]
    return _joined(title, head, 'own_classes')


def has_empty(content: dict[str, Any]) -> bool:
    """Whether there are pictures without objects."""
    filled = {annotation['image_id'] for annotation in content['annotations']}
    return any(image['id'] not in filled for image in content['images'])


def _sets(sets):
    for split in (TRAIN, VAL):
        yield from _assigned(f'{split}_set', sets[split])
    if TEST in sets:
        yield from _assigned('test_set', sets[TEST])
    else:
        yield 'test_set = val_set'


def _schedule(plan):
    return [
        f'batch_size = {plan.batch_size}  # the learning rate follows it',
        f'max_epochs = {plan.max_epochs}',
        f'warm_up = {plan.warm_up}  # epochs, of {plan.steps} steps each',
    ]


def _assigned(name, value):
    """An assignment, over several lines if it is long."""
    line = f'{name} = {_literal(value)}'
    if len(line) <= WIDTH:
        return [line]
    if isinstance(value, dict):
        inner = [f'    {key}={_literal(item)},' for key, item in value.items()]
        return [f'{name} = dict(', *inner, ')']
    if isinstance(value, tuple):
        inner = textwrap.wrap(
            f'{", ".join(map(_placeholder, map(repr, value)))},',
            WIDTH - 4,
            break_on_hyphens=False,
            break_long_words=False,
        )
        return [f'{name} = (', *(f'    {line.replace(SPACE, " ")}' for line in inner), ')']
    return [line]


def _placeholder(text):
    """Keep a name with spaces in one line."""
    return text.replace(' ', SPACE)


def _literal(value):
    if isinstance(value, dict):
        return f'dict({", ".join(f"{key}={_literal(item)}" for key, item in value.items())})'
    return repr(value)


def _joined(title, head, template):
    text = (FOLDER / f'{template}.py').read_text(encoding='utf-8')
    tail = text.partition(MARK)[2]
    assert tail, f'{template} has lost its mark'
    title = printable(title).replace('\\', '/').replace('"', "'")
    # mmengine would put something in the place of {{ fileDirname }}.
    own = '\n'.join([f'"""{title}"""', '', *head, '']).replace('{{', '{\\x7b')
    return f'{own}\n{MARK}{tail}'
