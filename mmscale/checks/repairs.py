"""Annotation files whose meaning is certain, but which mmdet or its metrics read wrongly.

A run reads a corrected copy in its work dir; the file itself is left as it is.
"""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath
from typing import Any

from mmscale.checks.findings import REPAIRED, Finding, first
from mmscale.utils.files import cannot_write, written_aside

LARGEST_ID = 2**53  # the last whole number that a double holds: the metrics count in these
FOLDER = 'annotations'  # of the work dir


def repair(content: dict[str, Any], path: Path, folder: Path | None) -> Iterator[Finding]:
    """Mend in place what has one meaning only.

    Args:
        content (dict): Of the annotation file; entries that are no objects are passed over.
        path (Path): The file.
        folder (Path, optional): The pictures'.

    Yields:
        Finding: What was mended.
    """
    yield from _encoding(path)
    yield from _twin_categories(content, path)
    yield from _annotation_ids(content, path)
    yield from _referred_ids(content, path, 'images', 'image_id')
    yield from _referred_ids(content, path, 'categories', 'category_id')
    if folder is not None:
        yield from _separators(content, path, folder)


def select(content: dict[str, Any], indices: Any) -> None:
    """Keep only the images that a data set's `indices` leave, and their annotations."""
    images = content['images']
    if isinstance(indices, int):
        images = images[:indices] if indices >= 0 else images[indices:]
    else:
        images = [images[i] for i in indices]
    kept = {image['id'] for image in images}
    content['images'] = images
    content['annotations'] = [a for a in content['annotations'] if a['image_id'] in kept]


def write_copy(
    content: dict[str, Any], path: Path, work_dir: str | Path, part: str = 'repaired'
) -> Path:
    """Write a corrected copy of an annotation file into the work dir.

    Args:
        content (dict): What to write.
        path (Path): The file.
        work_dir (str | Path): The run's.
        part (str): A word for the copy's name.

    Returns:
        Path: The copy; the same for the same file, in every process of a run.
    """
    content.setdefault('info', {})
    named = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]
    folder = Path(work_dir).resolve() / FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from error
    copy = folder / f'{path.stem}-{part}-{named}.json'
    with written_aside(copy) as temporary:
        temporary.write_text(json.dumps(content), encoding='utf-8')
    return copy


def _encoding(path):
    """mmdet's reader takes UTF-8 without a byte-order mark alone."""
    with open(path, 'rb') as file:
        start = file.read(4)
    if start.startswith((b'\xef\xbb\xbf', b'\xff\xfe', b'\xfe\xff')) or b'\0' in start:
        yield Finding(
            REPAIRED,
            'byte-order-mark',
            f'{str(path)!r} begins with a byte-order mark, or is not UTF-8: a run reads a copy '
            'without it',
        )


def _twin_categories(content, path):
    """Of categories of one name, only one of which has objects, the others are dropped."""
    categories = [c for c in content['categories'] if isinstance(c, dict) and 'name' in c]
    names = Counter(str(c['name']) for c in categories)
    if max(names.values(), default=0) < 2:
        return
    used = {str(a.get('category_id')) for a in content['annotations'] if isinstance(a, dict)}
    drop = []
    for name in (name for name, n in names.items() if n > 1):
        twins = [c for c in categories if str(c['name']) == name]
        unused = [c for c in twins if str(c.get('id')) not in used]
        if len(unused) == len(twins) - 1 and len({str(c.get('id')) for c in twins}) == len(twins):
            drop += unused
    if drop:
        content['categories'] = [c for c in content['categories'] if c not in drop]
        yield Finding(
            REPAIRED,
            'category-twin-unused',
            f'{str(path)!r} has categories of one name, {first([c["name"] for c in drop])}: the '
            f'ids {[c.get("id") for c in drop]} have no object, and a run leaves them out',
        )


def _annotation_ids(content, path):
    """Metrics read the id 0 as "no match", and need numbers; nothing else reads these ids."""
    annotations = content['annotations']
    ids = [a.get('id') for a in annotations if isinstance(a, dict)]
    if len(ids) < len(annotations) or not all(map(_is_id, ids)) or len(set(ids)) < len(ids):
        return  # which is a fault of its own
    wrong = [i for i, value in enumerate(ids) if not _fits(value, least=1)]
    if wrong:
        for number, annotation in enumerate(annotations, 1):
            annotation['id'] = number
        what = 'the id 0, which the metrics read as "no match"'
        if ids[wrong[0]] != 0:
            what = f'ids that the metrics cannot take, such as {ids[wrong[0]]!r}'
        yield Finding(
            REPAIRED,
            'annotation-id',
            f'{len(wrong)} of {len(ids)} annotations in {str(path)!r} have {what}: they are '
            'numbered anew in the copy that a run reads',
        )


def _referred_ids(content, path, kind, key):
    """The ids of images or categories, which annotations refer to."""
    entries = [i for i in content[kind] if isinstance(i, dict)]
    ids = [i.get('id') for i in entries]
    if len(entries) < len(content[kind]) or not all(map(_is_id, ids)):
        return
    wrong = [i for i, value in enumerate(ids) if not _fits(value, least=-LARGEST_ID)]
    if not wrong or len(set(ids)) < len(ids):
        return
    numbers = {value: number for number, value in enumerate(ids, 1)}
    for entry in entries:
        entry['id'] = numbers[entry['id']]
    for annotation in content['annotations']:
        if isinstance(annotation, dict) and _is_id(annotation.get(key)):
            # What is unknown stays unknown: 0 is given to none.
            annotation[key] = numbers.get(annotation[key], 0)
    yield Finding(
        REPAIRED,
        f'{key.removesuffix("_id")}-id',
        f'{len(wrong)} of {len(ids)} {kind} in {str(path)!r} have ids that the metrics cannot take '
        f'(whole numbers up to {LARGEST_ID}), such as {ids[wrong[0]]!r}: a run numbers the '
        f'{kind} anew, 1, 2, ... in the order of the file',
    )


def _separators(content, path, folder):
    """Paths written by Windows: taken as such where the files are there then."""
    images = [i for i in content['images'] if isinstance(i, dict)]
    written = [i for i in images if isinstance(i.get('file_name'), str) and '\\' in i['file_name']]
    new = [PureWindowsPath(image['file_name']).as_posix() for image in written]
    # One look: exporters write all of them alike.
    if (
        written
        and os.path.isfile(folder / new[0])
        and not os.path.exists(folder / written[0]['file_name'])
    ):
        yield Finding(
            REPAIRED,
            'backslashes',
            f'{len(written)} of {len(images)} file names in {str(path)!r} have backslashes, such '
            f'as {written[0]["file_name"]!r}: a run reads them as {new[0]!r}',
        )
        for image, name in zip(written, new):
            image['file_name'] = name


def _is_id(value):
    return isinstance(value, (int, str)) and not isinstance(value, bool)


def _fits(value, least):
    return type(value) is int and least <= value <= LARGEST_ID
