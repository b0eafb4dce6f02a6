"""One folder of pictures for each class."""

import os
from pathlib import Path

from mmscale.beginning.parts import PAGE, ClassSet, split_of
from mmscale.checks.findings import FAULT, first
from mmscale.checks.folders import READABLE, check_folder, class_names
from mmscale.errors import UserError

OTHER = ('images', 'labels', 'annotations', 'jpegimages', 'imagesets')  # folders of other layouts


def find(root: Path) -> str | None:
    """The folders that tell of this layout."""
    parts = _parts(root)
    if not parts:
        return None
    shown = list(parts.values())[0]
    name = _classes(shown)[0]
    return (shown / name).relative_to(root).as_posix()


def only_class(root: Path) -> str | None:
    """The name of the one class folder, where a second one is missing."""
    inside = {split_of(path.name): path for path in sorted(root.iterdir()) if path.is_dir()}
    classes = _classes(inside.get('train', root))
    return classes[0] if len(classes) == 1 and classes[0].lower() not in OTHER else None


def read(root: Path) -> ClassSet:
    """Read such a set.

    Args:
        root (Path): A folder for each class; or ``train`` and ``val`` (or ``valid``), each with a
            folder for each class.

    Raises:
        UserError: If a folder is not as it should be.
    """
    folders = _parts(root)
    if 'train' not in folders:
        raise UserError(f'{str(root)!r} has only {", ".join(folders)} and nothing to train on')
    notes = []
    beside = _parts(root.parent) if split_of(root.name) == 'train' else {}
    if set(beside) - {'train'}:
        left = ' and '.join(repr(path.name) for path in beside.values() if path != root)
        notes.append(f'{left} beside it: left out; give {str(root.parent)!r} for the whole set')
    for folder in folders.values():
        for finding in check_folder(folder):
            if finding.severity == FAULT:
                raise UserError(finding)
            if finding.kind != 'folder-empty':  # they are no class here
                notes.append(str(finding))
        empty = sorted(set(class_names(folder)) - set(_classes(folder)))
        if empty:
            notes.append(f'class folders without pictures are left out: {first(empty)}')
    classes = _classes(folders['train'])
    for split, folder in folders.items():
        unknown = sorted(set(_classes(folder)) - set(classes))
        if unknown:
            raise UserError(
                f'{str(folder)!r} has class folders that {str(folders["train"])!r} has not, '
                f'{unknown[:3]}: {split} can only have classes that were learned'
            )
    parts = {split: _pictures(folder, root, classes) for split, folder in folders.items()}
    # mmpretrain numbers the folders that are there: with one missing, all after it are shifted.
    named = {
        s: p.relative_to(root).as_posix() for s, p in folders.items() if class_names(p) == classes
    }
    return ClassSet(f'class folders ({find(root)}, ...)', root, tuple(classes), parts, named, notes)


def _parts(root: Path) -> dict[str, Path]:
    """The folders with class folders, by what they are for."""
    inside = sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith('.'))
    named = {split: path for path in inside if (split := split_of(path.name))}
    parts = {split: path for split, path in named.items() if _has_classes(path)}
    if parts or named:
        return {split: parts[split] for split in ('train', 'val', 'test') if split in parts}
    return {'train': root} if _has_classes(root) else {}


def _has_classes(folder: Path) -> bool:
    names = _classes(folder)
    if len(names) < 2 or any(name.lower() in OTHER for name in names):
        return False
    return any(_is_picture(path) for name in names for path in (folder / name).iterdir())


def _classes(folder: Path) -> list[str]:
    """The folders with pictures, but for what was written here."""
    names = [name for name in class_names(folder) if not (folder / name / PAGE).exists()]
    return [n for n in names if next(filter(_is_picture, (folder / n).rglob('*')), None)]


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in READABLE


def _pictures(folder, root, classes):
    return [
        (Path(os.path.relpath(path, root)).as_posix(), label)
        for label, name in enumerate(classes)
        for path in sorted((folder / name).rglob('*'))
        if _is_picture(path) and path.is_file()
    ]
