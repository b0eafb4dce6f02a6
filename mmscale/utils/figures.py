"""Figures and pictures, written whole or not at all, on machines without a display."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mmscale.errors import UserError
from mmscale.utils.files import check_out, written_aside
from mmscale.utils.fonts import families, no_glyph_warnings

COLOURS = ('tab:orange', 'tab:blue', 'tab:green', 'tab:red', 'tab:purple', 'tab:brown')


def new_figure(columns: int, rows: int = 1, **options: Any) -> tuple[Any, np.ndarray]:
    """A figure that needs no display, and its axes as an array (rows, columns)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    size = (4 + 4 * columns, 1 + 3.5 * rows)
    figure = Figure(figsize=size, dpi=120, layout='tight')
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def check_figure(out: str | Path) -> Path:
    """Look whether a picture can be written, before the work that it shows.

    Raises:
        UserError: If there is no such kind of picture, or the file cannot be written.
    """
    try:
        encode(np.zeros((1, 1, 3), np.uint8), Path(out).suffix)
    except cv2.error as error:
        raise UserError(f'{str(out)!r} must end in .png, .jpg or .webp, as a picture') from error
    return check_out(out)


def write_figure(figure: Any, out: str | Path) -> Path:
    """Write a figure as a picture, such as a PNG, whole or not at all."""
    from matplotlib.text import Text

    texts = figure.findobj(Text)
    more = families(text.get_text() for text in texts)
    for text in texts:
        text.set_family([*text.get_family(), *more])
    with no_glyph_warnings():
        figure.canvas.draw()
    return write_png(out, np.asarray(figure.canvas.buffer_rgba())[..., 2::-1])


def write_png(out: str | Path, picture: np.ndarray) -> Path:
    """Write a BGR picture, whole or not at all."""
    with written_aside(out) as temporary:
        temporary.write_bytes(encode(picture, temporary.suffix))
    return Path(out)


def encode(picture: np.ndarray, suffix: str) -> bytes:
    """A BGR picture in the format of a suffix, apart from writing: cv2 does not say what failed."""
    return cv2.imencode(suffix, picture)[1].tobytes()


def label(name: str) -> str:
    """A name for a legend: short, no mathematics in it, and not left out for its underscore."""
    name = name if len(name) <= 40 else f'{name[:37]}...'
    return ' ' + name.replace('$', r'\$')
