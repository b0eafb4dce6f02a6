"""A small data set in COCO's format, clean until a test changes it."""

import json

import numpy as np
from PIL import Image

CLASSES = ('a', 'b', 'c')
WIDTH, HEIGHT = 128, 96


def content(images=4):
    """Clean annotations: two boxes a picture, well inside it."""
    boxes = [(8, 6, 40, 30), (60, 40, 50, 44)]
    annotations = [
        dict(
            id=2 * i + j + 1,
            image_id=i + 1,
            category_id=(2 * i + j) % 3 + 1,
            bbox=[x + i, y, w, h],
            area=w * h,
            iscrowd=0,
            segmentation=[[x, y, x + w, y, x + w, y + h, x, y + h]],
        )
        for i in range(images)
        for j, (x, y, w, h) in enumerate(boxes)
    ]
    pictures = [
        dict(id=i + 1, file_name=f'{i + 1}.png', width=WIDTH, height=HEIGHT) for i in range(images)
    ]
    categories = [dict(id=k + 1, name=name) for k, name in enumerate(CLASSES)]
    return dict(images=pictures, annotations=annotations, categories=categories)


def write(root, change=None, split='val'):
    """Write ``annotations/SPLIT.json`` and the pictures of ``SPLIT/``; returns the file."""
    data = content()
    folder = root / split
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for image in data['images']:
        pixels = rng.integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
        Image.fromarray(pixels).save(folder / image['file_name'])
    if change:
        new = change(data)
        data = data if new is None else new
    path = root / 'annotations' / f'{split}.json'
    path.parent.mkdir(exist_ok=True)
    path.write_text(data if isinstance(data, str) else json.dumps(data), encoding='utf-8')
    return path


def each(kind, change):
    """A change of every entry of a list of the file."""

    def apply(data):
        for entry in data[kind]:
            change(entry)

    return apply


def one(kind, **values):
    """A change of the first entry of a list of the file."""

    def apply(data):
        data[kind][0].update(values)

    return apply


def without(kind, key):
    """The first entry of a list without a key."""

    def apply(data):
        del data[kind][0][key]

    return apply
