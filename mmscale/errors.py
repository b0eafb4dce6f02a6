"""The one exception that the commands turn into a single line, and the checks that raise it."""

import re
from collections.abc import Collection
from math import isfinite
from typing import Any

# What to do where another library's words do not say it.
HINTS = {
    "'pkgutil' has no attribute 'find_loader'": 'mmengine needs Python 3.13 or older',
}


class UserError(ValueError):
    """Something the user can mend: the message names the value and the remedy.

    Args:
        message (Any): Secrets in its addresses are left out, see :func:`without_secrets`, and what
            would steer a terminal is written out.
    """

    def __init__(self, message: Any) -> None:
        super().__init__(printable(without_secrets(str(message))))


def without_secrets(text: str) -> str:
    """A text whose addresses have no user name and password, and nothing behind a question mark.

    Example:
        >>> without_secrets('https://me:secret@host/a.pth?token=1 is missing')
        'https://host/a.pth is missing'
    """
    text = re.sub(r"""(?i)\b([a-z][a-z\d+.-]*:/{1,2})[^\s/?#'"]*@""", r'\1', text)
    return re.sub(r"""(?i)\b(https?:/{1,2}[^\s?#'"]*)[?#][^\s'"]*""", r'\1', text)


def printable(text: str) -> str:
    """A text that any terminal can show: no control characters but line breaks and tabs.

    A file's words may have some, and its name may have bytes that are no text, Python's surrogates.

    Example:
        >>> printable('\\x1b[31mred')
        '\\\\x1b[31mred'
    """
    return re.sub(
        r'[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]', lambda found: repr(found[0])[1:-1], text
    )


def first_line(error: BaseException) -> str:
    """What another library's error says, in one line: ``OSError: disk full``."""
    line = f'{type(error).__name__}: {error}'.strip().partition('\n')[0]
    return next((f'{line} ({hint})' for words, hint in HINTS.items() if words in line), line)


def is_number(value: Any) -> bool:
    """Whether a value is a finite number. True and False count as switches, not as numbers."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return isfinite(value)
    except OverflowError:  # an integer of hundreds of digits
        return False


def check_number(name: str, value: Any, least: float, below: float = float('inf')) -> None:
    """Check that an argument is a number of `least` or more and smaller than `below`.

    Raises:
        UserError: If it is something else.
    """
    if not is_number(value) or not least <= value < below:
        bound = f' and below {below:g}' if isfinite(below) else ''
        raise UserError(f'{name}={value!r} must be a number of {least:g} or more{bound}')


def check_positive(name: str, value: Any) -> None:
    """Check that an argument is a finite number above 0.

    Raises:
        UserError: If it is something else.
    """
    if not is_number(value) or value <= 0:
        raise UserError(f'{name}={value!r} must be a positive number')


def is_whole(value: Any, least: int = 1) -> bool:
    """Whether a value is an integer of at least `least`."""
    return type(value) is int and value >= least


def check_whole(name: str, value: Any, least: int = 1) -> None:
    """Check that an argument is an integer of at least `least`.

    Raises:
        UserError: If it is something else.
    """
    if not is_whole(value, least):
        raise UserError(f'{name}={value!r} must be a whole number of {least} or more')


def check_choice(name: str, value: Any, choices: Collection) -> None:
    """Check that an argument is one of `choices`.

    Raises:
        UserError: If it is something else.
    """
    if value not in choices:
        raise UserError(f'{name}={value!r} is unknown; choose from {tuple(choices)}')
