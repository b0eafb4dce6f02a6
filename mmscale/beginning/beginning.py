"""From a folder to a config that trains: look, split, fit, write, prove, draw."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from mmengine.config import Config

from mmscale.adapting.proving import fault as trial_fault
from mmscale.beginning.anchors import Fit, fit_anchors, in_network
from mmscale.beginning.converting import Said, check_readable, upright_size
from mmscale.beginning.drawing import draw_classes, draw_detection
from mmscale.beginning.fitting import (
    Plan,
    classifier_size,
    detector_size,
    plan_classifier,
    plan_detector,
)
from mmscale.beginning.layouts import read_folder
from mmscale.beginning.parts import PAGE, ClassSet, DetectionSet, Part
from mmscale.beginning.splitting import SHARE, choose, split_content
from mmscale.beginning.writing import classifier_config, detector_config, has_empty
from mmscale.checks.findings import FAULT, NOTE
from mmscale.checks.reading import uncollected
from mmscale.engine.checks import find_in_run
from mmscale.engine.config import load_config
from mmscale.errors import UserError, is_number, is_whole
from mmscale.utils.files import check_out, written_aside
from mmscale.utils.folders import folder_aside, replace_folder
from mmscale.utils.texts import is_utf_8
from mmscale.utils.words import counted

SAMPLE = 2000  # pictures of class folders whose sizes are looked at
SPLIT_OFF = f'there was no validation set: {SHARE:.0%} of the pictures were split off, by seed 0'


class Begun(NamedTuple):
    """What was written for a folder.

    Attributes:
        config (Path): The config.
        page (Path): The picture of what was understood.
        lines (list[str]): What was found and chosen.
        notes (list[str]): What is to be known of the data.
    """

    config: Path
    page: Path
    lines: list[str]
    notes: list[str]


class Contents(NamedTuple):
    """All that is to be written, with the places of files as arguments."""

    files: dict[str, str]  # by name
    config: Callable[[dict[str, Path]], str]
    draw: Callable[[Path], Path]
    lines: list[str]
    notes: list[str]


def begin(
    folder: str | Path, out: str | Path, *, layout: str | None = None, force: bool = False
) -> Begun:
    """Write a config for the data set in a folder.

    Args:
        folder (str | Path): The data set. Nothing in it is changed.
        out (str | Path): The config, NAME.py. Annotation files that had to be made, and the page,
            go to NAME_data beside it.
        layout (str, optional): See :func:`mmscale.beginning.layouts.read_folder`.
        force (bool): Write over what is there.

    Returns:
        Begun: The files.

    Raises:
        UserError: If the folder is not understood, its data have faults, or a file is there.
            Nothing is written then.
    """
    out = check_out(out, ('.py',))
    aside = out.with_name(f'{out.stem}_data').absolute()
    for path in (out, aside):
        if os.path.lexists(path) and not force:
            raise UserError(
                f'{str(path)!r} is there, and may have been edited: --force writes over it'
            )
    with uncollected():
        found = read_folder(folder, layout)
        contents = _of_objects(found) if isinstance(found, DetectionSet) else _of_classes(found)
        with folder_aside(aside) as temporary, written_aside(out) as config:
            new = temporary / 'data'
            new.mkdir()
            for name, text in contents.files.items():
                (new / name).write_text(text, encoding='utf-8')
            config.write_text(_text(contents, new), encoding='utf-8')
            try:
                notes = [*contents.notes, *_prove(load_config(config))]
            except UserError as error:
                raise UserError(str(error).replace(str(new), str(aside))) from error
            notes = [note.replace(str(new), str(aside)) for note in notes]
            contents.draw(new / PAGE)
            config.write_text(_text(contents, aside), encoding='utf-8')
            kept = [path.relative_to(aside) for path in aside.rglob('*') if path.is_file()]
            own = {*contents.files, PAGE}
            replace_folder(aside, new, [path for path in kept if str(path) not in own])
    return Begun(out, aside / PAGE, contents.lines, list(dict.fromkeys(notes)))


def _text(contents, folder):
    return contents.config({Path(name).stem: folder / name for name in contents.files})


def _prove(cfg: Config) -> Iterator[str]:
    """Look at all that the run would read, and let two pictures through the model."""
    faults = []
    for finding in find_in_run(cfg, ('train', 'val', 'test')):
        if finding.severity == FAULT:
            faults.append(finding)
        elif finding.severity != NOTE:
            yield str(finding)
    if faults:
        more = f' (and {len(faults) - 1} more)' if faults[1:] else ''
        raise UserError(f'{faults[0]}{more}')
    ended = trial_fault(cfg)
    if ended:
        raise UserError(f'the config does not work: {ended}')


def _of_objects(found: DetectionSet) -> Contents:
    notes = list(found.notes)
    if 'val' not in found.parts:
        train = found.parts['train']
        _check_enough(len(train.content['images']), found.root)
        _check_entries(train)
        parts = [Part(content, train.folder) for content in split_content(train.content)]
        _check_split(len(parts[1].content['images']), found.root)
        kept = sum(len(part.content['annotations']) for part in parts)
        if lost := len(train.content['annotations']) - kept:
            notes.append(
                f'{counted(lost, "annotation")} of an image_id that no image has, left out'
            )
        rest = {split: part for split, part in found.parts.items() if split != 'train'}
        found = found._replace(parts=dict(train=parts[0], val=parts[1], **rest))
        notes.append(SPLIT_OFF)
    train = found.parts['train']
    for part in found.parts.values():
        _check_entries(part)
    boxes, frames, pictures = _tables(train)
    _check_objects(boxes, train)
    image_size = detector_size(pictures, boxes)
    scaled = in_network(boxes, frames, image_size)
    before, after = fit_anchors(scaled)
    plan = plan_detector(image_size, len(pictures))
    files = {
        f'{split}.json': _json(part.content)
        for split, part in found.parts.items()
        if part.file is None
    }
    there = {split: part.file for split, part in found.parts.items() if part.file}
    if has_empty(train.content):
        filled = {a['image_id'] for a in train.content['annotations']}
        empty = sum(image['id'] not in filled for image in train.content['images'])
        notes.append(f'{counted(empty, "picture")} without objects: trained on as background')
    title = f'{found.root.name}: {"Mask" if found.masks else "Faster"} R-CNN with ReXNet 1.0, by '
    title += 'mmscale new.'
    return Contents(
        files,
        lambda made: detector_config(found, {**there, **made}, plan, after.anchors, title),
        lambda page: draw_detection(found, scaled[:, 2:], after.anchors, page),
        [*_objects_lines(found), *_anchor_lines(before, after), *_plan_lines(plan)],
        notes,
    )


def _is_id(value):
    return isinstance(value, (int, str))


def _is_box(value):
    return isinstance(value, list) and len(value) == 4 and all(map(is_number, value))


def _is_text(value):
    return isinstance(value, str)


FITS = dict(file_name=_is_text, name=_is_text, bbox=_is_box, width=is_whole, height=is_whole)


def _check_enough(pictures, root):
    if pictures < 2:
        raise UserError(
            f'{str(root)!r} has {counted(pictures, "picture")}: there must be two or more, to '
            'train and to validate on'
        )


def _check_split(pictures, root):
    if not pictures:
        raise UserError(
            f'{str(root)!r}: no picture can be split off to validate on, as every class has to '
            'keep one to train on: add pictures, or a folder for validation'
        )


def _check_entries(part):
    """Refuse entries that nothing could be counted of; what is in them is checked later."""
    content, named = part.content, repr(str(part.file or part.folder))
    for kind, keys in (
        ('images', ('id', 'file_name', 'width', 'height')),
        ('annotations', ('image_id', 'category_id', 'bbox')),
        ('categories', ('id', 'name')),
    ):
        for i, entry in enumerate(content[kind]):
            given = entry if isinstance(entry, dict) else {}
            strange = [key for key in keys if not FITS.get(key, _is_id)(given.get(key))]
            if strange:
                raise UserError(
                    f'{kind}[{i}] of {named} has {strange[0]}={given.get(strange[0])!r:.80}: '
                    'mmscale check says what is wrong'
                )
    if not content['images']:
        raise UserError(f'{named} has no pictures')


def _check_objects(boxes, part):
    if not len(boxes):
        given = counted(len(part.content['annotations']), 'annotation')
        raise UserError(
            f'{str(part.file or part.folder)!r} has no object to train on: {given} in '
            f'{counted(len(part.content["images"]), "picture")}, none with a box: label them first'
        )


def _tables(part: Part) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes (N, 4), the sizes of their pictures (N, 2), and those of all pictures (M, 2)."""
    sizes = {image['id']: (image['width'], image['height']) for image in part.content['images']}
    kept = [a for a in part.content['annotations'] if a['image_id'] in sizes]
    kept = [a for a in kept if min(a['bbox'][2:]) > 0 and not a.get('iscrowd')]
    boxes = np.array([a['bbox'] for a in kept], float).reshape(-1, 4)
    frames = np.array([sizes[a['image_id']] for a in kept], float).reshape(-1, 2)
    return boxes, frames, np.array(list(sizes.values()), float).reshape(-1, 2)


def _objects_lines(found):
    what = ('object with outline', 'objects with outlines') if found.masks else ('box', 'boxes')
    yield f'{found.root}: {found.layout}, {counted(len(found.classes), "class", "classes")}'
    for split, part in found.parts.items():
        images, objects = len(part.content['images']), len(part.content['annotations'])
        yield f'  {split:<6}{counted(images, "picture")}, {counted(objects, *what)}'


def _anchor_lines(before: Fit, after: Fit):
    def said(fit):
        return f'{fit.recall[0]:.1%} at overlap 0.5, {fit.recall[1]:.1%} at 0.7'

    scales, ratios = list(after.anchors.scales), list(after.anchors.ratios)
    if after.anchors == before.anchors:
        yield f"anchors: mmdet's own fit, scales {scales}, ratios {ratios}: recall {said(after)}"
    else:
        yield f'anchors: scales {scales}, ratios {ratios}: recall {said(after)}'
        own = f'scales {list(before.anchors.scales)}, ratios {list(before.anchors.ratios)}'
        yield f"  before, mmdet's {own}: {said(before)}"


def _plan_lines(plan: Plan):
    size = plan.image_size
    yield f'image size: {size if isinstance(size, int) else f"{size[0]} x {size[1]}"} px'
    yield f'batch: {plan.batch_size} ({plan.memory}); the learning rate follows it'
    length = f'{counted(plan.max_epochs, "epoch")} of {counted(plan.steps, "step")}'
    yield f'schedule: {length}, warm-up {plan.warm_up:g} epoch{"s" * (plan.warm_up != 1)}'


def _json(content):
    # Names may have bytes that are no UTF-8: as JSON's escapes they are read as they were.
    return json.dumps(content, ensure_ascii=False).encode(errors='backslashreplace').decode()


def _listable(name):
    if not is_utf_8(name) or '\n' in name:
        raise UserError(f'{name!r} cannot stand in a list of pictures: rename the file')
    return name


def _of_classes(found: ClassSet) -> Contents:
    notes, folders = list(found.notes), dict(found.folders)
    if 'val' not in found.parts:
        train = found.parts['train']
        _check_enough(len(train), found.root)
        chosen = choose([name for name, _ in train], [[label] for _, label in train])
        parts = {
            'train': [item for i, item in enumerate(train) if i not in chosen],
            'val': [item for i, item in enumerate(train) if i in chosen],
        }
        _check_split(len(parts['val']), found.root)
        folders.pop('train', None)
        found = found._replace(parts={**found.parts, **parts}, folders=folders)
        notes.append(SPLIT_OFF)
    train = found.parts['train']
    step = max(len(train) // SAMPLE, 1)
    looked = [name for name, _ in train[::step]]
    read = [upright_size(found.root / name, Said()) for name in looked]
    sizes = np.array([size for size in read if size], float).reshape(-1, 2)
    check_readable(sizes, looked, found.root, 'train')
    plan = plan_classifier(classifier_size(sizes), len(train))
    files = {
        f'{split}.txt': ''.join(f'{_listable(name)} {label}\n' for name, label in part)
        for split, part in found.parts.items()
        if split not in found.folders
    }
    parts_line = [
        f'  {split:<6}{counted(len(part), "picture")}' for split, part in found.parts.items()
    ]
    lines = [f'{found.root}: {found.layout}, {counted(len(found.classes), "class", "classes")}']
    title = f'{found.root.name}: a classifier with ReXNet 1.0, by mmscale new.'
    return Contents(
        files,
        lambda made: classifier_config(found, made, plan, title),
        lambda page: draw_classes(found, sizes, page),
        [*lines, *parts_line, *_plan_lines(plan)],
        notes,
    )
