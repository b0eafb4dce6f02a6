"""Semantic maps from COCO's instance masks: one number for every pixel of a picture.

0 is the background, where no object is; 255 is ignored in training and evaluation. Where objects
overlap, the smaller one lies on top. What COCO calls a crowd is outlined roughly: its pixels are
ignored where no other object covers them.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from mmscale.checks.annotations import Use, check_content, check_entries
from mmscale.checks.findings import settle
from mmscale.checks.reading import read_annotations
from mmscale.checks.repairs import repair
from mmscale.errors import UserError, check_choice
from mmscale.utils.files import writing
from mmscale.utils.folders import folder_aside, put_back, replace_folder
from mmscale.utils.progress import track

IGNORED = 255
# What a category's pixels are called, by the word that asks for it.
CLASSES: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    'things': lambda category: 'thing',
    'supercategories': lambda category: category.get('supercategory'),
    'categories': lambda category: category['name'],
}
MANIFEST = 'classes.json'
LARGEST = 1 << 14  # side of a picture, in px


class Made(NamedTuple):
    """A set that was written.

    Attributes:
        classes (list[str]): Names in the order of their numbers, the background first.
        counts (dict[str, int]): Maps in each folder.
        shares (list[float]): Of each class in all pixels that are not ignored.
    """

    classes: list[str]
    counts: dict[str, int]
    shares: list[float]


def make_semantic(
    out: str | Path, files: Sequence[str | Path], *, classes: str = 'supercategories'
) -> Made:
    """Write semantic maps for the pictures of annotation files, all of them or nothing.

    ``OUT/train2017/000000000009.png`` is the map of the picture ``000000000009.jpg`` of
    ``instances_train2017.json``; ``OUT/classes.json`` has the names of the numbers. Pictures are
    neither read nor copied. What an earlier call has written to `out` is replaced, by one for the
    same files or more.

    Args:
        out: Folder to make. Its parents are made where missing.
        files: Annotation files in COCO's format, with masks, and all with the same categories.
        classes: 'things' (against the background), 'supercategories' or 'categories'.

    Raises:
        UserError: An argument or a file does not fit, or `out` holds something else, maps of other
            files included, or cannot be written.
    """
    check_choice('classes', classes, CLASSES)
    out = Path(out).resolve()
    folders = _folders(files)
    put_back(out)
    _require_free(out)
    names: list[str] = []
    counts, pixels = {}, np.zeros(IGNORED + 1, np.int64)
    with writing(out), folder_aside(out) as part:
        for name, file in folders.items():
            content = _read(file)
            _keep_others(out, folders)
            numbers, known = number_categories(content['categories'], classes, file)
            if names and known != names:
                raise UserError(
                    f'{str(file)!r} has other {classes} than {str(files[0])!r}, so that its '
                    'numbers would mean something else: give files of one data set'
                )
            names = known
            for path, labels in _maps(content, numbers, file):
                target = part / name / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(cv2.imencode('.png', labels)[1].tobytes())
                pixels += np.bincount(labels.ravel(), minlength=len(pixels))
            counts[name] = len(content['images'])
        manifest = json.dumps(dict(classes=names, ignored=IGNORED))
        (part / MANIFEST).write_text(f'{manifest}\n', encoding='utf-8')
        replace_folder(out, part)
    shares = pixels[: len(names)] / max(pixels[: len(names)].sum(), 1)
    return Made(names, counts, shares.tolist())


def _folders(files):
    """The files by the names of the folders that their maps go to."""
    found: dict[str, Path] = {}
    for file in map(Path, files):
        name = file.stem.removeprefix('instances_')
        if name in found:
            raise UserError(f'{str(found[name])!r} and {str(file)!r} would share the folder {name}')
        found[name] = file
    if not found:
        raise UserError('no annotation file was given')
    return found


def _require_free(out):
    """Raise a UserError unless the path is new, an empty folder, or one that is to be replaced."""
    if out.exists() and not out.is_dir():
        raise UserError(f'{str(out)!r} is a file: choose another folder')
    if out.is_dir() and any(out.iterdir()) and not (out / MANIFEST).is_file():
        raise UserError(f'{str(out)!r} already holds something else: choose another folder')


def _keep_others(out, folders):
    """Raise a UserError if the path has maps of other files."""
    there = {path.name for path in out.iterdir() if path.is_dir()} if out.is_dir() else set()
    if there - folders.keys():
        raise UserError(
            f'{str(out)!r} holds the maps of {sorted(there - folders.keys())} too, which would be '
            'lost: give all files in one call, or another folder'
        )


def _read(file):
    """The content of an annotation file that was looked through."""
    content, fault = read_annotations(file, file.parent)
    settle([fault] if fault else [])
    assert content is not None  # of which `fault` would say why
    settle(repair(content, file, None))
    use = Use(file, masks=True)
    settle(check_entries(content, use))
    settle(check_content(content, use))
    return content


def number_categories(
    categories: Sequence[Mapping[str, Any]], classes: str, file: str | Path
) -> tuple[dict[Any, int], list[str]]:
    """The number of every category's pixels, by its id, and the names of the numbers.

    Args:
        categories (list[dict]): Of an annotation file.
        classes (str): One of `CLASSES`.
        file (str | Path): For the message.

    Raises:
        UserError: If a category has no such name, or there are too many.
    """
    named = {category['id']: CLASSES[classes](category) for category in categories}
    names = ['background', *dict.fromkeys(named.values())]
    wrong = [i for i, name in named.items() if not isinstance(name, str) or name == names[0]]
    if wrong:
        raise UserError(
            f'{str(file)!r}: the category of id {wrong[0]} has no supercategory, or one that is '
            f'called {names[0]}; choose things or categories'
        )
    if len(names) > IGNORED:
        raise UserError(
            f'{str(file)!r} has {len(names) - 1} {classes}; a map holds {IGNORED - 1} at most'
        )
    return {i: names.index(name) for i, name in named.items()}, names


def _maps(content, numbers, file) -> Iterator[tuple[Path, np.ndarray]]:
    """The path and the map of every picture."""
    objects: dict = {image['id']: [] for image in content['images']}
    for annotation in content['annotations']:
        if annotation['category_id'] in numbers and annotation['image_id'] in objects:
            objects[annotation['image_id']].append(annotation)
    written: dict[Path, str] = {}
    for image in track(content['images'], file.stem):
        path = _map_path(image, file)
        other = written.setdefault(path, image['file_name'])
        if other is not image['file_name']:
            raise UserError(f'{str(file)!r}: {other} and {image["file_name"]} would share a map')
        size = int(image['height']), int(image['width'])
        if max(size) > LARGEST:
            raise UserError(f'{str(file)!r}: {image["file_name"]} is larger than {LARGEST} px')
        yield path, draw_map(size, objects[image['id']], numbers)


def _map_path(image, file):
    """Where a picture's map goes: a path that stays inside the folder."""
    name = image['file_name'].replace('\\', '/')
    path = PurePosixPath(name)
    if not path.stem or path.is_absolute() or {'..', '\0'} & {*path.parts, *name}:
        raise UserError(f'{str(file)!r}: the file name {name!r} leads out of its folder')
    return Path(path.with_suffix('.png'))


def draw_map(
    size: tuple[int, int], objects: Sequence[Mapping[str, Any]], numbers: Mapping[Any, int]
) -> np.ndarray:
    """The semantic map of a picture.

    Args:
        size (tuple[int]): Height and width.
        objects (list[dict]): Its annotations, with masks.
        numbers (dict): Of the categories' pixels, by their ids.

    Returns:
        numpy.ndarray: uint8 (height, width).
    """
    labels = np.zeros(size, np.uint8)
    drawn = []
    for entry in objects:
        number = IGNORED if entry.get('iscrowd') else numbers[entry['category_id']]
        drawn.append((_mask(entry['segmentation'], size), number))
    # From the back to the front: crowds, then large objects, then small ones.
    drawn.sort(key=lambda item: (item[1] != IGNORED, -int(item[0].sum())))
    for mask, number in drawn:
        labels[mask] = number
    return labels


def _mask(given, size):
    """The pixels (height, width) of an object: polygons, or run lengths of either form."""
    encoded = given
    if isinstance(given, list):
        encoded = coco_mask.merge(coco_mask.frPyObjects(given, *size))
    elif isinstance(given['counts'], list):
        encoded = coco_mask.frPyObjects(given, *size)
    return coco_mask.decode(encoded).astype(bool)
