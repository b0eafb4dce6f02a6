"""A validation set, split off where a folder has none."""

import random
import re
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Any

SHARE, MOST, SEED = 0.2, 5000, 0
COPY = re.compile(r'\.rf\.[0-9a-f]{16,}')  # what Roboflow writes into the names of augmented copies


def choose(names: Sequence[str], labels: Sequence[Sequence[Hashable]]) -> set[int]:
    """Choose the pictures to validate on: a fifth, at least one, at most 5000; always the same ones.

    Copies that Roboflow made of one picture stay together, and of every class something is left to
    train on.

    Args:
        names (list[str]): Of all pictures.
        labels (list[list]): The classes that are in each.

    Returns:
        set[int]: Indices.
    """
    groups: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        groups.setdefault(COPY.split(name)[0], []).append(index)
    order = sorted(groups)
    random.Random(SEED).shuffle(order)
    left = Counter(label for group in order for label in _labels_of(groups[group], labels))
    wanted = min(max(round(len(names) * SHARE), 1), MOST)
    chosen: set[int] = set()
    for group in order:
        inside = _labels_of(groups[group], labels)
        if len(chosen) >= wanted:
            break
        if len(chosen) + len(groups[group]) < len(names) and all(left[i] > 1 for i in inside):
            chosen.update(groups[group])
            left.subtract(inside)
    return chosen


def _labels_of(indices, labels):
    return {label for index in indices for label in labels[index]}


def split_content(content: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split content in COCO's format by its pictures: what to train and what to validate on."""
    labels: dict[Any, list[Any]] = {}
    for annotation in content['annotations']:
        labels.setdefault(annotation.get('image_id'), []).append(annotation.get('category_id'))
    images = content['images']
    chosen = choose(
        [image['file_name'] for image in images], [labels.get(i['id'], []) for i in images]
    )
    train = _of([image for i, image in enumerate(images) if i not in chosen], content)
    return train, _of([image for i, image in enumerate(images) if i in chosen], content)


def _of(images, content):
    ids = {image['id'] for image in images}
    kept = [a for a in content['annotations'] if a.get('image_id') in ids]
    return {**content, 'images': images, 'annotations': kept}
