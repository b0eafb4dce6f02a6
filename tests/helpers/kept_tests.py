"""Work dirs with a test that was kept, without a model: detections are drawn by chance.

A detector finds most objects, some twice, some under another name; it sees things where nothing is.
"""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from mmscale.engine.keeping import FOLDER, FORMAT

WIDTH, HEIGHT = 640, 480


def record(task, **more):
    """What ``test.json`` has for every task."""
    cost = {
        'params': 12_000_000,
        'macs': 30_000_000_000,
        'parts': {
            'backbone': {'params': 11_000_000, 'macs': 20_000_000_000},
            'neck': {'params': 1_000_000, 'macs': 10_000_000_000},
        },
        'shape': [800, 1200],
        'not_counted': [],
    }
    return {
        'format': FORMAT,
        'task': task,
        'config': 'some_config.py',
        'checkpoint': 'epoch_1.pth',
        'command': 'mmscale test some_config.py epoch_1.pth --report',
        'cost': cost,
        'versions': {'mmscale': '0.1.0', 'torch': '2.11.0'},
        'trained_on': [],
        'palette': None,
        'metrics': {'some/figure': 0.5},
        'when': '2026-01-01 00:00:00',
        **more,
    }


def keep(work_dir, **files):
    """Write the files of a kept test: JSON by the name without its suffix."""
    folder = Path(work_dir) / FOLDER
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / f'{name.replace("__", ".")}.json').write_text(json.dumps(content))
    return Path(work_dir)


def detections(images=40, classes=5, objects=4, noise=20, seed=0):
    """Annotations in COCO's format, and results.

    Args:
        images, classes (int): How many.
        objects (int): Mean number in a picture.
        noise (int): Detections on nothing, in a picture.
        seed (int): Of everything.
    """
    random = np.random.default_rng(seed)
    names = [f'class {k}' for k in range(classes)]
    pictures, truth, found = [], [], []

    def detect(image, label, box, low, high):
        score = float(random.beta(low, high))
        box = [round(float(value), 2) for value in box]
        row = dict(image_id=image, category_id=int(label), bbox=box, score=score)
        found.append(row)

    for image in range(1, images + 1):
        name = f'{image:06d}.jpg'
        pictures.append(dict(id=image, file_name=name, width=WIDTH, height=HEIGHT))
        for _ in range(random.integers(1, 2 * objects)):
            w, h = np.exp(random.uniform(np.log(10), np.log(300), 2))
            x, y = random.uniform(0, 1, 2) * (WIDTH - w, HEIGHT - h)
            label = int(classes * random.random() ** 2) + 1
            truth.append(
                dict(
                    id=len(truth) + 1,
                    image_id=image,
                    category_id=label,
                    bbox=[float(v) for v in (x, y, w, h)],
                    area=float(w * h),
                    iscrowd=int(random.random() < 0.03),
                )
            )
            for _ in range(random.choice([0, 1, 2], p=[0.15, 0.7, 0.15])):
                dx, dy, dw, dh = random.normal(0, 0.08, 4)
                box = (x + dx * w, y + dy * h, w * np.exp(dw), h * np.exp(dh))
                other = random.random() < 0.15
                detect(image, random.integers(1, classes + 1) if other else label, box, 4, 2)
        for _ in range(noise):
            size = np.exp(random.uniform(np.log(10), np.log(300), 2))
            detect(
                image, random.integers(1, classes + 1), (*random.uniform(0, 300, 2), *size), 1, 6
            )
    categories = [dict(id=k + 1, name=name) for k, name in enumerate(names)]
    return dict(images=pictures, annotations=truth, categories=categories), found


def detector(work_dir, content=None, paths=None, **more):
    """Keep the test of a detector.

    Args:
        work_dir (Path): To make.
        content (tuple, optional): Annotations and results. Default: :func:`detections`.
        paths (dict, optional): Of the pictures by id. Default: two pictures are drawn, and stand
            for all of them.
        **more: For the record.
    """
    truth, found = content or detections()
    if paths is None:
        pictures = Path(work_dir) / 'pictures'
        pictures.mkdir(parents=True)
        random = np.random.default_rng(0)
        for name in ('a', 'b'):
            small = Image.fromarray(random.integers(0, 255, (6, 8, 3), np.uint8))
            small.resize((WIDTH, HEIGHT)).save(pictures / f'{name}.jpg')
        paths = {
            str(picture['id']): str(pictures / f'{"ab"[place % 2]}.jpg')
            for place, picture in enumerate(truth['images'])
        }
    written = record(
        'detector',
        annotations='predictions.gt.json',
        kinds=['bbox'],
        classes=[category['name'] for category in truth['categories']],
        **more,
    )
    return keep(
        work_dir,
        predictions__gt=truth,
        predictions__bbox=found,
        pictures=paths,
        test=written,
    )
