"""Zip archives as PyTorch writes them: nothing compressed, so that none is larger than its file."""

import struct
import zipfile
from pathlib import Path

import torch

from mmscale.errors import UserError, first_line

# What damaged bytes make of Python's reader, which looks for places that do not exist.
_DAMAGED = (
    zipfile.BadZipFile, OSError, OverflowError, ValueError, NotImplementedError, struct.error,
)  # fmt: skip
END, LOCATOR, END_64 = b'PK\5\6', b'PK\6\7', b'PK\6\6'


def records_of(path: Path) -> dict[str, int]:
    """The records of a checkpoint's archive; nothing is unpacked.

    Args:
        path (Path): The file.

    Returns:
        dict[str, int]: Bytes of each record, by its name within the archive's folder.

    Raises:
        UserError: If it is no archive, no checkpoint, or not as PyTorch writes them.
    """
    cut = f'{path} is cut off or no PyTorch checkpoint (an unfinished download?)'
    try:
        entries = _entries(path)
    except _DAMAGED as error:
        raise UserError(f'{cut}: {first_line(error)}; fetch it again') from None
    names = [entry.filename.partition('/')[2] for entry in entries]
    if 'constants.pkl' in names:
        raise UserError(f'{path} is a TorchScript program, not a dict of tensors')
    packed = [e for e in entries if e.compress_type != zipfile.ZIP_STORED or e.flag_bits & 1]
    if packed or sum(entry.file_size for entry in entries) > path.stat().st_size:
        raise UserError(
            f'{path} is a compressed archive, which PyTorch does not write: unpacked it may take '
            'any amount of memory. It was not loaded; save it again with torch.save'
        )
    try:
        seen = torch._C.PyTorchFileReader(str(path)).get_all_records()
    except (RuntimeError, ValueError) as error:  # the latter of a name in no encoding
        raise UserError(f'{cut}: {first_line(error)}; fetch it again') from None
    if 'data.pkl' not in names or sorted(seen) != sorted(names):
        raise UserError(f'{path} is a zip archive, but no PyTorch checkpoint')
    return dict(zip(names, (entry.file_size for entry in entries)))


def _entries(path):
    """The list of contents, where every reader of archives finds the same one.

    A forged archive shows one list to Python and another to torch: where there is a second list,
    a comment, or a gap before the end.
    """
    with open(path, 'rb') as file, zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        end = file.seek(-22, 2)
        tail = file.read(22)
        count, size, start = struct.unpack('<H2I', tail[10:20])
        if tail[:4] != END or tail[20:] != b'\0\0':
            raise ValueError('its end is not where it should be')
        file.seek(max(end - 20, 0))
        locator = file.read(20)
        if locator[:4] == LOCATOR:
            end = struct.unpack('<Q', locator[8:16])[0]
            file.seek(end)
            large = file.read(56)
            count, size, start = struct.unpack('<3Q', large[32:56])
            if large[:4] != END_64 or end + 76 != file.seek(-22, 2):
                raise ValueError('its end is not where it should be')
    if start + size != end or count != len(entries):
        raise ValueError('its list of contents is not where it should be')
    return entries
