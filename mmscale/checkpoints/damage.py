"""Whether a checkpoint file is as it was written: PyTorch's archives hold checksums."""

import zipfile
from pathlib import Path

import torch

from mmscale.errors import UserError, first_line

BLOCK = 1 << 20


def damage_of(path: str | Path) -> str | None:
    """What is wrong with a file of PyTorch's, as far as its bytes show.

    PyTorch itself does not look at the checksums (CRC-32) that it writes.

    Args:
        path (str | Path): The file.

    Returns:
        str: "is empty", say; None for a whole one, and for formats without checksums.
    """
    try:
        with open(path, 'rb') as file:
            head = file.read(4)
        if not head:
            return 'is empty'
        if head[:2] != b'PK':
            return None if any(head) else 'begins with zeros'
        with zipfile.ZipFile(path) as archive:
            return _differing(archive, Path(path).stat().st_size)
    except Exception as error:  # damaged bytes can raise anything
        return f'is cut off or damaged, or cannot be read ({first_line(error)})'


def _differing(archive, size):
    stored = [entry for entry in archive.infolist() if entry.compress_type == zipfile.ZIP_STORED]
    if sum(entry.file_size for entry in stored) > size:
        return 'is damaged: its entries overlap'
    for entry in stored:
        if not entry.CRC:  # written with torch.serialization.set_crc32_options(False)
            continue
        try:
            with archive.open(entry) as file:
                while file.read(BLOCK):
                    continue
        except zipfile.BadZipFile:
            return f'is damaged: the checksum (CRC-32) of {entry.filename!r} in it differs'
    return None


def require_finite(state_dict: dict[str, torch.Tensor], named: str) -> None:
    """The one place that refuses weights with infinity or NaN among them.

    Raises:
        UserError: Naming the first tensor that has them.
    """
    for name, value in state_dict.items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise UserError(
                f'{named}: {name} holds values that are not finite (infinity or NaN): the '
                'training has diverged; take an earlier checkpoint'
            )
