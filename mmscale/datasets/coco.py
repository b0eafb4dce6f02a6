"""COCO annotation files: what can be wrong in them, found before training starts."""

import json
import logging
import reprlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.logging import print_log

from mmscale.errors import UserError, is_number, is_whole

LARGEST = 1 << 63  # evaluators keep ids in 64 bits


def read_coco(path: Path, root: Path) -> dict[str, Any]:
    """The content of an annotation file.

    Args:
        path (Path): The file.
        root (Path): The data root, for the message.

    Raises:
        UserError: If it is missing, not JSON, or not in COCO's format.
    """
    if not path.is_file():
        raise UserError(
            f'annotation file {str(path)!r} is missing (data root: {str(root)!r}).\n'
            'A set of your own: correct data_root and ann_file in your config. COCO: say where it '
            'is by COCO_ROOT=/path/to/coco (annotations/, train2017/ and val2017/, see '
            'https://cocodataset.org/#download).\n'
            'To try everything without any data: make demo, or tools/make_shapes.py data/shapes '
            'and a config from configs/shapes/.'
        )
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:  # the latter of what is nested very deep
        raise UserError(f'annotation file {str(path)!r} is not JSON: {error}') from None
    kinds = ('images', 'annotations', 'categories')
    wrong = [k for k in kinds if not isinstance(content, dict) or not _is_list(content.get(k))]
    if wrong:
        raise UserError(
            f'annotation file {str(path)!r} has no lists {wrong}; it must be in COCO format'
        )
    return content


def check_coco(content: dict[str, Any], path: Path, *, evaluated: bool, masks: bool) -> None:
    """Check every entry of an annotation file; what is merely left out later is a warning.

    Args:
        content (dict): From :func:`read_coco`.
        path (Path): The file, for the messages.
        evaluated (bool): Metrics are computed on it, which takes more.
        masks (bool): Segmentations are needed too.

    Raises:
        UserError: If a key that is needed is missing or has a strange value, or an id comes twice.
    """
    entries = dict(
        categories=[('id', _is_id, 'an id'), ('name', _is_text, 'a name')],
        images=[
            ('id', _is_id, 'an id'),
            ('file_name', _is_text, 'a path'),
            ('width', _is_size, 'pixels'),
            ('height', _is_size, 'pixels'),
        ],
        annotations=[
            ('id', _is_id, 'an id'),
            ('image_id', _is_id, 'the id of an image'),
            ('category_id', _is_id, 'the id of a category'),
            ('bbox', _is_box, 'four numbers: left, top, width, height, in pixels'),
            ('area', is_number, 'square pixels'),
        ],
    )
    if evaluated:
        entries['annotations'].append(('iscrowd', _is_switch, '0, or 1 for a crowd'))
    if masks:
        entries['annotations'].append(('segmentation', bool, 'polygons or run lengths, for masks'))
    for kind, keys in entries.items():
        for index, entry in enumerate(content[kind]):
            _check_entry(entry, keys, f'{kind}[{index}] in {str(path)!r}')
        _check_unique([entry['id'] for entry in content[kind]], f'ids of {kind}', path)
    _check_unique([category['name'] for category in content['categories']], 'categories', path)
    if not content['images']:
        raise UserError(f'annotation file {str(path)!r} has no images')
    _warn_of_losses(content, path)


def check_classes(classes: Sequence[str], content: dict[str, Any], path: Path) -> None:
    """Check the class names of a config against the categories of an annotation file.

    Raises:
        UserError: If one is not there, one comes twice, or they are in another order: mmdet numbers
            labels in the file's order, whatever the config's.
    """
    if isinstance(classes, str):
        raise UserError(f'classes={classes!r} is one text; a single class is ({classes!r},)')
    categories = [category['name'] for category in content['categories']]
    unknown = [name for name in classes if name not in categories]
    if unknown:
        raise UserError(
            f'classes {unknown} are not in {str(path)!r}, whose categories are {categories}; '
            'write the classes of your config just like these'
        )
    _check_unique(list(classes), 'classes of the config', path)
    order = [name for name in categories if name in classes]
    if order != list(classes):
        raise UserError(
            f'classes {list(classes)} are in another order than the categories of {str(path)!r}, '
            f'so that labels would get wrong names; write them as {tuple(order)}'
        )


def check_usable(
    dataset: dict[str, Any], classes: Sequence[str], content: dict[str, Any], path: Path
) -> None:
    """Check that training images are left after mmdet's filter.

    Raises:
        UserError: If none are.
    """
    rule = dataset.get('filter_cfg') or {}
    images = content['images']
    if rule.get('filter_empty_gt'):
        wanted = {c['id'] for c in content['categories'] if c['name'] in classes}
        full = {a['image_id'] for a in content['annotations'] if a['category_id'] in wanted}
        images = [image for image in images if image['id'] in full]
    least = rule.get('min_size', 0)
    if not any(min(image['width'], image['height']) >= least for image in images):
        raise UserError(
            f'no image of {str(path)!r} is left to train on: filter_cfg={dict(rule)} wants objects '
            f'of {list(classes)} and sides of {least} px or more'
        )


def check_images(folder: Path, content: dict[str, Any]) -> None:
    """Check that the images are in their folder.

    Raises:
        UserError: If some are missing.
    """
    # One listing of each folder instead of a look-up per image: COCO has 118,000.
    parents = {(folder / image['file_name']).parent for image in content['images']}
    present = {path for parent in parents if parent.is_dir() for path in parent.iterdir()}
    missing = [
        image['file_name']
        for image in content['images']
        if folder / image['file_name'] not in present
    ]
    if missing:
        raise UserError(
            f'{len(missing)} of {len(content["images"])} annotated images are missing in '
            f'{str(folder)!r}, such as {missing[:3]}; correct data_prefix, or complete the images'
        )


def _check_entry(entry, keys, where):
    if not isinstance(entry, dict):
        raise UserError(f'{where} must be an object with keys, but is {reprlib.repr(entry)}')
    for key, fits, what in keys:
        if key not in entry:
            raise UserError(f'{where} lacks {key!r}: {what}')
        if not fits(entry[key]):
            raise UserError(f'{where} has {key!r}: {reprlib.repr(entry[key])}; it should be {what}')


def _check_unique(values, what, path):
    twice = [value for value, count in Counter(values).items() if count > 1]
    if twice:
        raise UserError(
            f'{what} come twice, such as {reprlib.repr(twice[:3])} (annotations: {str(path)!r})'
        )


def _warn_of_losses(content, path):
    images = {image['id'] for image in content['images']}
    categories = {category['id'] for category in content['categories']}
    losses = {
        'boxes without width or height': lambda a: min(a['bbox'][2:]) < 1 or a['area'] <= 0,
        'an image_id that no image has': lambda a: a['image_id'] not in images,
        'a category_id that no category has': lambda a: a['category_id'] not in categories,
    }
    for what, is_lost in losses.items():
        count = sum(map(is_lost, content['annotations']))
        if count:
            print_log(
                f'{count} of {len(content["annotations"])} annotations in {str(path)!r} have '
                f'{what}; they are left out',
                logger='current',
                level=logging.WARNING,
            )


def _is_list(value):
    return isinstance(value, list)


def _is_text(value):
    return isinstance(value, str) and bool(value)


def _is_id(value):
    return isinstance(value, str) or (is_whole(value, -LARGEST) and value <= LARGEST)


def _is_size(value):
    return is_number(value) and 0 < value <= LARGEST


def _is_box(value):
    return _is_list(value) and len(value) == 4 and all(map(is_number, value))


def _is_switch(value):
    return value in (0, 1)
