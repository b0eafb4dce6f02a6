"""Fonts for class names in any script: matplotlib's own has no Chinese, among others."""

import logging
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from string import printable
from typing import Any

from mmengine.logging import print_log

LATIN = {letter for letter in printable if letter.isprintable()}
NOWHERE: set[str] = set()  # letters that no font here has, which were said


@contextmanager
def fonts_for(texts: Iterable[str]) -> Iterator[None]:
    """Have matplotlib draw texts in a font that has their letters."""
    from matplotlib import rc_context, rcParams

    file = font_file(texts)
    first = [] if file == _own() else [_family(file)]
    # mmpretrain writes in the second kind.
    fonts = {kind: first + rcParams[kind] for kind in ('font.sans-serif', 'font.monospace')}
    with rc_context(fonts), warnings.catch_warnings():
        for said in ('Glyph .* missing from', 'Matplotlib currently does not support'):
            warnings.filterwarnings('ignore', said)  # font_file says it once
        yield


def font_file(texts: Iterable[str]) -> str:
    """The file of a font for texts: matplotlib's own, or one installed that has more of them."""
    letters = {letter for text in texts for letter in text if letter.isprintable()}
    return _file(frozenset(letters - _own_letters() - NOWHERE))


@lru_cache
def _file(missing: frozenset[str]) -> str:
    """The font that has most of the letters that are missing in matplotlib's own."""
    from matplotlib.font_manager import findSystemFonts

    best, left, nowhere, wanted = _own(), set(missing), set(missing), {*missing, *LATIN}
    for file in sorted(findSystemFonts(), key=_plainness) if missing else ():
        has = _letters(file)
        nowhere -= has
        if len(lacks := wanted - has) < len(left):
            best, left = file, lacks
        if not left:
            break
    NOWHERE.update(nowhere)
    if left:
        print_log(
            f'no font here has all of the letters, and {"".join(sorted(left)[:10])!r} are drawn as '
            'boxes: install one (for Chinese, Japanese and Korean on Debian: fonts-noto-cjk)',
            logger='current',
            level=logging.WARNING,
        )
    return best


def _own() -> str:
    from matplotlib import get_data_path

    return str(Path(get_data_path(), 'fonts/ttf/DejaVuSans.ttf'))


@lru_cache
def _own_letters() -> set[str]:
    return _letters(_own())


@lru_cache
def _family(file: str) -> str:
    """The name by which matplotlib finds a font that was perhaps installed after its list."""
    from matplotlib.font_manager import fontManager, get_font

    fontManager.addfont(file)
    return get_font(file).family_name


def _plainness(file: str) -> Any:
    name = Path(file).name
    return 'Regular' not in name, 'Sans' not in name, 'Mono' in name, name


def _letters(file: str) -> set[str]:
    """Those that a font has; none of one that matplotlib does not read, as of pictures."""
    from matplotlib.font_manager import get_font

    try:
        return {chr(code) for code in get_font(file).get_charmap()}
    except (OSError, RuntimeError):
        return set()
