"""Data sets in class folders: one folder of pictures for each class."""

import os
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from mmscale.checks.findings import FAULT, NOTE, SHOWN, WARNING, Finding, count, first
from mmscale.checks.pictures import ODD, UNREADABLE, read_headers
from mmscale.utils.words import counted

# What mmpretrain's CustomDataset reads, if its config does not say otherwise.
READABLE = ('.jpg', '.jpeg', '.png', '.ppm', '.bmp', '.pgm', '.tif')
FEW = 50_000  # pictures whose headers are read before every run


def check_folder(
    folder: Path, *, readable: tuple[str, ...] = READABLE, headers: bool = True, deep: bool = False
) -> Iterator[Finding]:
    """Everything that can be seen in one folder of class folders.

    Args:
        folder (Path): It.
        readable (tuple[str]): Suffixes of the files that are taken for pictures.
        headers (bool): Read the pictures' headers too.
        deep (bool): Decode every pixel too.

    Yields:
        Finding: A kind of mistake.
    """
    if not os.path.isdir(folder):
        yield Finding(
            FAULT,
            'folder-missing',
            f'folder {str(folder)!r} is missing: it should have one folder of images for each '
            'class.\nPut the data set there, or say where it is by the variable that the '
            'config reads: IMAGENET_ROOT=/path/to/it with train/ and val/ (ImageNet: '
            'https://image-net.org/download.php), CIFAR_ROOT, SHAPES_ROOT.\n'
            'To try everything without any data: mmscale make-shapes data/shapes, then mmscale '
            'train shapes/rexnet-100_shapes',
        )
        return
    inside = sorted(path.name for path in folder.iterdir() if path.is_dir())
    hidden = [name for name in inside if name.startswith('.')]
    if hidden:
        yield Finding(
            FAULT,
            'folder-hidden',
            f'{str(folder)!r} has hidden folders, {first(hidden)}, which mmpretrain would take for '
            'classes, so that all labels after them are shifted',
            f'move them out of it: {shlex.join(str(folder / name) for name in hidden[:SHOWN])}',
        )
    classes = [name for name in inside if name not in hidden]
    if not classes:
        yield Finding(
            FAULT,
            'folder-no-classes',
            f'{str(folder)!r} has no class folders, but images go into one each',
        )
        return
    files = {name: _files(folder / name) for name in classes}
    pictures = {name: [p for p in files[name] if _is_readable(p, readable)] for name in classes}
    yield from _unread(folder, files, pictures, readable)
    every = [path for name in classes for path in pictures[name]]
    if headers:
        found = read_headers(every, deep=deep)
        relative = [os.path.relpath(path, folder) for path in every]
        for kinds, key in (
            ({k: f'are {what}' for k, what in UNREADABLE.items()}, 'fault'),
            ({k: what for k, (what, _) in ODD.items()}, 'odd'),
        ):
            for kind, what in kinds.items():
                named = [n for n, header in zip(relative, found) if getattr(header, key) == kind]
                if named:
                    yield Finding(
                        WARNING,
                        kind,
                        f'{count(named, every, "pictures")} in {str(folder)!r} {what}: '
                        f'{first(named)}',
                        'remove or replace them: training draws others in their place, a test '
                        'counts black ones'
                        if key == 'fault'
                        else 'save them as 8-bit RGB',
                    )


def class_names(folder: Path) -> list[str]:
    """The classes of a folder; hidden folders are none."""
    return sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith('.'))


def count_pictures(folder: Path, enough: int = FEW) -> int:
    """How many files are in the class folders, as far as `enough`."""
    total = 0
    for name in class_names(folder):
        total += sum(len(files) for _, _, files in os.walk(folder / name))
        if total > enough:
            break
    return total


def _files(folder):
    return [
        os.path.join(parent, name)
        for parent, _, names in os.walk(folder)
        for name in sorted(names)
        if not name.startswith('.')
    ]


def _is_readable(path, readable):
    return path.lower().endswith(tuple(readable))


def _unread(folder, files, pictures, readable):
    """Class folders without pictures, and files that are passed over."""
    passed = [p for name in files for p in files[name] if not _is_readable(p, readable)]
    suffixes = sorted({os.path.splitext(path)[1].lower() for path in passed})
    empty = [name for name in files if not pictures[name]]
    of_suffix = [name for name in empty if files[name]]
    if len(empty) == len(files):
        found = f', only files of {suffixes}' if suffixes else ''
        yield Finding(
            FAULT,
            'folder-no-images' if not suffixes else 'folder-unreadable-suffix',
            f'{str(folder)!r} has no image in any of its {len(files)} class folders{found}',
            f'convert them; these are read: {" ".join(readable)}' if suffixes else '',
        )
    elif of_suffix:
        yield Finding(
            FAULT,
            'folder-unreadable-suffix',
            f'{count(of_suffix, files, "class folders")} in {str(folder)!r} have only files that '
            f'are not read, of {suffixes}: {first(of_suffix)}',
            f'convert them; these are read: {" ".join(readable)}',
        )
    elif empty:
        yield Finding(
            WARNING,
            'folder-empty',
            f'{count(empty, files, "class folders")} in {str(folder)!r} are empty: {first(empty)}',
            'fill or remove them; each counts as a class',
        )
    if passed and not of_suffix and len(empty) < len(files):
        yield Finding(
            NOTE,
            'files-passed-over',
            f'{counted(len(passed), "file")} in {str(folder)!r} passed over: suffixes {suffixes} '
            'are not read',
        )


def compare_classes(
    folder: Path, classes: Sequence[str], before: tuple[Path, Sequence[str]] | None
) -> Iterator[Finding]:
    """Compare the classes of a folder with those of the one before it, if there is one.

    Args:
        folder (Path): It.
        classes (Sequence[str]): Its classes.
        before (tuple, optional): The other one and its classes.

    Yields:
        Finding: If they are not the same.
    """
    if before is not None and classes != before[1]:
        differ = sorted(set(classes) ^ set(before[1]))
        yield Finding(
            FAULT,
            'folders-differ',
            f'{str(folder)!r} and {str(before[0])!r} differ in the classes {differ}',
        )
