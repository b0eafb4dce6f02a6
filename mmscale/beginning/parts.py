"""What was found in a folder, in one form for every layout."""

import re
from pathlib import Path
from typing import Any, NamedTuple

PAGE = 'overview.png'  # which tells a folder that was written here
SPLITS = {
    'train': ('train', 'training', 'trainval'),
    'val': ('val', 'valid', 'validation'),
    'test': ('test', 'testing'),
}


class Part(NamedTuple):
    """One part of a set of objects in pictures: what is trained on, or validated, or tested.

    Attributes:
        content (dict): In COCO's format.
        folder (Path): The pictures'.
        file (Path, optional): The annotation file, if it can be read as it is.
    """

    content: dict[str, Any]
    folder: Path
    file: Path | None = None


class DetectionSet(NamedTuple):
    """Pictures with objects in them.

    Attributes:
        layout (str): Its name, for people, with the file that told.
        root (Path): The folder.
        classes (tuple[str]): In the order of the annotation files.
        parts (dict[str, Part]): By 'train', 'val' and 'test'; the first is always there.
        masks (bool): The objects have outlines.
        notes (list[str]): What is to be said of the reading.
    """

    layout: str
    root: Path
    classes: tuple[str, ...]
    parts: dict[str, Part]
    masks: bool
    notes: list[str]


class ClassSet(NamedTuple):
    """Pictures of one class each.

    Attributes:
        layout, root, classes, notes: As in :class:`DetectionSet`.
        parts (dict[str, list[tuple[str, int]]]): Pictures, relative to the root, and their labels.
        folders (dict[str, str]): The folders of those parts that have one for every class, relative
            to the root.
    """

    layout: str
    root: Path
    classes: tuple[str, ...]
    parts: dict[str, list[tuple[str, int]]]
    folders: dict[str, str]
    notes: list[str]


def split_of(name: str) -> str | None:
    """The part of a data set that a file or folder is called after.

    Example:
        >>> [split_of(name) for name in ('instances_train2017', 'valid', 'minival')]
        ['train', 'val', None]
    """
    words = re.split(r'[^a-z]+', name.lower())
    return next((split for split, known in SPLITS.items() if set(words) & set(known)), None)
