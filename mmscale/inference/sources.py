"""What can be given to predict on, as pictures one after the other."""

import glob
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageOps

from mmscale.datasets.pictures import pictures_in
from mmscale.errors import UserError
from mmscale.inference.videos import frames_of, is_video

TAKEN = (
    'a path, a folder, a pattern such as photos/*.jpg, an array (height, width, 3) of uint8, a PIL '
    'image, the bytes of a picture file, a video file, or a list or iterator of those'
)


class Picture(NamedTuple):
    """A picture to predict on.

    Attributes:
        pixels (np.ndarray): uint8 (height, width, 3), BGR.
        path (str | None): Its file, or the video that it is a frame of.
        frame (int | None): Its number in the video, from 0.
    """

    pixels: np.ndarray
    path: str | None = None
    frame: int | None = None


def is_endless(given: Any) -> bool:
    """Whether the length of what is given is not known: a video, an iterator."""
    if isinstance(given, (str, os.PathLike)):
        return is_video(given)
    return isinstance(given, Iterator)


def pictures_of(given: Any, rgb: bool = False) -> Iterator[Picture]:
    """The pictures in whatever is given, each read when it is its turn.

    Args:
        given (Any): As `TAKEN` says. What is a path is looked for at once.
        rgb (bool): Arrays are RGB, not BGR.

    Raises:
        UserError: If it is something else, is missing, or cannot be read.
    """
    if isinstance(given, (str, os.PathLike)) and is_video(given):
        path = os.fspath(given)
        return (Picture(pixels, path, index) for index, pixels in enumerate(frames_of(path)))
    if isinstance(given, Iterator):
        return (picture for item in given for picture in _one_by_one(item, rgb))
    return _read(_listed(given), rgb)


def read_picture(path: str) -> np.ndarray:
    """The pixels of a file, BGR, turned as its EXIF data say; as mmcv's loader gives them.

    Raises:
        UserError: If it cannot be read.
    """
    try:
        return _decoded(np.fromfile(path, np.uint8), f'picture {path!r}')
    except OSError as error:
        raise UserError(f'picture {path!r} cannot be read: {error.strerror}') from error


def _one_by_one(item, rgb):
    if isinstance(item, (str, os.PathLike)) and is_video(item):
        return pictures_of(item)
    return _read(_listed(item), rgb)


def _read(items, rgb):
    return (
        Picture(read_picture(item), item) if isinstance(item, str) else Picture(_pixels(item, rgb))
        for item in items
    )


def _listed(given: Any) -> list[Any]:
    """What is given, one entry for each picture; those that are files as texts."""
    if isinstance(given, (str, os.PathLike)):
        return _paths(os.fspath(given))
    if isinstance(given, (np.ndarray, Image.Image, bytes, bytearray, memoryview)):
        return [given]
    # Tensors and tables can be iterated over too, but hold no pictures.
    arrays = isinstance(given, dict) or hasattr(given, '__array__')
    if isinstance(given, Iterable) and not arrays:
        items = list(given)
        videos = [item for item in items if isinstance(item, (str, os.PathLike)) and is_video(item)]
        if videos:
            raise UserError(f'{os.fspath(videos[0])!r} is a video: give it alone, or an iterator')
        return [single for item in items for single in _listed(item)]
    raise UserError(f'pictures of type {type(given).__name__}; what is taken: {TAKEN}')


def _paths(given: str) -> list[str]:
    if re.match(r'[a-zA-Z][\w+.-]+://', given):
        raise UserError(f'{given!r} is an address: fetch it, and give the file or its bytes')
    if os.path.isdir(given):
        return [str(path) for path in pictures_in(Path(given))]
    if os.path.isfile(given):
        return [given]
    found = sorted(filter(os.path.isfile, glob.glob(given, recursive=True)))
    if not found:
        missing = 'matches no file' if glob.has_magic(given) else 'is missing'
        raise UserError(f'picture {given!r} {missing}')
    return found


def _pixels(given: Any, rgb: bool) -> np.ndarray:
    if isinstance(given, Image.Image):
        turned = np.asarray(ImageOps.exif_transpose(given).convert('RGB'))
        return np.ascontiguousarray(turned[..., ::-1])
    if not isinstance(given, np.ndarray):
        return _decoded(np.frombuffer(given, np.uint8), f'a picture of {len(given)} bytes')
    if given.dtype != np.uint8 or given.ndim not in (2, 3) or not given.size:
        raise UserError(
            f'an array of {given.dtype} and shape {given.shape} must be uint8 (0 to 255) of shape '
            '(height, width, 3); several pictures go in a list'
        )
    channels = given.shape[2] if given.ndim == 3 else 1
    if channels == 1:
        return cv2.cvtColor(np.ascontiguousarray(given), cv2.COLOR_GRAY2BGR)
    if channels not in (3, 4):
        raise UserError(
            f'an array of shape {given.shape} must have 3 channels in the last place (or 1, or 4 '
            'of which the last is opacity)'
        )
    colours = given[..., 2::-1] if rgb else given[..., :3]
    return np.ascontiguousarray(colours)


def _decoded(content, named):
    """As mmcv's loader decodes; of a cut file OpenCV gives nothing, or ends with an error."""
    try:
        pixels = cv2.imdecode(content, cv2.IMREAD_COLOR) if len(content) else None
    except cv2.error:
        pixels = None
    if pixels is None:
        raise UserError(f'{named} cannot be read: it is broken, or no picture')
    return pixels
