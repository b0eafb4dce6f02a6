"""What a folder is: which layout, told by the files in it."""

import os
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from mmscale.beginning import class_folders, coco, voc, yolo
from mmscale.beginning.parts import ClassSet, DetectionSet
from mmscale.errors import UserError


class Layout(NamedTuple):
    """A layout of data sets.

    Attributes:
        reader (module): Its `find` says what tells of it, its `read` reads it.
        expected (str): What a folder has to have, for people.
    """

    reader: Any
    expected: str


LAYOUTS = {
    'coco': Layout(
        coco, 'COCO (annotations/train.json and pictures; train/_annotations.coco.json)'
    ),
    'yolo': Layout(
        yolo, 'YOLO (data.yaml, images/train, labels/train; train/images, train/labels)'
    ),
    'voc': Layout(voc, 'Pascal VOC (Annotations/*.xml, JPEGImages; .xml files beside pictures)'),
    'classes': Layout(class_folders, 'class folders (train/CLASS/*.jpg; CLASS/*.jpg)'),
}
EXPECTED = '; '.join(layout.expected for layout in LAYOUTS.values())
MANY = 20_000  # entries of a folder that are looked at for a message


def read_folder(folder: str | Path, layout: str | None = None) -> DetectionSet | ClassSet:
    """Find out what a folder is, and read it.

    Args:
        folder (str | Path): It. If all is in one folder in it, that is taken.
        layout (str, optional): One of `LAYOUTS`, where the folder has the files of several.

    Raises:
        UserError: If it is nothing known, several things, or its files are not as they should be.
    """
    given = root = Path(folder).resolve()
    if not os.path.isdir(root):
        raise UserError(f'there is no folder {str(folder)!r}')
    while True:
        found = _evidence(root, layout)
        inside = [path for path in root.iterdir() if not path.name.startswith('.')]
        if found or len(inside) != 1 or not inside[0].is_dir():
            break
        root = inside[0]
    if not found:
        alone = class_folders.only_class(root) or class_folders.only_class(given)
        if alone and layout in (None, 'classes'):
            raise UserError(
                f'{str(folder)!r} has pictures in one folder alone, {alone!r}: a classifier needs '
                'two classes or more, and a detector annotations. Expected: ' + EXPECTED
            )
        raise UserError(
            f'{str(folder)!r} is no data set that is known: it has {_content(given)}. Expected: '
            + (LAYOUTS[layout].expected if layout else EXPECTED)
        )
    if len(found) > 1:
        named = ' and '.join(f'{name} ({what})' for name, what in found.items())
        raise UserError(
            f'{str(folder)!r} could be {named}: say which by --layout {" or --layout ".join(found)}'
        )
    (name,) = found
    return LAYOUTS[name].reader.read(root)


def foreign(root: Path) -> str | None:
    """What tells that a folder is of a layout that has to be converted first; None if it is not.

    Example:
        ``'YOLO (data.yaml)'``
    """
    found = _evidence(root)
    converted = [name for name in ('yolo', 'voc') if name in found]
    if not converted or 'coco' in found:
        return None
    (name, *_) = converted
    return f'{LAYOUTS[name].expected.partition(" (")[0]} ({found[name]})'


def _evidence(root: Path, layout: str | None = None) -> dict[str, str]:
    """What tells of the layouts that a folder has."""
    tried = [layout] if layout else LAYOUTS
    found = {name: what for name in tried if (what := LAYOUTS[name].reader.find(root))}
    if len(found) > 1:  # folders of pictures are part of the others too
        found.pop('classes', None)
    return found


def _content(root: Path) -> str:
    """What is in a folder, in a few words."""
    suffixes: Counter = Counter()
    for _, _, names in os.walk(root):
        suffixes.update(os.path.splitext(name)[1].lower() or 'no suffix' for name in names)
        if suffixes.total() > MANY:
            break
    if not suffixes:
        return 'no files'
    files = ', '.join(f'{n} {suffix}' for suffix, n in suffixes.most_common(4))
    folders = sorted(path.name for path in root.iterdir() if path.is_dir())
    return f'{files}' + (f' in {", ".join(folders[:4])}' if folders else '')
