"""Pascal VOC's files, one for each picture: the devkit's layout, and files beside the pictures.

Read here and not by supervision, which takes difficult objects for ordinary ones and does not know
ImageSets.
"""

import re
from collections.abc import Iterator
from math import isfinite
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np

from mmscale.beginning.converting import Said, Shape, check_readable, to_coco, upright_size
from mmscale.beginning.parts import SPLITS, DetectionSet, split_of
from mmscale.datasets.pictures import PICTURES
from mmscale.errors import UserError, first_line
from mmscale.utils.progress import track
from mmscale.utils.texts import read_text
from mmscale.utils.words import counted

LOOKED_AT = 20  # files, of which the first may be broken
ENCODING = re.compile(rb'<\?xml[^>]*?encoding=[\'"]([\w.-]+)')
ANNOTATIONS, PICTURE_FOLDER, LISTS = 'Annotations', 'JPEGImages', 'ImageSets/Main'


class Labelled(NamedTuple):
    """A file of annotations, with the picture that it is of."""

    file: Path
    picture: Path


def find(root: Path) -> str | None:
    """The files that tell of this layout."""
    for folder in (root / ANNOTATIONS, root, *_parts(root).values()):
        files = sorted(folder.glob('*.xml'))[:LOOKED_AT]
        if file := next(filter(_is_annotation, files), None):
            return f'{file.relative_to(root).parent}/*.xml'.removeprefix('./')
    return None


def _is_annotation(file):
    head = file.read_bytes()[:2048].replace(b'\0', b'')  # in UTF-16 every second byte
    return b'<annotation' in head


def read(root: Path) -> DetectionSet:
    """Read such a set. Difficult objects become crowds, which are neither learned nor counted.

    Args:
        root (Path): Its folder.

    Raises:
        UserError: If a list or the files are not as they should be.
    """
    said = Said()
    objects: dict[str, list[tuple[Path, list[tuple[str, np.ndarray, bool]]]]] = {}
    sizes: dict[Path, tuple[int, int]] = {}
    for split, labelled in _labelled(root, said).items():
        objects[split] = []
        for file, picture in track(labelled, f'reading {split}'):
            size, tree = upright_size(picture, said), _tree(file, said)
            if size:
                sizes[picture] = size
            if size and tree is not None:
                objects[split].append((picture, list(_objects(tree, file, size, said))))
        files, pictures = [one.file for one in labelled], [one.picture for one in labelled]
        check_readable([p for p in pictures if p in sizes], pictures, root, split)
        check_readable(objects[split], files, root, split, '.xml file')
    if 'train' not in objects:
        why = f'has only {", ".join(objects)} and nothing to train on'
        if (root / LISTS).is_dir():
            why = f'{why}: no name in {LISTS}/train.txt is that of an .xml file with a picture'
        raise UserError(f'{str(root)!r} {why}')
    names = {name for found in objects.values() for _, inner in found for name, _, _ in inner}
    if not names:
        raise UserError(f'{str(root)!r}: none of the .xml files has an object with a box')
    classes = sorted(names)
    label = {name: i for i, name in enumerate(classes)}
    parts = {}
    for split, found in objects.items():
        shapes = {
            picture: [Shape(label[name], box, hard) for name, box, hard in inner]
            for picture, inner in found
        }
        if shapes:
            parts[split] = to_coco(shapes, sizes, root, classes, masks=False, said=said)
    hard = sum(hard for found in objects.values() for _, inner in found for _, _, hard in inner)
    notes = list(said.notes())
    if hard:
        notes.append(f'{counted(hard, "difficult object")}: neither learned nor counted (iscrowd)')
    return DetectionSet(f'Pascal VOC ({find(root)})', root, tuple(classes), parts, False, notes)


def _parts(root: Path) -> dict[str, Path]:
    """Folders that are called after a part of the set."""
    inside = sorted(path for path in root.iterdir() if path.is_dir())
    return {split: path for path in inside if (split := split_of(path.name))}


def _labelled(root: Path, said: Said) -> dict[str, list[Labelled]]:
    """The files of every part, with their pictures."""
    folder = root / ANNOTATIONS
    if not folder.is_dir():  # beside the pictures, in a folder for each part or in one
        parts = {s: p for s, p in _parts(root).items() if next(p.glob('*.xml'), None)}
        parts = parts or {'train': root}
        for part in parts.values():
            _say_unlabelled(part, {path.stem for path in part.glob('*.xml')}, said)
        return {split: list(_pairs(sorted(p.glob('*.xml')), p, said)) for split, p in parts.items()}
    files = {path.stem: path for path in sorted(folder.glob('*.xml'))}
    pictures = root / PICTURE_FOLDER
    pictures = pictures if pictures.is_dir() else root / 'images'
    if not pictures.is_dir():
        raise UserError(f'{str(root)!r} has {ANNOTATIONS}, but no {PICTURE_FOLDER} with pictures')
    found: dict[str, list[Labelled]] = {}
    for split in SPLITS:
        listed = _listed(root / LISTS / f'{split}.txt')
        if listed:
            lacks = [name for name in listed if name not in files]
            for name in lacks:
                said.add('name', f'of {LISTS}/{split}.txt without an .xml file, left out', name)
            chosen = [files[name] for name in listed if name in files]
            found[split] = list(_pairs(chosen, pictures, said))
    if not found:
        _say_unlabelled(pictures, set(files), said)
    if 'train' not in found:
        taken = {pair.file for pairs in found.values() for pair in pairs}
        listed = _listed(root / LISTS / 'trainval.txt')
        rest = [files[name] for name in listed if name in files] if listed else files.values()
        found['train'] = list(_pairs([f for f in rest if f not in taken], pictures, said))
    return {split: pairs for split, pairs in found.items() if pairs}


def _say_unlabelled(folder: Path, labelled: set[str], said: Said) -> None:
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in PICTURES and path.stem not in labelled:
            said.add('picture', 'without an .xml file, left out', path.name)


def _listed(path: Path) -> list[str]:
    """The names in a list of pictures, without what may stand behind them."""
    if not path.is_file():
        return []
    lines = read_text(path).splitlines()
    names = [line.strip() for line in lines if line.strip()]
    # Lists for a class have 1, -1 or 0 behind the name; a name may have spaces.
    ends = {name.rpartition(' ')[2] for name in names}
    names = (
        [name.rpartition(' ')[0].strip() for name in names] if ends <= {'1', '-1', '0'} else names
    )
    return list(dict.fromkeys(names))


def _pairs(files: list[Path], folder: Path, said: Said) -> Iterator[Labelled]:
    there = {p.stem: p for p in sorted(folder.iterdir()) if p.suffix.lower() in PICTURES}
    for file in files:
        picture = there.get(file.stem)
        if picture:
            yield Labelled(file, picture)
        else:
            said.add('.xml file', 'without a picture of its name, left out', file.name)


def _tree(file: Path, said: Said) -> ElementTree.Element | None:
    content = file.read_bytes()
    found = ENCODING.match(content[:200])
    try:
        # Expat has a few encodings, Python most: tools in Chinese and Japanese write their own.
        text = content.decode(found[1].decode()) if found else content
        tree = ElementTree.fromstring(text)
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        state = f'left out with its picture: no XML ({first_line(error)})'
        said.add('.xml file', state, file.name)
        return None
    for node in tree.iter():
        node.tag = node.tag.rpartition('}')[2]  # without a namespace
    return tree


def _objects(
    tree: ElementTree.Element, file: Path, size: tuple[int, int], said: Said
) -> Iterator[tuple[str, np.ndarray, bool]]:
    """Name, two corners in pixels from 0, and whether it is difficult, of every object."""
    own = [_number(tree, f'size/{side}') for side in ('width', 'height')]
    if own != [None, None] and tuple(own) not in (size, (0, 0)):
        said.add('.xml file', 'with another size than the picture has', file.name)
    for node in tree.iter('object'):
        name = (node.findtext('name') or '').strip()
        corners = [_number(node, f'bndbox/{key}') for key in ('xmin', 'ymin', 'xmax', 'ymax')]
        if not name or None in corners:
            said.add('object', 'without a name or a box, left out', file.name)
            continue
        box = np.sort(np.array(corners, float).reshape(2, 2), axis=0)
        box[0] -= 1  # the devkit counts pixels from 1, and the last one belongs to the box
        yield name, np.maximum(box, 0), (node.findtext('difficult') or '').strip() == '1'


def _number(node, path) -> float | None:
    try:
        value = float(node.findtext(path) or '')
    except ValueError:
        return None
    return value if isfinite(value) else None
