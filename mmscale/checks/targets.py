"""What lies on a disk, without a config: an annotation file, or a folder of either layout."""

import mmap
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmscale.checks.annotations import Use, check_content, check_entries
from mmscale.checks.findings import NOTE, Finding
from mmscale.checks.folders import check_folder, class_names, compare_classes
from mmscale.checks.pictures import check_pictures
from mmscale.checks.reading import LISTS, UNLABELLED, read_annotations
from mmscale.checks.repairs import repair
from mmscale.datasets.pictures import PICTURES
from mmscale.utils.texts import parse_json
from mmscale.utils.words import counted

SHOWN = 3  # names in a message
HEAD = 4096  # bytes of a JSON file in which one of COCO's lists begins, or a foreign key


def find_in_file(
    path: Path, *, folder: Path | None = None, deep: bool = False
) -> Iterator[Finding]:
    """Look at one annotation file as one for training and evaluation, and at its pictures.

    Args:
        path (Path): The file.
        folder (Path, optional): The pictures'; by default the one near the file that has them.
        deep (bool): Decode every pixel.
    """
    content, fault = read_annotations(path, path.parent, unlabelled=True)
    if content is None or fault is not None:
        yield from filter(None, [fault])
        return
    labelled = 'annotations' in content
    if not labelled:
        content['annotations'] = []
        yield Finding(
            NOTE,
            'annotations-none',
            f'{str(path)!r} {UNLABELLED}: it can be tested on, not trained',
            'a test only writes predictions: format_only=True in the evaluator',
        )
    named = _names(content)
    folder = folder or picture_folder(path, named)
    yield from repair(content, path, folder)
    use = Use(path, trained=labelled, evaluated=labelled, masks=_has_masks(content))
    malformed = list(check_entries(content, use))
    if malformed:
        yield from malformed
        return
    yield from check_content(content, use)
    if folder is None:
        yield Finding(
            NOTE,
            'pictures-elsewhere',
            f'none of the pictures of {str(path)!r} lies near it: they were not looked at',
            '--pictures FOLDER',
        )
    else:
        yield from check_pictures(content, path, folder, deep=deep)


def find_in_tree(root: Path, *, deep: bool = False) -> Iterator[Finding] | None:
    """Look at every annotation file of a folder, or at its class folders.

    Args:
        root (Path): A data set: annotation files in it or in a folder of it; ``train`` and ``val``
            with class folders; or class folders.
        deep (bool): Decode every pixel.

    Returns:
        Iterator[Finding]: What was found; None if the folder is neither.
    """
    files = annotation_files(root)
    if files:
        return _annotated(root, files, deep)
    parts = [p for p in (root / 'train', root / 'val', root / 'test') if p.is_dir()]
    sets = [part for part in parts if class_names(part)]
    if not sets and _is_class_set(root):
        sets = [root]
    if sets:
        return _class_sets(sets, deep)
    return None


def annotation_files(root: Path) -> list[Path]:
    """The JSON files of a folder and of the folders in it that look like COCO's detections."""
    return sorted(filter(looks_like_coco, _json_files(root)))


def picture_folder(path: Path, names: list[str]) -> Path | None:
    """The folder near an annotation file that has the most of its first pictures."""
    above = path.parent.parent
    near = [path.parent, above, *(p for p in sorted(path.parent.iterdir()) if p.is_dir())]
    if path.parent.name in ('annotations', 'labels', 'json'):
        near += [p for p in sorted(above.iterdir()) if p.is_dir() and p != path.parent]
        inside = above / 'images'  # as Datumaro and CVAT write: images/train, images/val
        near += sorted(p for p in inside.iterdir() if p.is_dir()) if inside.is_dir() else []
    # Of folders with pictures of the same names, that which the file is called after.
    near.sort(key=lambda p: p.name not in path.stem)
    shown = [name.replace('\\', '/') for name in names[:100]]
    hits = {p: sum(os.path.isfile(p / name) for name in shown) for p in near}
    best = max(near, key=lambda p: hits[p])
    return best if hits[best] else None


def _json_files(root):
    return [*root.glob('*.json'), *root.glob('*/*.json')]


def _annotated(root, files, deep):
    for path in files:
        yield from find_in_file(path, deep=deep)
    left = sorted(path for path in set(_json_files(root)) - set(files) if not _is_other_task(path))
    if left:
        named = ', '.join(repr(path.relative_to(root).as_posix()) for path in left[:SHOWN])
        yield Finding(
            NOTE,
            'annotations-other',
            f'{counted(len(left), ".json file")} of {str(root)!r} not looked at, without '
            f"COCO's lists of pictures and objects: {named}{', ...' if left[SHOWN:] else ''}",
            'nothing, unless one of them should have them',
        )


def _is_other_task(path):
    """Of COCO itself."""
    return path.name.startswith(('captions_', 'panoptic_', 'stuff_'))


def _class_sets(sets, deep):
    before = None
    for folder in sets:
        yield from check_folder(folder, deep=deep)
        classes = class_names(folder)
        yield from compare_classes(folder, classes, before)
        before = folder, classes


def _is_class_set(root):
    inside = [root / name for name in class_names(root)]
    return any(p.suffix.lower() in (*PICTURES, '.gif') for i in inside for p in i.iterdir())


def looks_like_coco(path: Path) -> bool:
    """Whether a JSON file is one of COCO's of objects, without reading a large one to the end."""
    if _is_other_task(path):
        return False
    try:
        with open(path, 'rb') as file:
            head = file.read(HEAD)
            if head and _has_captions_alone(file):
                return False
        if len(head) == HEAD and any(f'"{key}"'.encode() in head for key in ('images', 'info')):
            return True
        content: Any = parse_json(path.read_bytes()) if len(head) < HEAD or head else None
    except (OSError, ValueError):
        # Cut or empty: what lies among annotations is one.
        return path.parent.name == 'annotations' or 'annotations' in path.name
    return isinstance(content, dict) and any(key in content for key in LISTS[:2])


def _has_captions_alone(file):
    """Whether a file is as COCO's of captions are, without reading those of objects to the end."""
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(b'"category_id"') < 0 <= content.find(b'"caption"')


def _names(content):
    images = [image for image in content['images'] if isinstance(image, dict)]
    return [i['file_name'] for i in images if isinstance(i.get('file_name'), str)]


def _has_masks(content):
    """Whether most objects have masks: detection exports have none, or empty lists."""
    annotations = [a for a in content['annotations'] if isinstance(a, dict)]
    return sum(bool(a.get('segmentation')) for a in annotations) * 2 > len(annotations)
