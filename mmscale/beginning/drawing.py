"""A page that shows what was understood: pictures with their labels, and what is in the set."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mmscale.beginning.anchors import STRIDES, Anchors
from mmscale.beginning.parts import ClassSet, DetectionSet, Part
from mmscale.errors import printable
from mmscale.utils.figures import write_figure
from mmscale.utils.words import counted

SHOWN, COLUMNS = 12, 4
MOST_CLASSES = 20  # that get a bar of their own
SIDE = 480  # px that a picture is drawn with, at most
COLOURS = ('#e6550d', '#1f77b4', '#2ca02c', '#d62728', '#9467bd', '#17becf', '#bcbd22', '#e377c2')
GREY = '#555555'
SPLIT_COLOURS = {'train': '#1f77b4', 'val': '#ff7f0e', 'test': '#2ca02c'}


def draw_detection(found: DetectionSet, sizes: np.ndarray, anchors: Anchors, out: Path) -> Path:
    """Draw a page of a set of objects.

    Args:
        found (DetectionSet): It.
        sizes (numpy.ndarray): (N, 2), widths and heights of the boxes to train on, as the network
            gets them, in pixels.
        anchors (Anchors): Whose sides and ratios are marked.
        out (Path): The PNG.
    """
    figure, axes = _page(found, 4)
    train = found.parts['train']
    for axis, image in zip(axes[:-4], _chosen(train)):
        _draw_picture(axis, image, train, found)
    counts, edge, ratio, places = axes[-4:]
    names = {c['id']: str(c['name']) for c in train.content['categories']}
    by_split = {
        split: Counter(names.get(a['category_id'], '?') for a in part.content['annotations'])
        for split, part in found.parts.items()
    }
    _draw_counts(counts, found.classes, by_split, 'objects')
    sides = np.sqrt(sizes.prod(1))
    marks = [scale * stride for scale in anchors.scales for stride in STRIDES]
    _draw_spread(edge, sides, marks, 'side of the boxes (root of the area), px in the network')
    ratios = sizes[:, 1] / sizes[:, 0]
    _draw_spread(ratio, ratios, anchors.ratios, 'height over width of the boxes')
    per_picture = Counter(a['image_id'] for a in train.content['annotations'])
    numbers = [per_picture.get(image['id'], 0) for image in train.content['images']]
    bins = np.arange(max(numbers, default=0) + 2) - 0.5
    places.hist(numbers, bins if len(bins) < 40 else 40, color=SPLIT_COLOURS['train'])
    places.set_xlabel('objects in a picture to train on')
    places.set_ylabel('pictures')
    return write_figure(figure, out)


def draw_classes(found: ClassSet, sizes: np.ndarray, out: Path) -> Path:
    """Draw a page of a set of classes.

    Args:
        found (ClassSet): It.
        sizes (numpy.ndarray): (N, 2), widths and heights of pictures.
        out (Path): The PNG.
    """
    figure, axes = _page(found, 3)
    train = found.parts['train']
    by_label = {label: name for name, label in reversed(train)}
    rest = [item for item in train if by_label.get(item[1]) != item[0]]
    rest = rest[:: max(len(rest) // SHOWN, 1)]
    chosen = [*((name, label) for label, name in sorted(by_label.items())), *rest][:SHOWN]
    for axis, (name, label) in zip(axes[:-3], chosen):
        picture = _read(found.root / name)
        if picture is not None:
            axis.imshow(picture[0])
        axis.set_title(_short(found.classes[label]), fontsize=8)
    counts, edge, ratio = axes[-3:]
    by_split = {
        split: Counter(found.classes[label] for _, label in part)
        for split, part in found.parts.items()
    }
    _draw_counts(counts, found.classes, by_split, 'pictures')
    _draw_spread(edge, np.sqrt(sizes.prod(1)), (), 'side of the pictures (root of the area), px')
    _draw_spread(ratio, sizes[:, 1] / sizes[:, 0], (), 'height over width of the pictures')
    return write_figure(figure, out)


def _page(found, charts) -> tuple[Any, list[Any]]:
    """A figure with places for pictures, and charts below."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = -(-min(SHOWN, len(_items(found))) // COLUMNS)
    figure = Figure(figsize=(16, 3.1 * rows + 8), dpi=110, layout='constrained')
    FigureCanvasAgg(figure)
    top, middle, bottom = figure.subfigures(3, 1, height_ratios=[3 * rows, 3.6, 3.6])
    pictures = list(top.subplots(rows, COLUMNS, squeeze=False).flat)
    for axis in pictures:
        axis.axis('off')
    below = [middle.subplots(), *bottom.subplots(1, charts - 1, squeeze=False).flat]
    parts = ', '.join(f'{split} {len(_items(found, split))}' for split in found.parts)
    classes = counted(len(found.classes), 'class', 'classes')
    title = f'{found.layout}: {classes}; pictures: {parts}'
    figure.suptitle(title.replace('$', r'\$'), fontsize=13)
    return figure, [*pictures, *below]


def _items(found, split='train'):
    part = found.parts[split]
    return part.content['images'] if isinstance(part, Part) else part


def _chosen(part: Part) -> list[dict[str, Any]]:
    """Pictures that show every class before any shows it twice; then those spread over the set."""
    inside: dict[Any, set[Any]] = {}
    for annotation in part.content['annotations']:
        inside.setdefault(annotation['image_id'], set()).add(annotation['category_id'])
    images = part.content['images']
    spread = [images[i] for i in np.linspace(0, len(images) - 1, min(len(images), 400)).astype(int)]
    chosen: list[dict[str, Any]] = []
    seen: set[Any] = set()
    left = list(spread)
    while left and len(chosen) < min(SHOWN, len(spread)):
        best = max(left, key=lambda image: len(inside.get(image['id'], set()) - seen))
        if not inside.get(best['id'], set()) - seen and seen:
            seen = set()  # every class was shown: once more
            if not inside.get(best['id']):
                chosen.append(best)
                left.remove(best)
            continue
        seen |= inside.get(best['id'], set())
        chosen.append(best)
        left.remove(best)
    return chosen


def _read(path: Path) -> tuple[np.ndarray, float] | None:
    """A picture in RGB, made smaller, and the factor; None if it cannot be read."""
    content = np.fromfile(path, np.uint8) if path.is_file() else np.zeros(0, np.uint8)
    picture = cv2.imdecode(content, cv2.IMREAD_COLOR) if len(content) else None
    if picture is None:
        return None
    factor = min(SIDE / max(picture.shape[:2]), 1)
    height, width = (max(round(side * factor), 1) for side in picture.shape[:2])
    small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    return small[..., ::-1], factor


def _draw_picture(axis, image, part, found):
    from matplotlib.patches import Polygon, Rectangle

    read = _read(part.folder / image['file_name'])
    axis.set_title(_short(Path(image['file_name']).name), fontsize=8)
    if read is None:
        return
    picture, factor = read
    axis.imshow(picture)
    names = {category['id']: str(category['name']) for category in part.content['categories']}
    inside = [a for a in part.content['annotations'] if a['image_id'] == image['id']]
    for annotation in inside:
        name = names.get(annotation['category_id'], '?')
        label = found.classes.index(name) if name in found.classes else 0
        colour = COLOURS[label % len(COLOURS)]
        left, top, width, height = (value * factor for value in annotation['bbox'])
        style = ':' if annotation.get('iscrowd') else '-'
        axis.add_patch(
            Rectangle((left, top), width, height, fill=False, color=colour, lw=1.2, ls=style)
        )
        outlines = annotation.get('segmentation') if found.masks else None
        for outline in outlines if isinstance(outlines, list) else ():
            points = np.array(outline).reshape(-1, 2) * factor
            axis.add_patch(Polygon(points, fill=True, color=colour, alpha=0.35, lw=0))
        if len(inside) <= SHOWN or width * height > 0.02 * picture.shape[0] * picture.shape[1]:
            text = axis.text(
                left, max(top, 8), f' {_short(name, 20)} ', fontsize=6, color='white', va='bottom',
                bbox=dict(facecolor=colour, edgecolor='none', pad=0.5), clip_on=True,
            )  # fmt: skip
            text.set_in_layout(False)  # what is clipped would take the pictures' room


def _draw_counts(axis, classes, by_split, what):
    total: Counter = sum(by_split.values(), Counter())
    order = sorted(classes, key=lambda name: -total[name])[:MOST_CLASSES]
    rest = [name for name in classes if name not in set(order)]
    bottom = np.zeros(len(order) + bool(rest))
    labels = [_short(name, 18) for name in order] + ([f'{len(rest)} others'] if rest else [])
    for split, counts in by_split.items():
        values = [counts[name] for name in order]
        values += [sum(counts[name] for name in rest)] if rest else []
        axis.bar(range(len(values)), values, bottom=bottom, color=SPLIT_COLOURS[split], label=split)
        bottom += values
    for place, value in enumerate(bottom):
        axis.text(place, value, f'{int(value)}', ha='center', va='bottom', fontsize=8)
    turn = dict(rotation=30, ha='right') if len(labels) > 8 else {}
    axis.set_xticks(range(len(labels)), labels, fontsize=9, **turn)
    axis.set_xlim(-0.6, max(len(labels), 6) - 0.4)
    axis.set_ylim(0, max(bottom.max(), 1) * 1.15)
    axis.set_ylabel(what)
    axis.legend(loc='upper right')


def _draw_spread(axis, values: np.ndarray, marks: Sequence[float], what: str):
    """A histogram over a logarithmic axis, with some values marked."""
    axis.set_xlabel(what)
    axis.set_ylabel('how many')
    values = values[np.isfinite(values) & (values > 0)]
    if not len(values):
        return
    low, high = values.min(), values.max()
    if low == high:
        low, high = low / 2, high * 2
    axis.hist(values, np.geomspace(low, high, 30), color=SPLIT_COLOURS['train'])
    axis.set_xscale('log')
    ticks = [digit * 10**power for power in range(-2, 4) for digit in (1, 2, 5)]
    ticks = [tick for tick in ticks if low / 1.05 <= tick <= high * 1.05]
    axis.set_xticks(ticks, [f'{t:g}' for t in ticks])
    axis.minorticks_off()
    for number, mark in enumerate(sorted(marks)):
        if low <= mark <= high:
            named = 'anchors' if number == 0 else '_'
            axis.axvline(mark, color=GREY, lw=1, ls='--', label=named)
    if any(low <= mark <= high for mark in marks):
        axis.lines[0].set_label('anchors')
        axis.legend(loc='upper right')


def _short(name: str, most: int = 40) -> str:
    name = printable(name)
    name = name if len(name) <= most else f'{name[: most - 3]}...'
    return name.replace('$', r'\$')
