"""Photographs of CIFAR-10 pasted as ellipses on photographs of COCO, as a data set of detection.

    python docs/benchmarks/pasted_photos.py CIFAR COCO OUT

Pictures of 320 x 240 px with four to fourteen objects of three classes, like blood cells under a
microscope: small, many, overlapping. The pixels are real, the places are drawn. CIFAR holds
`train/CLASS/*.jpg` and `test/CLASS/*.jpg`, COCO `train2017` and `val2017`. OUT gets pictures with
COCO annotations, and class folders of the same photographs to pretrain on.
"""

import json
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np

CLASSES = ('automobile', 'bird', 'frog')
WIDTH, HEIGHT = 320, 240
OBJECTS, SIDES = (4, 14), (20, 80)
SPLITS = {'train': ('train', 'train2017', 800), 'val': ('test', 'val2017', 200)}
MOST_COVERED = 0.2  # of an object's box, by any other
CROPS = {'train': 2000, 'val': 200}  # of each class


def background(photos: list[Path], rng: np.random.Generator) -> np.ndarray:
    """A random part of a photograph, (240, 320, 3)."""
    picture = cv2.imread(str(rng.choice(photos)))
    scale = max(WIDTH / picture.shape[1], HEIGHT / picture.shape[0]) * rng.uniform(1, 1.6)
    picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    top = rng.integers(picture.shape[0] - HEIGHT + 1)
    left = rng.integers(picture.shape[1] - WIDTH + 1)
    return picture[top : top + HEIGHT, left : left + WIDTH].copy()


def paste(picture: np.ndarray, photo: np.ndarray, box: list[int]) -> None:
    """Put a photograph into a box [x, y, w, h] of the picture, as an ellipse with a soft rim."""
    x, y, width, height = box
    mask = np.zeros((height, width), np.float32)
    centre, axes = (width // 2, height // 2), (width // 2 - 1, height // 2 - 1)
    cv2.ellipse(mask, centre, axes, 0, 0, 360, 1, -1, cv2.LINE_AA)
    mask = cv2.GaussianBlur(mask, (3, 3), 0)[..., None]
    part = picture[y : y + height, x : x + width]
    part[:] = mask * cv2.resize(photo, (width, height)) + (1 - mask) * part


def place(boxes: list[list[int]], rng: np.random.Generator) -> list[int] | None:
    """A box that covers little of the others, or none after some tries."""
    for _ in range(20):
        side = np.exp(rng.uniform(*np.log(SIDES)))
        width, height = (int(side * rng.uniform(0.8, 1.2)) for _ in range(2))
        x, y = int(rng.integers(WIDTH - width)), int(rng.integers(HEIGHT - height))
        for left, top, wide, high in boxes:
            across = min(x + width, left + wide) - max(x, left)
            down = min(y + height, top + high) - max(y, top)
            least = min(width * height, wide * high)
            if across > 0 and down > 0 and across * down > MOST_COVERED * least:
                break
        else:
            return [x, y, width, height]
    return None


def main(cifar: str, coco: str, out: str) -> None:
    """See the module."""
    root = Path(out)
    (root / 'annotations').mkdir(parents=True)
    for seed, (split, (part, photos, count)) in enumerate(SPLITS.items()):
        rng = np.random.default_rng(seed)
        backgrounds = sorted((Path(coco) / photos).glob('*.jpg'))
        objects = [sorted((Path(cifar) / part / name).glob('*.jpg')) for name in CLASSES]
        (root / split).mkdir()
        images: list[dict] = []
        annotations: list[dict] = []
        for number in range(count):
            picture, boxes = background(backgrounds, rng), []
            for _ in range(rng.integers(OBJECTS[0], OBJECTS[1] + 1)):
                box = place(boxes, rng)
                if box is None:
                    continue
                label = int(rng.integers(len(CLASSES)))
                paste(picture, cv2.imread(str(rng.choice(objects[label]))), box)
                boxes.append(box)
                annotations.append(
                    dict(
                        id=len(annotations) + 1,
                        image_id=number,
                        category_id=label + 1,
                        bbox=box,
                        area=box[2] * box[3],
                        iscrowd=0,
                    )
                )
            name = f'{number:04}.jpg'
            cv2.imwrite(str(root / split / name), picture, [cv2.IMWRITE_JPEG_QUALITY, 95])
            images.append(dict(id=number, file_name=name, width=WIDTH, height=HEIGHT))
        content = dict(
            images=images,
            annotations=annotations,
            categories=[dict(id=label, name=name) for label, name in enumerate(CLASSES, 1)],
        )
        (root / 'annotations' / f'{split}.json').write_text(json.dumps(content))
        for name, files in zip(CLASSES, objects):
            folder = root / 'classes' / split / name
            folder.mkdir(parents=True)
            for file in files[: CROPS[split]]:
                shutil.copy(file, folder)


if __name__ == '__main__':
    main(*sys.argv[1:])
