"""Annotation files in COCO's format: what they hold, entry by entry and as a whole."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmscale.checks.findings import FAULT, NOTE, WARNING, Finding, count, first
from mmscale.errors import is_number, is_whole

MARGIN = 2  # pixels by which a box may leave its picture: exporters round
MOST_CHARACTERS = 7  # of a compressed run length: 35 bits


class Use(NamedTuple):
    """What an annotation file is for.

    Attributes:
        path (Path): Of the file, for the messages.
        trained (bool): A model learns from it.
        evaluated (bool): Metrics are computed on it.
        masks (bool): Segmentations are needed too.
        classes (tuple[str], optional): Of the config; None for every category of the file.
        filter_cfg (dict): mmdet's filter of training images.
    """

    path: Path
    trained: bool = True
    evaluated: bool = True
    masks: bool = False
    classes: Sequence[str] | None = None
    filter_cfg: dict[str, Any] = {}


def check_content(content: dict[str, Any], use: Use) -> Iterator[Finding]:
    """Everything that can be seen in an annotation file of well-formed entries alone.

    Args:
        content (dict): In which :func:`check_entries` has found nothing.
        use (Use): What it is for.

    Yields:
        Finding: A kind of mistake.
    """
    yield from _twice(content, use)
    yield from _classes(content, use)
    table = Table.of(content, use)
    yield from _boxes(table, use)
    yield from _references(table, use)
    if use.trained or use.evaluated:
        yield from _nothing_left(table, content, use)
    if use.masks:
        yield from _masks(content, table, use)


class Table(NamedTuple):
    """The columns of an annotation file, one row for each annotation.

    Attributes:
        boxes (numpy.ndarray): (N, 4), left, top, width and height in pixels.
        frames (numpy.ndarray): (N, 2), width and height of the picture; NaN where it is unknown.
        areas (numpy.ndarray): (N,), square pixels.
        crowds, ignored (numpy.ndarray): (N,), bool.
        known_image, known_category, wanted (numpy.ndarray): (N,), bool; `wanted` are those of the
            config's classes.
    """

    boxes: np.ndarray
    frames: np.ndarray
    areas: np.ndarray
    crowds: np.ndarray
    ignored: np.ndarray
    known_image: np.ndarray
    known_category: np.ndarray
    wanted: np.ndarray

    @classmethod
    def of(cls, content: dict[str, Any], use: Use) -> 'Table':
        """Make it of well-formed content."""
        annotations = content['annotations']
        sizes = {image['id']: (image['width'], image['height']) for image in content['images']}
        unknown = (np.nan, np.nan)
        names = {category['id']: category['name'] for category in content['categories']}
        wanted = {i for i, name in names.items() if use.classes is None or name in use.classes}

        def column(value, dtype=bool):
            return np.array([value(a) for a in annotations], dtype)

        frames = column(lambda a: sizes.get(a['image_id'], unknown), float).reshape(-1, 2)
        return cls(
            boxes=column(lambda a: a['bbox'], float).reshape(-1, 4),
            frames=frames,
            areas=column(lambda a: a['area'], float),
            crowds=column(lambda a: a.get('iscrowd', 0)),
            ignored=column(lambda a: a.get('ignore', 0)),
            known_image=np.isfinite(frames[:, 0]),
            known_category=column(lambda a: a['category_id'] in names),
            wanted=column(lambda a: a['category_id'] in wanted),
        )

    def inside(self) -> np.ndarray:
        """Width and height of the part of each box that lies in its picture: (N, 2), pixels."""
        ends = np.minimum(self.boxes[:, :2] + self.boxes[:, 2:], self.frames)
        return np.maximum(ends - np.maximum(self.boxes[:, :2], 0), 0)


def check_entries(content: dict[str, Any], use: Use) -> Iterator[Finding]:
    """Keys that are missing, and values of another kind: the first entry of each.

    Args:
        content (dict): From :func:`mmscale.checks.reading.read_annotations`.
        use (Use): What it is for.

    Yields:
        Finding: A kind of mistake.
    """
    if not content['images']:
        yield Finding(FAULT, 'no-images', f'annotation file {str(use.path)!r} has no images')
    keys: dict[str, list[tuple[str, Callable[[Any], bool], str]]] = dict(
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
    if use.evaluated:
        keys['annotations'].append(('iscrowd', _is_switch, '0, or 1 for a crowd'))
    if use.masks:
        keys['annotations'].append(('segmentation', bool, 'polygons or run lengths, for masks'))
    for kind, expected in keys.items():
        entries = content[kind]
        strange = [i for i, entry in enumerate(entries) if not isinstance(entry, dict)]
        if strange:
            yield Finding(
                FAULT,
                f'{kind}-no-object',
                f'{count(strange, entries, kind)} in {str(use.path)!r} must be objects with keys, '
                f'but {kind}[{strange[0]}] is {entries[strange[0]]!r:.80}',
                'export the file again',
            )
            continue
        for key, fits, what in expected:
            yield from _malformed_key(entries, kind, key, fits, what, use.path)


def _malformed_key(entries, kind, key, fits, what, path):
    strange = [i for i, entry in enumerate(entries) if key not in entry or not fits(entry[key])]
    missing = [i for i in strange if key not in entries[i]]
    wrong = [i for i in strange if key in entries[i]]
    if missing:
        yield Finding(
            FAULT,
            f'{kind}-{key}-missing',
            f'{kind}[{missing[0]}] in {str(path)!r} lacks {key!r}: {what} '
            f'({count(missing, entries, kind)})',
            'export the file again with it',
        )
    if wrong:
        yield Finding(
            FAULT,
            f'{kind}-{key}-strange',
            f'{kind}[{wrong[0]}] in {str(path)!r} has {key!r}: {entries[wrong[0]][key]!r:.80}; it '
            f'should be {what} ({count(wrong, entries, kind)})',
            'correct it, or leave the entry out',
        )


def _twice(content, use):
    """What must be there once: ids; and what should be: pictures and objects."""
    for kind in ('categories', 'images', 'annotations'):
        twice = _repeated([entry['id'] for entry in content[kind]])
        if twice:
            yield Finding(
                FAULT,
                f'{kind}-id-twice',
                f'ids of {kind} come twice, such as {twice[:3]} (annotations: {str(use.path)!r})',
                'give each its own: files that were joined have to be renumbered',
            )
    used = Counter(a['category_id'] for a in content['annotations'])
    names = [category['name'] for category in content['categories']]
    for name in _repeated(names):
        twins = [c['id'] for c in content['categories'] if c['name'] == name]
        yield Finding(
            FAULT,
            'category-twice',
            f'categories come twice, such as {name!r} (annotations: {str(use.path)!r}): the ids '
            f'{twins} have {[used[i] for i in twins]} objects',
            'rename one of them in the file, or join them under one id',
        )
    files = [image['file_name'] for image in content['images']]
    twice = _repeated(files)
    if twice:
        yield Finding(
            WARNING,
            'image-twice',
            f'{count(twice, files, "pictures")} in {str(use.path)!r} are listed more than once, '
            f'such as {first(twice)}',
            'leave one entry of each, with all the objects',
        )
    seen: Counter = Counter(
        (a['image_id'], a['category_id'], *a['bbox']) for a in content['annotations']
    )
    copies = sum(n - 1 for n in seen.values() if n > 1)
    if copies:
        example = next(key for key, n in seen.items() if n > 1)
        yield Finding(
            WARNING,
            'annotation-twice',
            f'{copies} of {len(content["annotations"])} annotations in {str(use.path)!r} repeat '
            f'another one: same image, category and box, as image_id {example[0]!r}, '
            f'bbox {list(example[2:])}',
            'leave one of each: the others count as missed objects',
        )


def _classes(content, use):
    """The config's classes against the file's categories."""
    categories = [category['name'] for category in content['categories']]
    if use.classes is not None:
        yield from _class_names(use.classes, categories, use.path)
    used = {a['category_id'] for a in content['annotations']}
    unused = [
        c['name']
        for c in content['categories']
        if c['id'] not in used and (use.classes is None or c['name'] in use.classes)
    ]
    if unused and used:
        yield Finding(
            NOTE,
            'category-unused',
            f'{count(unused, categories, "categories")} of {str(use.path)!r} have no object: '
            f'{first(unused)}',
        )


def _class_names(classes, categories, path):
    if isinstance(classes, str):
        yield Finding(
            FAULT,
            'classes-text',
            f'classes={classes!r} is one text, and not a file either; a single class is '
            f'({classes!r},)',
        )
        return
    unknown = [name for name in classes if name not in categories]
    if unknown:
        yield Finding(
            FAULT,
            'classes-unknown',
            f'classes {unknown} are not in {str(path)!r}, whose categories are {categories}',
            'write the classes of your config just like these',
        )
        return
    twice = _repeated(classes)
    if twice:
        yield Finding(
            FAULT,
            'classes-twice',
            f'classes of the config come twice, such as {twice[:3]} (annotations: {str(path)!r})',
        )
        return
    order = list(dict.fromkeys(name for name in categories if name in classes))
    if order != list(classes):
        yield Finding(
            FAULT,
            'classes-order',
            f'classes {list(classes)} are in another order than the categories of {str(path)!r}, '
            f'so that labels would get wrong names',
            f'write them as {tuple(order)}',
        )


def _boxes(table, use):
    boxes, frames, n = table.boxes, table.frames, len(table.boxes)
    if not n:
        return
    ends = boxes[:, :2] + boxes[:, 2:]
    over = np.maximum(ends - frames, -boxes[:, :2]).max(1)  # pixels; NaN for unknown pictures
    leaving = np.flatnonzero(over > MARGIN)
    # Two corners instead of a corner and a size: all of them would be boxes within the picture.
    as_corners = (boxes[:, 2:] > boxes[:, :2]).all(1) & (boxes[:, 2:] <= frames + MARGIN).all(1)
    small = boxes.max() <= 1 and n > 1
    outside = np.flatnonzero(
        table.known_image & (table.inside().prod(1) == 0) & (boxes[:, 2:] > 0).all(1)
    )
    empty = np.flatnonzero((boxes[:, 2:] < 1).any(1) | (table.areas <= 0))
    negative = np.flatnonzero((boxes[:, 2:] < 0).any(1))
    lost = 'they are left out' + (
        ' of training, and count as missed in a test' if use.evaluated else ''
    )
    where = f'in {str(use.path)!r}'
    if small:
        yield Finding(
            FAULT,
            'box-normalised',
            f'all {n} boxes {where} are within 0 and 1, such as {boxes[0].tolist()}',
            "multiply them by the picture's width and height: boxes are in pixels",
        )
        return
    # Without one that leaves its picture, the areas tell.
    fits_corners = as_corners & _near((boxes[:, 2:] - boxes[:, :2]).prod(1), table.areas)
    fits_sizes = _near(boxes[:, 2:].prod(1), table.areas)
    by_area = n > 1 and (fits_corners & ~fits_sizes).mean() > 0.9
    if as_corners.mean() > 0.9 and (len(leaving) or by_area):
        at = leaving[0] if len(leaving) else np.flatnonzero(fits_corners)[0]
        found = f'{count(leaving, boxes, "boxes")} {where} leave their picture'
        if not len(leaving):
            found = f'the areas {where} are not width x height of their boxes'
        yield Finding(
            FAULT,
            'box-corners',
            f'{found}, such as annotations[{at}] with bbox {boxes[at].tolist()} in '
            f'{frames[at].astype(int).tolist()}: are these two corners?',
            'write left, top, width, height: [x1, y1, x2 - x1, y2 - y1]',
        )
        return
    if len(negative):
        yield Finding(
            WARNING,
            'box-negative',
            f'{count(negative, boxes, "annotations")} {where} have boxes without width or height: '
            f'negative ones, {first(negative, "annotations")}; {lost}',
            'a box is its left, top, width and height',
        )
    elif len(empty):
        yield Finding(
            WARNING,
            'box-empty',
            f'{count(empty, boxes, "annotations")} {where} have boxes without width or height, '
            f'or no area: {first(empty, "annotations")}; {lost}',
            'remove or correct them',
        )
    if len(outside):
        yield Finding(
            WARNING,
            'box-outside',
            f'{count(outside, boxes, "boxes")} {where} lie outside their picture: '
            f'{first(outside, "annotations")}; {lost}',
            "remove them, or correct the picture's width and height",
        )
    partly = np.setdiff1d(leaving, outside)
    if len(partly):
        worst = partly[np.argmax(over[partly])]
        yield Finding(
            WARNING,
            'box-leaving',
            f'{count(partly, boxes, "boxes")} {where} leave their picture, by up to '
            f'{over[worst]:.0f} px: {first(partly, "annotations")}',
            'are they of another size of the picture, or two corners?',
        )


def _near(value, other):
    """Whether two areas are the same but for rounding."""
    return np.abs(value - other) <= 1 + 0.01 * np.abs(other)


def _references(table, use):
    for kind, known, what in (
        ('image', table.known_image, 'an image_id that no image has'),
        ('category', table.known_category, 'a category_id that no category has'),
    ):
        lost = np.flatnonzero(~known)
        if len(lost):
            yield Finding(
                WARNING,
                f'{kind}-unknown',
                f'{count(lost, known, "annotations")} in {str(use.path)!r} have {what}: '
                f'{first(lost, "annotations")}; they are left out',
                f'correct {kind}_id, or add the {kind}',
            )


def _nothing_left(table, content, use):
    """Count the objects by mmdet's own rule, CocoDataset.parse_data_info and filter_data."""
    causes = {
        'of other categories': ~table.wanted,
        'of unknown images': ~table.known_image,
        'crowds (iscrowd=1)': table.crowds,
        'ignored (ignore=1)': table.ignored,
        'outside their picture': table.known_image & (table.inside().prod(1) == 0),
        'without width, height or area': (table.boxes[:, 2:] < 1).any(1) | (table.areas <= 0),
    }
    left_out = np.any(list(causes.values()), axis=0)
    images = content['images']
    tally = ', '.join(f'{mask.sum()} {cause}' for cause, mask in causes.items() if mask.any())
    if use.evaluated and table.ignored.any() and not left_out.all():
        ignored = np.flatnonzero(table.ignored & ~table.crowds)
        if len(ignored):
            yield Finding(
                WARNING,
                'ignored-evaluated',
                f'{count(ignored, left_out, "annotations")} in {str(use.path)!r} have ignore=1, '
                f"{first(ignored, 'annotations')}: training leaves them out, but COCO's figures "
                'count them as objects to be found',
                'for regions to be passed over in both: iscrowd=1',
            )
    if use.trained:
        rule = use.filter_cfg or {}
        least = rule.get('min_size', 0)
        if rule.get('filter_empty_gt'):
            full = {
                a['image_id'] for a, wanted in zip(content['annotations'], table.wanted) if wanted
            }
            images = [image for image in images if image['id'] in full]
        if not any(min(image['width'], image['height']) >= least for image in images):
            yield Finding(
                FAULT,
                'nothing-to-learn',
                f'no image of {str(use.path)!r} is left to train on: filter_cfg={dict(rule)} wants '
                f'objects of {_listed(use.classes)} and sides of {least} px or more',
                'correct the classes, or the filter',
            )
            return
    if left_out.all() and (use.trained or len(left_out)):
        of_them = f'of its {len(left_out)} annotations, {tally}' if tally else 'it has none'
        asked_for = not len(left_out) and use.filter_cfg.get('filter_empty_gt') is False
        yield Finding(
            WARNING if asked_for else FAULT,  # a set of backgrounds
            'nothing-to-learn' if use.trained else 'nothing-to-find',
            f'no object of {str(use.path)!r} is left to '
            f'{"train on" if use.trained else "evaluate"}: {of_them}',
            'correct what applies',
        )
    elif left_out.all():
        yield Finding(
            FAULT,
            'nothing-to-find',
            f'{str(use.path)!r} has no annotation to evaluate',
            'a set without annotations can only be predicted: format_only=True in the evaluator',
        )


def _listed(classes):
    return 'any category' if classes is None else list(classes)


def _masks(content, table, use):
    """Polygons and run lengths, as pycocotools takes them."""
    sizes = {image['id']: [image['height'], image['width']] for image in content['images']}
    wrong: dict[str, list[int]] = {}
    for index, annotation in enumerate(content['annotations']):
        kind = _mask_fault(annotation['segmentation'], sizes.get(annotation['image_id']))
        if kind:
            wrong.setdefault(kind, []).append(index)
    says = {
        'polygon-short': 'polygons of less than 6 numbers (three corners), or an odd number',
        'polygon-level': 'a polygon one level short: [[x, y, x, y, ...]] is one polygon',
        'polygon-strange': 'polygons with something else than finite numbers',
        'rle-size': "run lengths of another size than their picture's height and width",
        'rle-counts': 'run lengths that do not add up to the pixels of their size',
        'mask-strange': 'masks that are neither polygons nor run lengths (size and counts)',
    }
    for kind, indices in wrong.items():
        example = content['annotations'][indices[0]]['segmentation']
        yield Finding(
            FAULT,
            kind,
            f'{count(indices, table.boxes, "annotations")} in {str(use.path)!r} have {says[kind]}: '
            f'{first(indices, "annotations")}, where it is {str(example)[:60]}',
            'correct or remove these',
        )


def _mask_fault(mask, size):
    """The kind of mistake in a segmentation; None if there is none."""
    if isinstance(mask, dict):
        return _run_length_fault(mask, size)
    if not isinstance(mask, list):
        return 'mask-strange'
    for polygon in mask:
        if isinstance(polygon, (int, float)):
            return 'polygon-level'
        if not isinstance(polygon, list):
            return 'polygon-strange'
        if len(polygon) < 6 or len(polygon) % 2:
            return 'polygon-short'
        try:
            finite = isfinite(sum(polygon))
        except (TypeError, OverflowError):
            finite = False
        if not finite:
            return 'polygon-strange'
    return None


def _run_length_fault(mask, size):
    counts, own = mask.get('counts'), mask.get('size')
    if not isinstance(counts, (str, list)) or not isinstance(own, list) or len(own) != 2:
        return 'mask-strange'
    if size is not None and own != size:
        return 'rle-size'
    if isinstance(counts, list):
        if not all(isinstance(n, int) and n >= 0 for n in counts):
            return 'rle-counts'
        if all(map(is_number, own)) and sum(counts) != own[0] * own[1]:
            return 'rle-counts'
    elif not all(map(is_whole, own)) or not _fills(counts, own[0] * own[1]):
        return 'rle-counts'  # pycocotools would write beyond its memory
    return None


def _fills(text, pixels):
    """Whether COCO's compressed run lengths are well-formed and add up to a number of pixels.

    Each number has five bits a character, from the lowest on, with a sixth bit that another
    character follows; from the fourth on, it is the difference to the one two before.
    """
    digits = np.frombuffer(text.encode('utf-8', 'replace'), np.uint8).astype(np.int64) - 48
    if not len(digits) or digits.min() < 0 or digits.max() > 63 or digits[-1] & 32:
        return False
    ends = np.flatnonzero(digits & 32 == 0)
    starts = np.concatenate([[0], ends[:-1] + 1])
    places = np.arange(len(digits)) - np.repeat(starts, ends - starts + 1)
    if places.max() >= MOST_CHARACTERS:
        return False
    runs = np.add.reduceat((digits & 31) << (5 * places), starts)
    runs -= np.where(digits[ends] & 16, 1 << (5 * places[ends] + 5), 0)
    runs[1::2] = np.cumsum(runs[1::2])
    runs[2::2] = np.cumsum(runs[2::2])
    return runs.min() >= 0 and runs.sum() == pixels


def _repeated(values):
    return [value for value, n in Counter(values).items() if n > 1]


def _is_text(value):
    return isinstance(value, str) and bool(value)


def _is_id(value):
    return isinstance(value, (int, str)) and not isinstance(value, bool)


def _is_size(value):
    return is_number(value) and value > 0


def _is_box(value):
    return isinstance(value, list) and len(value) == 4 and all(map(is_number, value))


def _is_switch(value):
    return isinstance(value, (int, float)) and value in (0, 1)
