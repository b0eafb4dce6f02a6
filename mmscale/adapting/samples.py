"""Made-up batches: pictures of noise with objects in them, for a loss and a prediction."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.structures import InstanceData, PixelData

from mmscale.utils.environment import require

OBJECTS = 4  # in a picture
PROPOSALS = 20
SMALLEST = 0.2  # of the picture's sides
SEMANTIC = 2  # classes of its pixels


def detection_batch(
    seed: int,
    shapes: Sequence[tuple[int, int]],
    classes: int,
    *,
    masks: bool,
    semantic: bool,
    proposals: bool = False,
) -> dict[str, list[Any]]:
    """What a detector's data preprocessor takes.

    Args:
        seed (int): The same seed makes the same batch.
        shapes (Sequence[tuple[int]]): Height and width of every picture, in pixels.
        classes (int): Labels are below.
        masks (bool): Objects have masks.
        semantic (bool): Pixels have classes.
        proposals (bool): There are proposals, for detectors without a part that makes them; others
            would leave theirs out.
    """
    random = np.random.RandomState(seed)
    batch = dict(
        inputs=[_picture(random, shape) for shape in shapes],
        data_samples=[
            _sample(random, number, shape, classes, masks, semantic)
            for number, shape in enumerate(shapes)
        ],
    )
    if proposals:
        for shape, sample in zip(shapes, batch['data_samples']):
            found = torch.from_numpy(_boxes(random, shape, PROPOSALS)).float()
            scores = torch.linspace(1, 0, PROPOSALS)
            sample.proposals = InstanceData(bboxes=found, scores=scores)
    return batch


def video_batch(
    seed: int, shape: tuple[int, int], classes: int, frames: int
) -> dict[str, list[Any]]:
    """The same for models of videos: one clip with the same objects, with masks, in every frame."""
    random = np.random.RandomState(seed)
    samples = [_sample(random, 0, shape, classes, True, False) for _ in range(frames)]
    for number, sample in enumerate(samples):
        sample.set_metainfo(dict(frame_id=number, ori_video_length=frames, video_length=frames))
        sample.gt_instances.instances_ids = torch.arange(OBJECTS)
    clip = require('mmdet.structures').TrackDataSample()
    clip.video_data_samples = samples
    clip.set_metainfo(dict(key_frames_inds=[0], ref_frames_inds=list(range(1, frames))))
    pictures = torch.stack([_picture(random, shape) for _ in range(frames)])
    return dict(inputs=[pictures], data_samples=[clip])


def classification_batch(
    seed: int, shape: tuple[int, int], sample: type, count: int = 2
) -> dict[str, list[Any]]:
    """The same for classifiers, whose data sample has a class of its own."""
    random = np.random.RandomState(seed)
    samples = []
    for number in range(count):
        samples.append(sample())
        samples[-1].set_gt_label(number % 2)
        samples[-1].set_metainfo(dict(img_shape=shape, ori_shape=shape))
    return dict(inputs=[_picture(random, shape) for _ in range(count)], data_samples=samples)


def segmentation_batch(
    seed: int, shape: tuple[int, int], classes: int, count: int = 2
) -> dict[str, list[Any]]:
    """The same for segmentors: every pixel has a class."""
    random = np.random.RandomState(seed)
    samples = []
    for _ in range(count):
        samples.append(require('mmseg.structures').SegDataSample())
        labels = torch.from_numpy(random.randint(0, classes, (1, *shape)))
        samples[-1].gt_sem_seg = PixelData(data=labels)
        samples[-1].set_metainfo(dict(img_shape=shape, ori_shape=shape, img_path=''))
    return dict(inputs=[_picture(random, shape) for _ in range(count)], data_samples=samples)


def _picture(random, shape):
    return torch.from_numpy(random.randint(0, 256, (3, *shape), np.uint8))


def _boxes(random, shape, count):
    """Boxes inside the picture, none of them thin: (count, 4) as x1, y1, x2, y2."""
    sides = SMALLEST + random.rand(count, 2) * (0.9 - SMALLEST)
    corners = random.rand(count, 2) * (1 - sides)
    relative = np.concatenate([corners, corners + sides], 1)
    height, width = shape
    return relative * [width, height, width, height]


def _sample(random, number, shape, classes, masks, semantic):
    sample = require('mmdet.structures').DetDataSample()
    sample.set_metainfo(
        dict(
            img_id=number,
            img_path='',
            img_shape=shape,
            ori_shape=shape,
            scale_factor=(1.0, 1.0),
            flip=False,
            flip_direction=None,
            border=[0, shape[0], 0, shape[1]],  # of CenterNet's crop
            text=None,
        )
    )
    boxes = _boxes(random, shape, OBJECTS)
    truth = InstanceData(
        bboxes=torch.from_numpy(boxes).float(),
        labels=torch.from_numpy(random.randint(0, classes, OBJECTS)),
    )
    if masks:
        truth.masks = _masks(boxes, shape)
    sample.gt_instances = truth
    sample.ignored_instances = InstanceData(bboxes=torch.zeros(0, 4))
    if semantic:
        pixels = torch.from_numpy(random.randint(0, SEMANTIC, (1, *shape), np.uint8))
        sample.gt_sem_seg = PixelData(sem_seg=pixels)
    return sample


def _masks(boxes, shape):
    """Ellipses that fill the boxes."""
    height, width = shape
    y, x = np.mgrid[:height, :width] + 0.5
    masks = []
    for x1, y1, x2, y2 in boxes:
        across = (x - (x1 + x2) / 2) / ((x2 - x1) / 2)
        down = (y - (y1 + y2) / 2) / ((y2 - y1) / 2)
        masks.append(across**2 + down**2 <= 1)
    structures = require('mmdet.structures.mask')
    return structures.BitmapMasks(np.stack(masks).astype(np.uint8), height, width)
