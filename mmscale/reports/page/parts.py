"""What a page is made of: sections of texts, figures, tables, charts and pictures."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple


@dataclass(frozen=True)
class Table:
    """A table; numbers are texts already.

    Attributes:
        columns (list[str]): Their heads.
        rows (list[list[str]]): The cells.
        title (str): Above it; also for those who cannot see.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str
    kind: ClassVar[str] = 'table'


@dataclass(frozen=True)
class Chart:
    """A chart, with what it shows in words and numbers.

    Attributes:
        title (str): Above it.
        spec (dict): Vega-Lite's description, with its data.
        alt (str): What it shows, in a sentence.
        table (Table, optional): Its numbers, folded away.
    """

    title: str
    spec: dict[str, Any]
    alt: str
    table: Table | None = None
    kind: ClassVar[str] = 'chart'


class Picture(NamedTuple):
    """A picture inside the page.

    Attributes:
        data (str): A JPEG in base64.
        width, height (int): In pixels.
        caption (str): Below it, and for those who cannot see.
    """

    data: str
    width: int
    height: int
    caption: str


@dataclass(frozen=True)
class Gallery:
    """Pictures beside each other.

    Attributes:
        title (str): Above them.
        pictures (list[Picture]): In order.
        note (str): What is to be seen on them.
    """

    title: str
    pictures: Sequence[Picture]
    note: str
    kind: ClassVar[str] = 'gallery'


@dataclass(frozen=True)
class Cards:
    """A few large figures.

    Attributes:
        cards (list[tuple[str, str]]): Names and values.
    """

    cards: Sequence[tuple[str, str]]
    kind: ClassVar[str] = 'cards'


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str
    kind: ClassVar[str] = 'text'


class Section(NamedTuple):
    """A part of the page with a heading.

    Attributes:
        title (str): The heading.
        note (str): What the section says, in a sentence or two.
        parts (list): What it shows.
    """

    title: str
    note: str
    parts: Sequence[Any]


def number(value: float | int | None, digits: int = 1) -> str:
    """A number as a text: whole numbers with thin groups, a dash where there is none."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return '–'
    if isinstance(value, int):
        return f'{value:,}'.replace(',', '\N{NARROW NO-BREAK SPACE}')
    return f'{value:.{digits}f}'


def percent(share: float | None) -> str:
    """A share from 0 to 1 as 0.0 to 100.0; a dash for COCO's -1, where there is nothing."""
    return '–' if share is None or share < 0 else number(100 * float(share))


def difference(values: Sequence[float | None], digits: int = 1) -> list[str]:
    """The cell of what the second of two values has more than the first; none for one value."""
    if len(values) < 2:
        return []
    first, second = values[:2]
    if first is None or second is None or not math.isfinite(second - first):
        return ['–']
    return [f'{second - first:+.{digits}f}']
