"""Image size, batch and schedule that fit the pictures, their number and the machine."""

import math
import os
from typing import NamedTuple

import numpy as np
import torch

SIZE = (1333, 800)  # of COCO's detectors: longer and shorter side in px, and the most here
STEP = 32  # px that sides are rounded to: the last map's stride
SMALLEST_SIDE = 160
FINEST = 16  # px that the side of a small object (the tenth percentile) should have
ENLARGED = 2  # times that pictures are enlarged for it, at most
# Bytes of a training step for each pixel: of Faster R-CNN with ReXNet 1.0, what the forward pass
# holds is 2.1 kB (docs/notes/speed.md), and the backward pass and its workspace half as much again.
BYTES = 3_200
FIXED = 1.5 * 2**30  # weights, gradients, momentum, the framework
SHARE = 0.7  # of the memory that is free
BATCHES = (16, 8, 4, 2)
WARM_UP = 500  # steps, of COCO's detectors; at most a tenth of the run


class Length(NamedTuple):
    """How long a run should be.

    Attributes:
        seen (int): Pictures that it should see, where the number of epochs allows it.
        least, most (int): Epochs.
        steps (int): Of an epoch, at least: with fewer, a batch is too much of the set.
    """

    seen: int
    least: int
    most: int
    steps: int


DETECTOR = Length(20_000, 12, 100, 8)
CLASSIFIER = Length(100_000, 20, 100, 4)


class Plan(NamedTuple):
    """What a run is to be.

    Attributes:
        image_size (tuple[int] | int): The longer and the shorter side in pixels, at most; a
            classifier's side.
        batch_size (int): Pictures a step.
        max_epochs (int): Length of the run.
        warm_up (float): In epochs.
        steps (int): Of an epoch.
        memory (str): What the batch was chosen by, for people.
    """

    image_size: tuple[int, int] | int
    batch_size: int
    max_epochs: int
    warm_up: float
    steps: int
    memory: str


def detector_size(pictures: np.ndarray, boxes: np.ndarray) -> tuple[int, int]:
    """The size that pictures are scaled to: their own, larger if the objects are small.

    Args:
        pictures (numpy.ndarray): (N, 2), widths and heights.
        boxes (numpy.ndarray): (M, 4), left, top, width and height.
    """
    short, long = np.median(pictures.min(1)), pictures.max(1) / pictures.min(1)
    sides = np.sqrt(boxes[:, 2:].prod(1))
    small = np.quantile(sides, 0.1) if len(sides) else FINEST
    factor = float(np.clip(FINEST / max(small, 1), 1, ENLARGED))
    side = int(np.clip(_rounded(short * factor), SMALLEST_SIDE, SIZE[1]))
    # Wide pictures are cut short by the longer side, as COCO's are.
    other = int(np.clip(math.ceil(side * np.quantile(long, 0.95) / STEP) * STEP, side, SIZE[0]))
    return other, side


def classifier_size(pictures: np.ndarray) -> int:
    """The side of a classifier's square crop: 224, less for small pictures."""
    return int(np.clip(_rounded(np.median(pictures.min(1))), 64, 224))


def _rounded(value):
    return round(value / STEP) * STEP


def plan_detector(image_size: tuple[int, int], images: int) -> Plan:
    """Batch and schedule for a detector.

    Args:
        image_size (tuple[int]): The longer and the shorter side in pixels, at most.
        images (int): To train on.
    """
    free, where = free_memory()
    fitting = (free * SHARE - FIXED) / (BYTES * image_size[0] * image_size[1])
    return _plan(image_size, images, fitting, where, BATCHES, DETECTOR)


def plan_classifier(image_size: int, images: int) -> Plan:
    """Batch and schedule for a classifier. The side is that of the square crop in pixels."""
    free, where = free_memory()
    fitting = (free * SHARE - FIXED) / (BYTES * image_size**2)
    return _plan(image_size, images, fitting, where, (64, 32, *BATCHES), CLASSIFIER)


def _plan(image_size, images, fitting, where, batches, length):
    wanted = [b for b in batches if b <= fitting and b * length.steps <= images]
    batch = wanted[0] if wanted else batches[-1]
    batch = min(batch, images)
    if fitting < batch:
        batch = 1
    steps = math.ceil(images / batch)
    epochs = int(np.clip(math.ceil(length.seen / images), length.least, length.most))
    share = min(WARM_UP, epochs * steps / 10) / steps
    warm_up: float = round(share) if share >= 1 else float(f'{share:.2g}')
    return Plan(image_size, batch, epochs, warm_up, steps, where)


def free_memory() -> tuple[float, str]:
    """Bytes that are free where torch would train, and how to say so."""
    free: float
    if torch.cuda.is_available():
        free, name = torch.cuda.mem_get_info()[0], torch.cuda.get_device_name()
    else:
        free, name = _free_main_memory(), 'the CPU'
    return free, f'{free / 2**30:.0f} GiB free on {name}'


def _free_main_memory() -> float:
    """Of the machine: Linux says what programs could have, others only what nobody has."""
    try:
        with open('/proc/meminfo', encoding='ascii') as file:
            found = dict(line.split(':', 1) for line in file)
        return int(found['MemAvailable'].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        pass
    try:
        return os.sysconf('SC_AVPHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
    except (AttributeError, ValueError, OSError):
        return 4 * 2**30
