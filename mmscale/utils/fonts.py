"""Fonts for class names in any script: matplotlib's own has no Chinese, among others.

matplotlib draws each letter in the first font of a text's list that has it.
"""

import logging
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from mmengine.logging import print_log

NOWHERE: set[str] = set()  # letters that no font here has, which were said


def families(texts: Iterable[str]) -> list[str]:
    """The names of fonts, for matplotlib, that have the letters which its own lacks."""
    return [_family(file) for file in _files(texts)]


def font_file(text: str) -> str:
    """The file of the font that has most letters of a text."""
    files = (_own(), *_files([text]))
    return max(files, key=lambda file: len(set(text) & _letters(file))) if files[1:] else files[0]


def use_fonts(visualizer: Any, names: Iterable[str]) -> None:
    """Have a visualizer of mmengine's draw names in fonts that have their letters, and as they are.

    It would take what is between two dollar signs for a formula.
    """
    more, axes = families(names), visualizer.ax_save
    write = axes.text

    def text(x: float, y: float, words: str, *, family: Any = 'sans-serif', **style: Any) -> Any:
        return write(x, y, words.replace('$', r'\$'), family=[family, *more], **style)

    axes.text = text


@contextmanager
def no_glyph_warnings() -> Iterator[None]:
    """Have matplotlib not warn of each letter that it draws as a box: they were said."""
    with warnings.catch_warnings():
        for said in ('Glyph .* missing from', 'Matplotlib currently does not support'):
            warnings.filterwarnings('ignore', said)
        yield


def _files(texts):
    """Those of the fonts that are needed beside matplotlib's own."""
    texts = list(texts)
    letters = {letter for text in texts for letter in text if letter.isprintable()}
    files, nowhere = _covering(frozenset(letters - _own_letters() - NOWHERE))
    NOWHERE.update(nowhere)
    if nowhere:
        names = [*dict.fromkeys(text.strip() for text in texts if nowhere & {*text})]
        print_log(
            f'no font here has all letters of {", ".join(map(repr, names[:3]))}'
            f'{f" and {len(names) - 3} others" if names[3:] else ""}, which are drawn as boxes: '
            'install one (Debian has fonts-noto-cjk for Chinese, Japanese and Korean, '
            'fonts-noto-core for other scripts and fonts-symbola for emoji)',
            logger='current',
            level=logging.WARNING,
        )
    return files


@lru_cache
def _covering(missing: frozenset[str]) -> tuple[list[str], frozenset[str]]:
    """Fonts that have these letters together, those with most first; and letters that none has."""
    from matplotlib.font_manager import findSystemFonts

    has: dict[str, frozenset[str]] = {}
    for file in sorted(findSystemFonts(), key=_plainness) if missing else ():
        has[file] = missing & _letters(file)
        if has[file] == missing:
            return [file], frozenset()
    files, left = [], missing
    for file in sorted(has, key=lambda file: -len(has[file])):
        if has[file] & left:
            files.append(file)
            left -= has[file]
    return files, left


def _own() -> str:
    from matplotlib import get_data_path

    return str(Path(get_data_path(), 'fonts/ttf/DejaVuSans.ttf'))


@lru_cache
def _own_letters() -> frozenset[str]:
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


@lru_cache(4)
def _letters(file: str) -> frozenset[str]:
    """Those that a font has; none of one that matplotlib does not read, as of pictures."""
    from matplotlib.font_manager import get_font

    try:
        return frozenset(map(chr, get_font(file).get_charmap()))
    except (OSError, RuntimeError):
        return frozenset()
