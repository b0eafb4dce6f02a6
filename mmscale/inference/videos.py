"""Videos: frames out of a file, and frames into one."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from mmscale.errors import UserError
from mmscale.utils.files import written_aside

VIDEOS = ('.avi', '.m4v', '.mkv', '.mov', '.mp4', '.mpeg', '.mpg', '.webm', '.wmv')
RATE = 25.0  # frames a second, of a file that does not say


def is_video(path: str | os.PathLike) -> bool:
    """Whether a path is that of a video, by its suffix."""
    return Path(path).suffix.lower() in VIDEOS


@contextlib.contextmanager
def _opened(path):
    if not os.path.isfile(path):
        raise UserError(f'video {path!r} is missing')
    capture = cv2.VideoCapture(path)
    try:
        if not capture.isOpened():
            raise UserError(f'video {path!r} cannot be read: it is broken, or in a format unknown')
        yield capture
    finally:
        capture.release()


def describe_video(path: str) -> tuple[float, int]:
    """Frames a second, and how many there are as far as the file says (0: unknown).

    Raises:
        UserError: If it cannot be opened.
    """
    with _opened(path) as capture:
        rate = capture.get(cv2.CAP_PROP_FPS)
        count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    return (rate if 0 < rate < 1000 else RATE), max(int(count), 0)


def frames_of(path: str) -> Iterator[np.ndarray]:
    """The frames of a video, uint8 (height, width, 3) BGR.

    Raises:
        UserError: If it cannot be opened, or has no frame.
    """
    with _opened(path) as capture:
        count = 0
        while True:
            found, frame = capture.read()
            if not found:
                break
            count += 1
            yield frame
    if not count:
        raise UserError(f'video {path!r} has no frame that can be read')


@contextlib.contextmanager
def video_writer(out: str | Path, rate: float) -> Iterator[Callable[[np.ndarray], None]]:
    """Write an MP4 whole or not at all; what it yields takes its frames, BGR, all of one size.

    Raises:
        UserError: If it cannot be written.
    """
    writer = None
    with written_aside(out) as temporary:

        def add(frame: np.ndarray) -> None:
            nonlocal writer
            if writer is None:
                size = frame.shape[1], frame.shape[0]
                writer = cv2.VideoWriter(
                    str(temporary), cv2.VideoWriter.fourcc(*'mp4v'), rate, size
                )
                if not writer.isOpened():
                    raise UserError(f'{str(out)!r} cannot be written: OpenCV has no MP4 encoder')
            writer.write(np.ascontiguousarray(frame))

        try:
            yield add
        finally:
            if writer is not None:
                writer.release()
