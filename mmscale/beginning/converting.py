"""From labels of any layout to COCO's format."""

import os
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmscale.beginning.parts import Part
from mmscale.checks.findings import first
from mmscale.checks.pictures import TURNED, UNREADABLE, read_header
from mmscale.errors import UserError, is_number
from mmscale.utils.words import counted

SMALLEST = 1  # px: mmdet leaves out boxes that are narrower


class Shape(NamedTuple):
    """An object as a label file has it.

    Attributes:
        label (int): The index of its class.
        points (numpy.ndarray): (N, 2), x and y in pixels: two opposite corners of a box, or the
            corners of a polygon.
        crowd (bool): Neither learned nor counted.
    """

    label: int
    points: np.ndarray
    crowd: bool = False


class Said:
    """What was left out or changed on the way, by kind, with where it was."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.places: dict[tuple[str, str], list[str]] = defaultdict(list)

    def add(self, what: str, state: str, place: str) -> None:
        """Count one case, such as of a ``'picture'`` that is ``'missing, left out'``."""
        self.places[what, state].append(place)

    def note(self, text: str) -> None:
        """Say something of the whole set."""
        self.texts.append(text)

    def notes(self) -> Iterator[str]:
        """A line for every text and for every kind."""
        yield from self.texts
        for (what, state), places in self.places.items():
            yield f'{counted(len(places), what)} {state}: {first(list(dict.fromkeys(places)))}'


def upright_size(path: Path, said: Said) -> tuple[int, int] | None:
    """Width and height of a picture as the loader turns it; None if it cannot be read."""
    header = read_header(str(path))
    if header.fault:
        said.add('picture', f'left out ({UNREADABLE[header.fault]})', path.name)
        return None
    width, height = header.size
    return (height, width) if header.orientation in TURNED else (width, height)


def check_readable(
    read: Collection[Any],
    files: Sequence[str | Path],
    root: Path,
    split: str,
    what: str = 'picture',
) -> None:
    """Refuse a part of a set of which nothing can be read.

    Args:
        read (list): What was.
        files (list): All that were looked at.
        root (Path): The data set.
        split (str): The part: 'train', 'val' or 'test'.
        what (str): What the files are.

    Raises:
        UserError: If there are files, and nothing was read.
    """
    if files and not len(read):
        raise UserError(
            f'{str(root)!r}: none of the {counted(len(files), what)} of {split!r} can be read, '
            f'such as {Path(files[0]).name!r}: copy or export them again'
        )


def to_coco(
    pictures: Mapping[Path, Sequence[Shape]],
    sizes: Mapping[Path, tuple[int, int]],
    root: Path,
    classes: Sequence[str],
    *,
    masks: bool,
    said: Said,
) -> Part:
    """Make a part of pictures and their shapes.

    Args:
        pictures (dict): Paths and what is in them.
        sizes (dict): Widths and heights in pixels.
        root (Path): The pictures' names are relative to it.
        classes (list[str]): Names by label.
        masks (bool): Keep outlines; a box has its four corners.
        said (Said): Gets what is left out.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, (path, shapes) in enumerate(pictures.items(), 1):
        size = sizes[path]
        name = Path(os.path.relpath(path, root)).as_posix()
        images.append(dict(id=number, file_name=name, width=size[0], height=size[1]))
        for shape in shapes:
            found = _annotation(shape, size, path.name, masks, said)
            if found:
                annotations.append(dict(id=len(annotations) + 1, image_id=number, **found))
    categories = [dict(id=i, name=name) for i, name in enumerate(classes, 1)]
    return Part(dict(images=images, annotations=annotations, categories=categories), root)


def _annotation(shape, size, place, masks, said):
    """An annotation without its ids, within the picture; None if nothing of it is."""
    points = np.clip(shape.points, 0, size)
    low, high = points.min(0), points.max(0)
    beyond = np.abs(points - shape.points).max()
    if (high - low < SMALLEST).any():
        why = 'outside of the picture' if beyond > SMALLEST else 'without a width or height'
        said.add('object', f'{why}, left out', place)
        return None
    if beyond > SMALLEST:
        said.add('object', "cut at the picture's edge", place)
    box = [*low, *(high - low)]
    corners = points
    if len(points) == 2:
        corners = np.array([low, (high[0], low[1]), high, (low[0], high[1])])
    found: dict[str, Any] = dict(
        category_id=shape.label + 1,
        bbox=_rounded(box),
        area=_rounded([polygon_area(corners) or (high - low).prod()])[0],
        iscrowd=int(shape.crowd),
    )
    if masks:
        found['segmentation'] = [_rounded(corners.reshape(-1))]
    return found


def polygon_area(points: np.ndarray) -> float:
    """The area inside a polygon's corners (N, 2)."""
    x, y = points.T
    return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2)


def _rounded(values):
    return [round(float(value), 2) for value in values]


def complete(content: dict[str, Any], folder: Path, name: str, said: Said) -> bool:
    """Write what exporters leave out into content in COCO's format: areas, crowds, sizes.

    Returns:
        bool: Whether there was anything to write.
    """
    added: set[str] = set()
    for annotation in content['annotations']:
        if not isinstance(annotation, dict):
            continue
        box: Any = annotation.get('bbox')
        numbers = isinstance(box, list) and len(box) == 4 and all(map(is_number, box))
        if 'area' not in annotation and numbers:
            annotation['area'] = box[2] * box[3]
            added.add('area')
        if 'iscrowd' not in annotation:
            annotation['iscrowd'] = 0
            added.add('iscrowd')
    for image in content['images']:
        if isinstance(image, dict) and not ('width' in image and 'height' in image):
            size = upright_size(folder / str(image.get('file_name')), said)
            if size:
                image.update(width=size[0], height=size[1])
                added.add('width and height')
    for key in sorted(added):
        said.add('annotation file', f'without {key}, which the copy has', name)
    return bool(added)


def check_labels(wrong: Sequence[tuple[str, int]], classes: Sequence[str], where: str) -> None:
    """Refuse labels that are no class: the names would be of another set.

    Args:
        wrong (list[tuple]): File and line, and the label, of those out of range.
        classes (list[str]): The names there are.
        where (str): The file that has them.

    Raises:
        UserError: If there are any.
    """
    if wrong:
        labels = sorted({label for _, label in wrong})
        raise UserError(
            f'{counted(len(wrong), "object")} of class {first(labels)}, such as {wrong[0][0]}, but '
            f'{where} names {counted(len(classes), "class", "classes")}, 0 to {len(classes) - 1}: '
            'add the names that are missing, or correct the labels'
        )
