"""Small pictures with boxes, as JPEGs inside the page."""

import base64
import io
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mmscale.reports.page.parts import Picture
from mmscale.utils.fonts import font_file

WIDTH, HEIGHT = 380, 380  # of one panel, at most
QUALITY = 80
GREEN, ORANGE, RED = '#1a9641', '#ff8c00', '#e31a1c'
GAP = 6


class Mark(NamedTuple):
    """A box to draw.

    Attributes:
        box (Sequence[float]): x, y, width, height in pixels of the file.
        colour (str): Of its frame.
        label (str): At its corner.
    """

    box: Sequence[float]
    colour: str
    label: str


def boxes_picture(path: str, panels: Sequence[Sequence[Mark]], caption: str) -> Picture | None:
    """The same picture once for each panel, with that panel's boxes; None if it cannot be read."""
    image = read_picture(path)
    if image is None:
        return None
    scale = min(WIDTH / image.width, HEIGHT / image.height, 2.0)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    small = image.resize(size, Image.Resampling.LANCZOS)
    return strip([_drawn(small.copy(), marks, scale) for marks in panels], caption)


def read_picture(path: str) -> Image.Image | None:
    """A picture as the data set's loader sees it, in RGB; None if it cannot be read."""
    try:
        pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    except (OSError, cv2.error, ValueError):
        return None
    return None if pixels is None else Image.fromarray(pixels[..., ::-1].copy())


def strip(panels: Sequence[Image.Image], caption: str) -> Picture:
    """Panels of one height beside each other."""
    width = sum(panel.width for panel in panels) + GAP * (len(panels) - 1)
    whole = Image.new('RGB', (width, max(panel.height for panel in panels)), 'white')
    x = 0
    for panel in panels:
        whole.paste(panel, (x, 0))
        x += panel.width + GAP
    with io.BytesIO() as buffer:
        whole.save(buffer, 'JPEG', quality=QUALITY, optimize=True)
        data = base64.b64encode(buffer.getvalue()).decode()
    return Picture(data, whole.width, whole.height, caption)


def _drawn(image, marks, scale):
    draw = ImageDraw.Draw(image)
    for box, colour, label in marks:
        x, y, width, height = (value * scale for value in box)
        corners = (x, y, max(x, x + width), max(y, y + height))
        draw.rectangle(corners, outline=colour, width=2)
        if not label:
            continue
        label = label if len(label) <= 24 else f'{label[:23]}…'
        font = _font(font_file(label))
        left, top, right, bottom = draw.textbbox((0, 0), label, font=font)
        at = (
            min(max(x, 0), max(image.width - right - 4, 0)),
            y - bottom - 4 if y > bottom + 4 else min(y, image.height - bottom - 4),
        )
        draw.rectangle((*at, at[0] + right + 4, at[1] + bottom + 3), fill=colour)
        draw.text((at[0] + 2, at[1] + 1), label, fill='white', font=font)
    return image


@lru_cache
def _font(file):
    return ImageFont.truetype(file, 12)
