"""What a folder is: which layout, told by the files in it."""

import contextlib
import os
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from mmscale.beginning import class_folders, coco, voc, yolo
from mmscale.beginning.parts import ClassSet, DetectionSet, split_of
from mmscale.checks.targets import looks_like_coco
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
CONVERTED = ('yolo', 'voc')  # to COCO's, before anything else reads them
PARTS = ('labels', 'images', voc.ANNOTATIONS, voc.PICTURE_FOLDER)  # folders of these
COCO_FOLDER = 'annotations'
UP = 3  # folders that a set may be above one of its files: labels/train/a.txt
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
    if os.path.isfile(root):
        raise UserError(f'{str(folder)!r} is a file: give the folder of the set, {_above(root)!r}')
    if not os.path.isdir(root):
        raise UserError(f'there is no folder {str(folder)!r}')
    if root.name == voc.ANNOTATIONS:  # its pictures lie beside it
        _check_whole(given)
    while True:
        found = _evidence(root, layout)
        inside = [path for path in root.iterdir() if not path.name.startswith('.')]
        if found or len(inside) != 1 or not inside[0].is_dir():
            break
        root = inside[0]
    if not found:
        _check_whole(given)
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


def layouts_of(root: Path) -> dict[str, str]:
    """The layouts whose files a folder has, each with what tells of it.

    Example:
        ``{'yolo': 'YOLO (data.yaml)'}``
    """
    return {name: f'{_title(name)} ({what})' for name, what in _evidence(root).items()}


def set_around(path: Path) -> tuple[Path, str] | None:
    """The data set in YOLO's or Pascal VOC's layout that a file or folder is a part of.

    Args:
        path (Path): Such as its ``data.yaml``, ``labels``, ``labels/train`` or ``Annotations``.

    Returns:
        tuple: The set's folder, and what tells of its layout as in :func:`layouts_of`; None if
        there is none.
    """
    below = path.resolve()
    is_part = below.suffix.lower() in ('.yaml', '.yml')
    with contextlib.suppress(UserError):  # other people's YAML may lie that far up
        for root in list(below.parents)[:UP]:
            is_part |= below.name in PARTS
            for name in CONVERTED if is_part else ():
                what = LAYOUTS[name].reader.find(root) if _has_parts(root) else None
                if what and name == 'yolo' and not yolo.descriptions(root):
                    # Roboflow: train/labels, and data.yaml beside train.
                    above = root.parent if yolo.descriptions(root.parent) else root
                    root, what = above, yolo.find(above)
                if what:
                    return root, f'{_title(name)} ({what})'
            below = root
    return None


def _has_parts(root: Path) -> bool:
    """Whether the labels lie in a folder itself, and not in a set that lies in it."""
    return any((root / name).is_dir() for name in ('labels', voc.ANNOTATIONS)) or bool(
        yolo.descriptions(root)
    )


def _evidence(root: Path, layout: str | None = None) -> dict[str, str]:
    """What tells of the layouts that a folder has."""
    tried = [layout] if layout else LAYOUTS
    found = {name: what for name in tried if (what := LAYOUTS[name].reader.find(root))}
    if len(found) > 1:  # folders of pictures are part of the others too
        found.pop('classes', None)
    return found


def _title(name: str) -> str:
    return LAYOUTS[name].expected.partition(' (')[0]


def _above(file: Path) -> str:
    """The folder of the set that a file is of."""
    around = set_around(file)
    inside = file.parent.name == COCO_FOLDER
    return str(around[0] if around else file.parents[1 if inside else 0])


def _check_whole(folder: Path) -> None:
    """Raises UserError if a folder is a part of a set."""
    around = set_around(folder) or _coco_around(folder)
    if around:
        root, told = around
        raise UserError(
            f'{str(folder)!r} is a part of {told}: give the folder of all, {str(root)!r}'
        )


def _coco_around(folder: Path) -> tuple[Path, str] | None:
    """The set in COCO's layout that a folder of pictures is a part of, as :func:`set_around`."""
    if not split_of(folder.name) and folder.name != 'images':
        return None
    root = folder.parent
    files = (p for at in (root, root / COCO_FOLDER) for p in sorted(at.glob('*.json')))
    file = next(filter(looks_like_coco, files), None)
    return (root, f'{_title("coco")} ({file.relative_to(root).as_posix()})') if file else None


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
