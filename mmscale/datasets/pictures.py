"""Pictures on the disk, as the commands take them: files, and folders of such."""

import os
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from mmscale.errors import UserError

PICTURES = ('.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp')


def list_pictures(given: Iterable[str | Path]) -> list[str]:
    """The pictures among `given` and in the folders among it, each readable.

    Raises:
        UserError: If one is not, or there are none.
    """
    paths = []
    for path in map(Path, given):
        paths += pictures_in(path) if os.path.isdir(path) else [path]
    for path in paths:
        if not os.path.isfile(path):
            raise UserError(f'picture {str(path)!r} is missing')
        if not _decodes(path):  # the whole of it: a head alone says nothing
            raise UserError(f'picture {str(path)!r} cannot be read: it is broken, or no picture')
    return [str(path) for path in paths]


def pictures_in(folder: Path) -> list[Path]:
    """The pictures in a folder, not those in folders of it.

    Raises:
        UserError: If there are none.
    """
    inside = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES)
    if not inside:
        deeper = (path for path in folder.rglob('*') if path.suffix.lower() in PICTURES)
        below = next((f'; there are some in {str(path.parent)!r}' for path in deeper), '')
        raise UserError(f'folder {str(folder)!r} has no pictures ({" ".join(PICTURES)}){below}')
    return inside


def _decodes(path):
    """Whether the loader gets a picture: of a cut file, cv2.imread gives one where it does not."""
    content = np.fromfile(path, np.uint8)
    try:
        return bool(len(content)) and cv2.imdecode(content, cv2.IMREAD_COLOR) is not None
    except cv2.error:
        return False
