"""Text and JSON that other people wrote."""

import codecs
import json
from pathlib import Path
from typing import Any

from mmscale.errors import UserError


def read_text(path: Path, errors: str = 'strict') -> str:
    """The text of a file: UTF-8, or UTF-16 with its mark, as Windows' editors write it.

    Args:
        path (Path): It is there.
        errors (str): ``'replace'`` takes what is in another encoding too, with marks in its place.

    Raises:
        UserError: If it cannot be read, or is in another encoding.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f'{str(path)!r} cannot be read: {error.strerror}') from None
    marked = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode('utf-16' if marked else 'utf-8-sig', errors)
    except ValueError as error:
        where = content.count(b'\n', 0, getattr(error, 'start', 0)) + 1
        raise UserError(
            f'{str(path)!r} is not UTF-8 in line {where}: save it as UTF-8, or convert it, such '
            'as by iconv -f GB18030 -t UTF-8'
        ) from None


def is_utf_8(name: str) -> bool:
    """Whether the name of a file is UTF-8, and can be written into one."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def parse_json(text: str | bytes) -> Any:
    """What a JSON text holds.

    Args:
        text (str | bytes): Of bytes, Python finds out the encoding by itself.

    Raises:
        ValueError: If it is not JSON, or nested deeper than Python reads.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError('it is nested too deep') from None
