"""COCO's annotation files: its own layout, Roboflow's, Datumaro's and CVAT's."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mmscale.beginning.converting import Said, complete
from mmscale.beginning.parts import PAGE, DetectionSet, Part, split_of
from mmscale.checks.findings import SHOWN
from mmscale.checks.reading import read_annotations
from mmscale.checks.repairs import repair
from mmscale.checks.targets import annotation_files, picture_folder
from mmscale.errors import UserError

ROBOFLOW = '_annotations.coco.json'


def find(root: Path) -> str | None:
    """The files that tell of this layout."""
    files = _annotation_files(root)
    names = [file.relative_to(root).as_posix() for file in files]
    return ', '.join([*names[:SHOWN], '...'] if names[SHOWN:] else names) or None


def read(root: Path) -> DetectionSet:
    """Read such a set. What is as it should be is not copied.

    Args:
        root (Path): Its folder.

    Raises:
        UserError: If a file is none, two are for the same part, or the pictures are not found.
    """
    said, parts, masks = Said(), {}, []
    notes: list[str] = []
    for split, path in _files(root).items():
        content, fault = read_annotations(path, root, unlabelled=split == 'test')
        if content is None:
            raise UserError(fault)
        if 'annotations' not in content:
            said.add('file', 'without annotations, left out', path.name)
            continue
        if not content['images']:
            raise UserError(
                f'{str(path)!r}: its list of images is empty: export the set again with its '
                'pictures, or take the file away'
            )
        names = [image.get('file_name') for image in content['images'] if isinstance(image, dict)]
        folder = picture_folder(path, [name for name in names if isinstance(name, str)])
        if folder is None:
            raise UserError(
                f'{str(path)!r}: none of its pictures, such as {names[:1]}, was found near it: put '
                f'them in a folder of {str(root)!r}'
            )
        notes += _mended(content, path, folder)
        changed = _leave_missing(content, folder, said)
        changed |= complete(content, folder, path.name, said)
        there = None if changed else path
        parts[split] = Part(content, folder, there)
        masks.append(_has_masks(content['annotations']))
    if 'train' not in parts:
        raise UserError(f'{str(root)!r} has only {", ".join(parts)} and nothing to train on')
    classes = _classes(parts)
    kind = 'COCO by Roboflow' if next(root.glob(f'*/{ROBOFLOW}'), None) else 'COCO'
    layout = f'{kind} ({find(root)})'
    return DetectionSet(layout, root, classes, parts, all(masks), [*notes, *said.notes()])


def _mended(content: dict[str, Any], path: Path, folder: Path) -> list[str]:
    """Repair the content as a run will repair the file; what was repaired."""
    named = [isinstance(c, dict) and isinstance(c.get('name'), str) for c in content['categories']]
    # Without their names nothing is certain, and it is refused later.
    return [str(finding) for finding in repair(content, path, folder)] if all(named) else []


def _leave_missing(content: dict[str, Any], folder: Path, said: Said) -> bool:
    """Take the pictures that are not there out of the content; whether there were any."""

    def is_there(image):
        name = image.get('file_name') if isinstance(image, dict) else None
        return not isinstance(name, str) or os.path.isfile(folder / name)

    lacking = [image for image in content['images'] if not is_there(image)]
    if lacking:
        for image in lacking:
            said.add('picture', 'missing, left out', image['file_name'])
        ids = {str(image.get('id')) for image in lacking}
        content['images'] = [image for image in content['images'] if is_there(image)]
        content['annotations'] = [
            a
            for a in content['annotations']
            if not isinstance(a, dict) or str(a.get('image_id')) not in ids
        ]
    return bool(lacking)


def _annotation_files(root):
    return [path for path in annotation_files(root) if not (path.parent / PAGE).exists()]


def _files(root: Path) -> dict[str, Path]:
    """An annotation file for every part."""
    files: dict[str | None, list[Path]] = {}
    for path in _annotation_files(root):
        split = split_of(path.stem) or split_of(path.parent.name if path.parent != root else '')
        files.setdefault(split, []).append(path)
    unnamed = files.pop(None, [])
    if 'train' not in files and unnamed:
        files['train'] = unnamed
    found: dict[str, Path] = {}
    for split, paths in files.items():
        assert split
        # COCO's own folder has keypoints of the same pictures.
        instances = [path for path in paths if path.name.startswith('instances')]
        chosen = instances if len(instances) == 1 else paths
        if len(chosen) > 1:
            names = [path.relative_to(root).as_posix() for path in chosen]
            raise UserError(
                f'{str(root)!r} has several annotation files for {split}, {names[:SHOWN]}: leave '
                'one, or call them after their part, such as train.json and val.json'
            )
        found[split] = chosen[0]
    return {split: found[split] for split in ('train', 'val', 'test') if split in found}


def _has_masks(annotations: list[Any]) -> bool:
    """Whether all objects have an outline that is more than the box: some exporters write that."""
    given = [a.get('segmentation') for a in annotations if isinstance(a, dict)]
    boxes = sum(_is_box(segmentation) for segmentation in given)
    return bool(given) and all(given) and boxes < len(given)


def _is_box(segmentation):
    if not isinstance(segmentation, list) or len(segmentation) != 1:
        return False
    return isinstance(segmentation[0], list) and len(segmentation[0]) <= 8


def _classes(parts: dict[str, Part]) -> tuple[str, ...]:
    """The names, without the one that Roboflow puts in front for the whole set."""
    categories = [c for c in parts['train'].content['categories'] if isinstance(c, dict)]
    if len(categories) > 1:
        head = categories[0]
        rest = {c.get('supercategory') for c in categories[1:]}
        if head.get('supercategory') == 'none' and rest == {head.get('name')}:
            annotations = _annotations(parts.values())
            if not any(a.get('category_id') == head.get('id') for a in annotations):
                categories = categories[1:]
    return tuple(str(category.get('name')) for category in categories)


def _annotations(parts: Iterable[Part]) -> list[dict[str, Any]]:
    return [a for part in parts for a in part.content['annotations'] if isinstance(a, dict)]


def relative(path: Path, root: Path) -> str:
    """A path as the config has it: from the root where it is in it."""
    return Path(os.path.relpath(path, root)).as_posix() if path.is_relative_to(root) else str(path)
