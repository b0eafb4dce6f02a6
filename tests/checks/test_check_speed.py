"""A set of COCO's size: 118,000 pictures and 860,000 objects within a minute and 4 GB."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

IMAGES, OBJECTS, LINKS = 118_000, 860_000, 20_000
MINUTE, MEMORY = 60, 4e9
PROBE = """
import resource, sys, time
from mmscale.cli.check import main
start = time.perf_counter()
main(sys.argv[1:])
print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def make(root, images=IMAGES, objects=OBJECTS):
    """An annotation file of many objects with polygons, and pictures that share a few files."""
    rng = np.random.default_rng(0)
    folder = root / 'train2017'
    folder.mkdir(parents=True)
    for i in range(images):
        path = folder / f'{i:012}.jpg'
        if i % LINKS == 0:  # a file system allows so many names of one file
            source = path
            pixels = rng.integers(0, 255, (48, 64, 3), np.uint8)
            Image.fromarray(pixels).resize((640, 480)).save(path, quality=30)
        else:
            os.link(source, path)
    corners = rng.uniform(0, 300, (objects, 2)).round(2)
    sizes = rng.uniform(5, 170, (objects, 2)).round(2)
    polygons = (rng.uniform(0, 1, (1000, 40))).round(4)
    annotations = []
    for i in range(objects):
        (x, y), (w, h) = corners[i].tolist(), sizes[i].tolist()
        shape = polygons[i % 1000].reshape(-1, 2) * (w, h) + (x, y)
        annotations.append(
            dict(
                id=i + 1,
                image_id=int(rng.integers(images)),
                category_id=i % 80 + 1,
                bbox=[x, y, w, h],
                area=round(w * h, 2),
                iscrowd=0,
                segmentation=[shape.ravel().round(2).tolist()],
            )
        )
    content = dict(
        images=[dict(id=i, file_name=f'{i:012}.jpg', width=640, height=480) for i in range(images)],
        annotations=annotations,
        categories=[dict(id=i + 1, name=f'class {i}') for i in range(80)],
    )
    path = root / 'annotations' / 'instances_train2017.json'
    path.parent.mkdir()
    path.write_text(json.dumps(content))
    return path


def measure(path):
    """Seconds and bytes that the check of a file takes in a process of its own."""
    started = time.perf_counter()
    found = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', PROBE, str(path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    seconds, memory = map(float, found.stdout.split()[-2:])
    print(f'{seconds:.1f} s ({time.perf_counter() - started:.1f} s with imports), {memory:.2e} B')
    return seconds, memory


@pytest.mark.slow
def test_a_large_set_takes_a_minute(tmp_path):
    seconds, memory = measure(make(tmp_path / 'large'))
    assert seconds < MINUTE
    assert memory < MEMORY
