"""Words of messages."""

import reprlib
from typing import Any

_SHORT = reprlib.Repr()
_SHORT.maxlevel = 2  # by default 6, of six entries each


def counted(number: int, one: str, many: str = '') -> str:
    """A number with its word.

    Example:
        >>> counted(1, 'picture'), counted(2000, 'box', 'boxes')
        ('1 picture', '2,000 boxes')
    """
    return f'{number:,} {one if number == 1 else many or one + "s"}'


def short(value: Any) -> str:
    """A value as Python writes it, however large it is or deep.

    Example:
        >>> short(list(range(100)))
        '[0, 1, 2, 3, 4, 5, ...]'
    """
    return _SHORT.repr(value)
