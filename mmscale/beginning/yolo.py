"""YOLO's label files with their YAML: Ultralytics' layout, Roboflow's, and outlines.

Read here and not by supervision, which makes pixel masks of all outlines at once, and not by
Datumaro, which needs numpy 2: docs/notes/own_dataset.md has the measurement.
"""

import os
from collections.abc import Iterator
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from mmscale.beginning.converting import (
    Said,
    Shape,
    check_labels,
    check_readable,
    to_coco,
    upright_size,
)
from mmscale.beginning.parts import SPLITS, DetectionSet, split_of
from mmscale.datasets.pictures import PICTURES
from mmscale.errors import UserError, first_line
from mmscale.utils.progress import track
from mmscale.utils.texts import read_text
from mmscale.utils.words import counted, short

BOX, SCORED = 5, 6  # values in a line: class, centre and size; and a score, which is passed over
POLYGON = 7  # class and three corners
LINE, LEFT = 'label line', 'left out: '
FAR = 2  # widths of a picture: what is further out is in pixels


def find(root: Path) -> str | None:
    """The file or folder that tells of this layout."""
    described = descriptions(root)
    if described:
        return ', '.join(path.name for path in described)
    folders = [p for p in (root / 'labels', *sorted(root.glob('*/labels'))) if p.is_dir()]
    found = next((p for p in folders if next(p.rglob('*.txt'), None)), None)
    return f'{found.relative_to(root)}/*.txt' if found else None


def descriptions(root: Path) -> list[Path]:
    """The YAML files of a folder that name classes."""
    paths = sorted(p for p in root.iterdir() if _is_yaml(p))
    return [path for path in paths if 'names' in (_try_yaml(path) or {})]


def _is_yaml(path):
    return path.suffix.lower() in ('.yaml', '.yml') and path.is_file()  # a pipe is waited for


def read(root: Path) -> DetectionSet:
    """Read such a set.

    Args:
        root (Path): Its folder.

    Raises:
        UserError: If the YAML, the pictures or the labels do not fit each other.
    """
    described = descriptions(root)
    if len(described) > 1:
        names = ', '.join(path.name for path in described)
        raise UserError(f'{str(root)!r} has several files that name classes, {names}: leave one')
    content: dict[str, Any] = _try_yaml(described[0]) or {} if described else {}
    where = described[0] if described else root / 'classes.txt'
    classes = _class_names(content, where)
    said = Said()
    found = _picture_lists(root, content, where, said)
    _say_unpictured([path for paths in found.values() for path in paths], said)
    if 'train' not in found:
        raise UserError(
            f'{str(where)!r}: no pictures to train on were found by train: '
            f'{content.get("train")!r:.200}; correct it, or have them in '
            f'{str(root / "images/train")!r}'
        )
    keypoints = 'kpt_shape' in content
    wrong: list[tuple[str, int]] = []
    outlined = boxed = 0
    read_parts: dict[str, tuple[dict[Path, list[Shape]], dict[Path, tuple[int, int]]]] = {}
    for split, pictures in found.items():
        shapes: dict[Path, list[Shape]] = {}
        sizes: dict[Path, tuple[int, int]] = {}
        for path in track(pictures, f'reading {split}'):
            size = upright_size(path, said)
            if size is None:
                continue
            shapes[path], sizes[path] = [], size
            for place, label, points in _lines(path, keypoints, said):
                if not 0 <= label < len(classes):
                    wrong.append((place, label))
                outlined, boxed = outlined + (len(points) > 2), boxed + (len(points) == 2)
                shapes[path].append(Shape(label, points * size))
        check_readable(sizes, pictures, root, split)
        read_parts[split] = shapes, sizes
    check_labels(wrong, classes, where.name)
    if not outlined + boxed:
        raise UserError(f'{str(root)!r} has pictures, but {_lack(read_parts, said)}')
    masks = outlined > boxed
    notes = list(_outline_notes(read_parts, outlined, boxed))
    parts = {
        split: to_coco(*read_part, root, classes, masks=masks, said=said)
        for split, read_part in read_parts.items()
        if read_part[0]
    }
    layout = f'YOLO ({where.name})'
    return DetectionSet(layout, root, tuple(classes), parts, masks, [*notes, *said.notes()])


def _lack(read_parts, said) -> str:
    """Why no picture has an object."""
    pictures = [path for shapes, _ in read_parts.values() for path in shapes]
    files = [file for file in map(_label_path, pictures) if file]
    if not files:
        return 'no labels beside them: of images/a.jpg they are in labels/a.txt'
    named = f'{counted(len(files), "label file")} beside them, such as {files[0].name!r}'
    wrong = [(state, p) for (_, state), p in said.places.items() if state.startswith(LEFT)]
    if not wrong:
        return f'no objects: the {named}, have no lines: label the pictures, or export them again'
    (state, places), lines = wrong[0], sum(len(places) for _, places in wrong)
    why = state.removeprefix(LEFT)
    return (
        f'no labels that can be read: of the {counted(lines, "line")} in their label files none is '
        f'as YOLO has it, such as {places[0]} ({why}): write 0 0.5 0.5 0.2 0.3, the number of the '
        'class, then centre and size of the box in shares of the picture'
    )


def _outline_notes(read_parts, outlined, boxed) -> Iterator[str]:
    if outlined and boxed:
        kept = 'boxes get their corners as outline' if outlined > boxed else 'outlines become boxes'
        yield f'{outlined} objects have an outline, {boxed} only a box: {kept}'
    shapes = [s for found, _ in read_parts.values() for many in found.values() for s in many]
    if outlined > boxed and all(len(shape.points) in (2, 4) for shape in shapes):
        yield 'all outlines have four corners: of oriented boxes masks are learned, not angles'


def _try_yaml(path: Path) -> dict[str, Any] | None:
    """The mapping in a YAML file; None if it holds something else."""
    text = read_text(path)
    try:
        content = yaml.safe_load(text)
        if isinstance(content, dict) and 'names' in content:  # as written: no is no False
            content['names'] = yaml.load(text, yaml.BaseLoader).get('names', content['names'])
    except RecursionError:
        raise UserError(f'{str(path)!r} is nested too deep; correct it') from None
    except ValueError as error:  # a date that there is not
        raise UserError(f'{str(path)!r}: {error}; correct it') from error
    except yaml.YAMLError as error:
        mark = getattr(error, 'problem_mark', None)
        where = f', line {mark.line + 1}' if mark else ''
        why = getattr(error, 'problem', None) or first_line(error)
        raise UserError(f'{str(path)!r} is not YAML{where}: {why}; correct it') from error
    return content if isinstance(content, dict) else None


def _class_names(content, where) -> list[str]:
    names = content.get('names')
    if names is None and where.name == 'classes.txt':
        if not where.is_file():
            raise UserError(_nameless(where.parent))
        names = [n for n in read_text(where).splitlines() if n.strip()]
    if isinstance(names, dict):
        keys = [int(k) if str(k).isdigit() else k for k in names]
        if keys and sorted(map(str, keys)) != sorted(map(str, range(len(keys)))):
            raise UserError(
                f'{str(where)!r}: the numbers of names must be 0, 1, 2, ..., not {short(keys)}'
            )
        names = [name for _, name in sorted(zip(keys, names.values()))]
    if not isinstance(names, list) or not names:
        raise UserError(f'{str(where)!r}: names={short(names)} must be a list of class names')
    strange = [name for name in names if isinstance(name, (list, dict))]
    if strange:
        raise UserError(f'{str(where)!r}: the name {short(strange[0])} is no text; correct it')
    names = [str(name).strip() for name in names]
    if isinstance(content.get('nc'), int) and content['nc'] != len(names):
        raise UserError(
            f'{str(where)!r}: nc: {content["nc"]}, but names has {len(names)}: correct one of them'
        )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f'{str(where)!r}: names has {twice[0]!r} twice: give each class its own')
    return names


def _nameless(root: Path) -> str:
    """What is said of a folder with labels and without names."""
    paths = filter(_is_yaml, sorted(root.iterdir()))
    about = [p for p in paths if p.stem == 'data' or {*SPLITS, 'nc'} & set(_try_yaml(p) or {})]
    above = descriptions(root.parent)
    if above:
        return f'{str(root)!r} is a part of the set of {str(above[0])!r}: give {str(root.parent)!r}'
    if about:
        return f'{str(about[0])!r} names no classes: write names: [one, two] into it'
    return (
        f'{str(root)!r} has labels as YOLO has them, but no data.yaml, and no classes.txt, which '
        'would name the classes: write data.yaml with names: [one, two]'
    )


def _picture_lists(root, content, where, said) -> dict[str, list[Path]]:
    """The pictures of every part."""
    found: dict[str, list[Path]] = {}
    for split, words in SPLITS.items():
        given = next((content[word] for word in words if content.get(word)), None)
        entries = given if isinstance(given, list) else [given] if given else []
        base = content.get('path')
        paths = [p for entry in entries for p in _listed(str(entry), root, base, said)]
        if not paths:  # as Ultralytics and Roboflow have them
            folders = [root / start / word for word in words for start in ('images', '')]
            paths = [p for folder in folders for p in _pictures(folder)]
            if given and (paths or split != 'train'):
                place = paths[0].parent.relative_to(root).as_posix() if paths else ''
                instead = f'those of {place!r} are taken' if place else 'left out'
                said.note(f'{where.name}: {split}: {given!r:.200} has no pictures, {instead}')
        if paths:
            found[split] = sorted(dict.fromkeys(paths))
    if not found:
        folder = root / 'images' if (root / 'images').is_dir() else root
        inside = _pictures(folder)
        if inside:
            found['train'] = inside
    seen: dict[Path, str] = {}
    for split, paths in list(found.items()):
        both = [path for path in paths if path in seen]
        if len(both) == len(paths):  # train and val name one folder, as small examples have it
            first = seen[both[0]]
            said.note(f'{where.name}: {split} has the pictures of {first} again, left out')
            del found[split]
        seen.update(dict.fromkeys(paths, split))
    return found


def _listed(entry: str, root: Path, base: Any, said: Said) -> list[Path]:
    """The pictures of one entry of the YAML: a folder, or a file with a picture in each line."""
    entry = entry.replace('\\', '/')
    steps = [step for step in Path(entry).parts if step not in ('..', '.', '/')]
    tries = [root / str(base or '') / entry, root / entry]
    # Written for another place, as Roboflow's ../train/images: what of it is here.
    tries += [root.joinpath(*steps[i:]) for i in range(len(steps))]
    for path in tries:
        if os.path.isdir(path):  # of a name that is too long, Path's raises
            above = path.resolve() in root.parents  # such as the whole disk
            inside = [] if above else _pictures(path)
            if inside:
                return inside
        elif os.path.isfile(path) and path.suffix == '.txt':
            lines = read_text(path).splitlines()
            names = [line.strip().replace('\\', '/') for line in lines if line.strip()]
            places = {name: _first_file(name, path.parent, root) for name in names}
            for name in (name for name, place in places.items() if place is None):
                said.add('line', f'of {path.name} without a picture, left out', name)
            return [place for place in places.values() if place]
    return []


def _first_file(name, *folders):
    if Path(name).suffix.lower() not in PICTURES:
        return None
    steps = [step for step in Path(name).parts if step not in ('..', '.', '/')]
    tries = [folder / name for folder in folders]
    tries += [folder.joinpath(*steps[i:]) for i in range(len(steps)) for folder in folders]
    return next((path for path in tries if os.path.isfile(path)), None)


def _pictures(folder: Path) -> list[Path]:
    if not os.path.isdir(folder):
        return []
    return sorted(filter(_is_picture, folder.rglob('*')))


def _is_picture(path):
    return path.suffix.lower() in PICTURES and path.is_file()


def label_file(picture: Path) -> Path:
    """Where the labels of a picture are: the last folder ``images`` of its path becomes ``labels``.

    Example:
        >>> label_file(Path('set/images/train/a.jpg')).as_posix()
        'set/labels/train/a.txt'
    """
    steps = list(picture.with_suffix('.txt').parts)
    places = [i for i, step in enumerate(steps[:-1]) if step == 'images']
    if places:
        steps[places[-1]] = 'labels'
    return Path(*steps)


def _label_path(picture: Path) -> Path | None:
    """The label file of a picture, in the place for it or beside the picture, if there is one."""
    tries = (label_file(picture), picture.with_suffix('.txt'))
    return next((path for path in tries if path.is_file()), None)


def _say_unpictured(pictures: list[Path], said: Said) -> None:
    """Say which files in the folders of labels have no picture, whether a list names it or not."""
    folders = {label_file(path).parent: path.parent for path in pictures}
    for labels, folder in sorted(folders.items()):
        there = {path.stem for path in folder.iterdir() if _is_picture(path)}
        for file in sorted(labels.glob('*.txt')) if labels != folder else ():
            if file.stem not in there and file.name != 'classes.txt':
                said.add('label file', 'without a picture that OpenCV reads, left out', file.name)


def _lines(picture: Path, keypoints: bool, said: Said) -> Iterator[tuple[str, int, np.ndarray]]:
    """Place, label and points (shares of the picture) of what the label file of a picture has."""
    path = _label_path(picture)
    if path is None:
        if split_of(picture.parent.name) != 'test':
            said.add('picture', 'without a label file, counted as empty', picture.name)
        return
    seen = set()
    lines = read_text(path, errors='replace').splitlines()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        place = f'{path.name} line {number}'
        try:
            label, points = parse_line(line, keypoints=keypoints)
        except ValueError as error:
            said.add(LINE, f'{LEFT}{error}', place)
            continue
        if line in seen:
            said.add(LINE, 'repeated, left out', place)
            continue
        seen.add(line)
        yield place, label, points


def parse_line(line: str, *, keypoints: bool = False) -> tuple[int, np.ndarray]:
    """Read one line of a label file.

    Args:
        line (str): Class, and a box as the shares of width and height that its centre and size are,
            or a polygon's corners. A sixth value of a box, its score, is passed over.
        keypoints (bool): Keypoints follow the box; they are passed over.

    Returns:
        tuple[int, numpy.ndarray]: The label; (N, 2), two opposite corners of a box, or a polygon.

    Raises:
        ValueError: If it is something else, with what is wrong, without the values.

    Example:
        >>> parse_line('2 0.5 0.5 0.2 0.4')[1].tolist()
        [[0.4, 0.3], [0.6, 0.7]]
    """
    try:
        values = [float(value) for value in line.split()]
    except ValueError:
        raise ValueError('not all of it are numbers') from None
    if keypoints:
        values = values[:BOX]
    if len(values) < BOX or (len(values) > SCORED and len(values) % 2 == 0):
        raise ValueError('neither a box of 5 values nor a polygon of 7, 9, 11, ...')
    if not all(map(isfinite, values)):
        raise ValueError('not all of it are finite numbers')
    label = int(values[0])
    if label != values[0]:
        raise ValueError('the class is no whole number')
    if max(map(abs, values[1:BOX])) > FAR:
        raise ValueError('in pixels, not in shares of the picture')
    if len(values) < POLYGON:
        centre, size = np.array(values[1:3]), np.array(values[3:BOX])
        if (size < 0).any():
            raise ValueError('a negative width or height')
        return label, np.stack([centre - size / 2, centre + size / 2])
    points = np.array(values[1:]).reshape(-1, 2)
    if np.abs(points).max() > FAR:
        raise ValueError('in pixels, not in shares of the picture')
    return label, points
