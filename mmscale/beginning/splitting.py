"""A validation set, split off where a folder has none."""

import random
import re
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Any

SHARE, MOST, SEED = 0.2, 5000, 0
COPY = re.compile(r'\.rf\.[0-9a-f]{16,}')  # what Roboflow writes into the names of augmented copies


def choose(names: Sequence[str], labels: Sequence[Sequence[Hashable]]) -> set[int]:
    """Choose the pictures to validate on: a fifth, one to 5000, and always the same ones.

    Copies that Roboflow made of one picture stay together. Of every class it is about a fifth too,
    and something is left to train on.

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
    total = Counter(label for group in order for label in _labels_of(groups[group], labels))
    wanted = min(max(round(len(names) * SHARE), 1), MOST)
    chosen: set[int] = set()
    taken: Counter = Counter()
    for share in (SHARE, 1):  # of each class a fifth; then as it comes
        for group in order:
            inside = _labels_of(groups[group], labels)
            most = {i: min(max(round(total[i] * share), 1), total[i] - 1) for i in inside}
            new = {*groups[group]} - chosen
            fits = all(taken[i] < most[i] for i in inside)
            if new and fits and len(chosen) < wanted and len(chosen) + len(new) < len(names):
                chosen |= new
                taken.update(inside)
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
