"""Exported files: what is in them and what they compute."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from mmscale.errors import UserError, first_line
from mmscale.exported.description import read_description
from mmscale.exported.engines import engine_of


class ExportedFile:
    """An exported file, loaded by the engine that its suffix names.

    Args:
        path (str | Path): A file that :func:`mmscale.export.export` has written: NAME.onnx, or
            NAME.xml with NAME.bin beside it.
        threads (int, optional): Of the engine. Default: OMP_NUM_THREADS, or as many as it likes.

    Attributes:
        meta (dict): What the file is and wants (docs/export.md).
        inputs (list[str]): Names of the inputs.
        outputs (list[str]): Names of the outputs.

    Raises:
        UserError: If it cannot be read, or was written by something else.
    """

    def __init__(self, path: str | Path, threads: int | None = None) -> None:
        path = Path(path)
        if not os.path.isfile(path):
            raise UserError(f'exported file {str(path)!r} is missing')
        threads = threads or int(os.environ.get('OMP_NUM_THREADS', 0))
        text, self._compute, self.inputs, self.outputs = engine_of(path).open(path, threads)
        self.path = path
        self.meta: dict[str, Any] = read_description(text, str(path))

    def run(self, *arrays: np.ndarray) -> dict[str, np.ndarray]:
        """Compute.

        Args:
            *arrays (np.ndarray): One for each of `inputs`.

        Returns:
            dict[str, np.ndarray]: Every output by its name.

        Raises:
            UserError: If the engine cannot compute it.
        """
        try:
            return dict(zip(self.outputs, self._compute(arrays)))
        except Exception as error:  # the engines' own, without a common base
            shapes = ', '.join(str(array.shape) for array in arrays)
            raise UserError(
                f'{self.path} cannot be computed for {shapes}: {first_line(error)}'
            ) from error


def pad_to(array: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """An image (3, h, w) in the upper left corner of zeros (3, *size)."""
    frame = np.zeros((array.shape[0], *size), array.dtype)
    frame[:, : array.shape[1], : array.shape[2]] = array
    return frame
