"""Shapes at many scales: a small synthetic data set for detection, segmentation, classification.

``make_shapes`` draws textured, softly lit shapes of 8 to 256 pixels on busy backgrounds and writes
them with COCO annotations, together with class folders of small crops for pretraining a classifier.

An object is annotated as it is seen: mask, box and area leave out what lies behind another object.
Masks are stored as compressed RLE: it holds rings and objects in several pieces as they are, to the
pixel, and takes a tenth of the room of polygons. Area and box are those of the mask.
"""

import json
import math
import time
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from pycocotools import mask as coco_mask
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from mmscale.errors import UserError, check_whole
from mmscale.utils.files import writing
from mmscale.utils.folders import folder_aside, put_back, replace_folder
from mmscale.utils.texts import parse_json

# Part of the manifest: raise it whenever the same arguments give other pictures.
VERSION = 2

SMALLEST_IMAGE = 288  # holds an object of 256 pixels with room to move
CROP = 64  # side of a classifier crop, in pixels
EMPTY_EVERY = 50  # one training image in this many shows no object at all
TILT = np.radians(20)  # objects stand roughly upright, so that little training tells them apart
OBJECTS = (4, 9)  # fewest and most objects planned for an image

# One pixel or two inside 8 and 256, because outlines round to whole pixels.
SIDES = (9, 254)
# Object areas to draw from: smallest, largest, share of the objects. The gaps around COCO's limits
# of 32^2 and 96^2 keep most objects in their class when a part of them is hidden.
AREAS = ((75, 960, 0.33), (1200, 8200, 0.33), (11500, 42000, 0.34))

PAIR_CHANCE = 0.3  # that an object gets a partner overlapping it on purpose
PAIR_AREA = 350  # smallest object to get one: of two tiny ones nothing could be made out
PAIR_RATIO = (0.64, 0.95)  # side of the partner, which lies on top, over side of the object
PAIR_IOU = (0.34, 0.45)  # aimed at when a partner is put down
IOU_LIMITS = (0.32, 0.48)  # kept: partners above the first, any two objects below the second
LEAST_VISIBLE = 0.62  # share of an object's own mask that stays in sight

SPLITS = ('train', 'val')


# --- Shapes: closed outlines around the origin; a second outline cuts a hole. ---------------------


def _arc(start, stop, radius=1.0, centre=(0.0, 0.0)):
    """Points on a circle between two angles in degrees, shape (n, 2)."""
    angles = np.radians(np.linspace(start, stop, 72))
    return np.stack([np.cos(angles), np.sin(angles)], 1) * radius + centre


def _star(points=5, inner=0.46):
    """Outline of a star whose inner corners lie at the given radius."""
    angles = np.radians(np.arange(2 * points) * 180 / points - 90)  # one points up
    radii = np.where(np.arange(2 * points) % 2, inner, 1.0)
    return np.stack([np.cos(angles), np.sin(angles)], 1) * radii[:, None]


def _cross(arm=0.3):
    """Outline of a plus sign with arms of the given half width."""
    corner = np.array([[1, -arm], [1, arm], [arm, arm]])
    turns = [np.array([[0, 1], [-1, 0]]), -np.eye(2), np.array([[0, -1], [1, 0]])]
    return np.concatenate([corner] + [corner @ turn for turn in turns])


def _heart():
    """Outline of a heart, the usual sum of cosines."""
    t = np.linspace(0, 2 * np.pi, 96, endpoint=False)
    x = 16 * np.sin(t) ** 3
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return np.stack([x, -y - 2], 1) / 16


def _crescent():
    """Outline of a moon: the unit circle less a smaller one, which it meets at the two tips."""
    centre, radius = 0.52, 0.74
    tip = (1 + centre**2 - radius**2) / (2 * centre)
    outer = np.degrees(np.arccos(tip))
    inner = np.degrees(np.arccos((tip - centre) / radius))
    bite = _arc(360 - inner, inner, radius, (centre, 0.0))
    return np.concatenate([_arc(outer, 360 - outer), bite])


SHAPES = {
    'circle': (_arc(0, 355),),
    'square': (np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], float),),
    'triangle': (_star(3, 0.5),),
    'star': (_star(),),
    'ring': (_arc(0, 355), _arc(0, 355, 0.54)),
    'cross': (_cross(),),
    'heart': (_heart(),),
    'crescent': (_crescent(),),
}
CLASSES = tuple(SHAPES)


# --- Colours: two for the background, six for objects that stand out from both. ------------------
# Pictures being painted are float32 (3, h, w), which numpy blends far faster than (h, w, 3).


def _bgr(colours):
    """'f4ecdf d1495b' as blue, green, red in 0..255, float32 (n, 3, 1, 1)."""
    rows = [[int(colour[i : i + 2], 16) for i in (4, 2, 0)] for colour in colours.split()]
    return np.array(rows, np.float32)[..., None, None]


PALETTES = tuple(
    (_bgr(ground), _bgr(objects))
    for ground, objects in (
        ('f6efe3 e2d2bb', 'd1495b 00798c 2e4057 4f8a6b b5651d 5b4b8a'),
        ('14213d 2b3d69', 'fca311 eceff4 ef476f 06d6a0 4cc9f0 f7b2bd'),
        ('e9f4ee c2dcd0', '264653 e76f51 9b2226 7b2cbf 1d7874 c26a00'),
        ('2b1b3d 4a3466', 'f9c74f f3722c 90e0ef ffafcc b8f2e6 ef5d7f'),
        ('e0eff9 b4d2ea', 'd62828 003049 e36414 6a4c93 14746f 8d1f4f'),
        ('14302b 2a564e', 'f4d35e ee964b f95738 faf0ca 9ad1d4 f2a7c3'),
        ('fcece9 f0ccc5', '3d348b 1f8a7d b23a48 264653 c1501f 5f0f40'),
        ('1f2329 3d434d', 'ff6b6b 4ecdc4 ffe66d a29bfe f8f9fa fd9644'),
    )
)


def _mix(first, second, share):
    """Blend two colours or pictures, channels first; the share is a number or (h, w)."""
    return first + (second - first) * share


# --- Textures: share of the second colour, 0..1, from pixel coordinates along two turned axes. ----


def _wave(phase, period):
    """Square wave of -1..1 whose flanks are about one pixel wide."""
    return np.clip(np.sin(phase * (2 * np.pi / period)) * (period / 4), -1, 1)


def _plain(rng, u, v, period):
    return np.zeros_like(u)


def _gradient(rng, u, v, period):
    return (u - u.min()) / (float(np.ptp(u)) + 1)


def _stripes(rng, u, v, period):
    return 0.5 + 0.5 * _wave(u, period)


def _checks(rng, u, v, period):
    return 0.5 + 0.5 * _wave(u, period * 1.3) * _wave(v, period * 1.3)


def _dots(rng, u, v, period):
    turn = 2 * np.pi / period
    return np.clip((np.cos(u * turn) + np.cos(v * turn) - 0.7) * (period / 5), 0, 1)


def _clouds(rng, u, v, period):
    return np.clip(_blotches(rng, u.shape, max(3, int(max(u.shape) / period))) * 0.4 + 0.5, 0, 1)


TEXTURES = (_plain, _gradient, _stripes, _checks, _dots, _clouds)
SMALL_TEXTURES = (_plain, _gradient)  # all that can still be seen on a few pixels


def _blotches(rng, shape, cells):
    """Smooth noise of about -2..2, shape (h, w), with ``cells`` bumps along a side."""
    coarse = rng.standard_normal((cells, cells), np.float32)
    return cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)


# --- Background: gradient, blotches, and marks that belong to no class. --------------------------


def _stroke(rng, canvas, points, ink):
    """Draw an open line through points given in pixels."""
    fixed = np.round(np.asarray(points) * 16).astype(np.int32)
    cv2.polylines(canvas, [fixed], False, ink, int(rng.integers(1, 3)), cv2.LINE_AA, 4)


def _lines(rng, canvas, ink):
    for _ in range(rng.integers(2, 6)):
        _stroke(rng, canvas, rng.uniform(-0.1, 1.1, (2, 2)) * len(canvas), ink)


def _curves(rng, canvas, ink):
    for _ in range(rng.integers(2, 5)):
        start = rng.uniform(0, 360)
        arc = _arc(start, start + rng.uniform(25, 75), rng.uniform(0.25, 0.9))
        _stroke(rng, canvas, (arc + rng.uniform(-0.3, 1.3, 2)) * len(canvas), ink)


def _scribble(rng, canvas, ink):
    for _ in range(rng.integers(1, 4)):
        t = np.linspace(0, rng.uniform(2, 5), 60)
        along = np.stack([t * 6, np.sin(t * np.pi) * rng.uniform(2, 7)], 1)
        _stroke(rng, canvas, along @ _turn(rng) + rng.uniform(0, 1, 2) * len(canvas), ink)


def _speckles(rng, canvas, ink):
    for x, y in rng.integers(0, len(canvas) * 16, (int(rng.integers(20, 70)), 2)).tolist():
        cv2.circle(canvas, (x, y), int(rng.integers(8, 22)), ink, -1, cv2.LINE_AA, 4)


def _hatching(rng, canvas, ink):
    turn, corner = _turn(rng), rng.uniform(0, 1, 2) * len(canvas)
    length, gap = rng.uniform(12, 50), rng.uniform(4, 8)
    for row in range(rng.integers(3, 8)):
        _stroke(rng, canvas, np.array([[0, row * gap], [length, row * gap]]) @ turn + corner, ink)


CLUTTER = (_lines, _curves, _scribble, _speckles, _hatching)


def _turn(rng, most=np.pi):
    """Rotation by a random angle of at most `most` radians either way, shape (2, 2)."""
    angle = rng.uniform(-most, most)
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def _turned(rng, x, y):
    """Coordinates along two axes at right angles, turned at random, each float32 (h, w)."""
    return [x * along + y * across for along, across in _turn(rng).tolist()]


def _background(rng, size, palette):
    """Picture without objects, float32 (3, size, size) in 0..255."""
    ground, colours = palette
    axis = np.linspace(-0.5, 0.5, 64, dtype=np.float32)
    u, v = _turned(rng, axis[None], axis[:, None])
    blend = np.clip(0.5 + u + _blotches(rng, u.shape, int(rng.integers(3, 7))) * 0.13, 0, 1)
    lamp = 1.03 - 0.2 * ((u - 0.15) ** 2 + v**2)
    smooth = cv2.resize(_interleaved(_mix(ground[0], ground[1], blend) * lamp), (size, size))
    marked = smooth.copy()
    for mark in rng.choice(len(CLUTTER), rng.integers(2, 5), replace=False):
        ink = _mix(ground[rng.integers(2)], colours[rng.integers(len(colours))], 0.65)
        CLUTTER[mark](rng, marked, ink.ravel().tolist())
    grain = (rng.random((size, size), np.float32) - 0.5) * 9
    faded = cv2.addWeighted(smooth, 0.5, marked, 0.5, 0)
    picture = np.empty((3, size, size), np.float32)
    for channel, grained in zip(cv2.split(faded), picture, strict=True):
        np.add(channel, grain, out=grained)
    return picture


def _interleaved(picture):
    """The picture as OpenCV takes it, uint8 (h, w, 3)."""
    return cv2.merge([np.clip(channel, 0, 255).astype(np.uint8) for channel in picture])


# --- Objects: where they lie. --------------------------------------------------------------------


class Thing(NamedTuple):
    """A shape ready to be put down."""

    label: int  # place in CLASSES
    cover: np.ndarray  # float32 (h, w): how much of each pixel the shape covers, 0..1
    solid: np.ndarray  # uint8 (h, w): 255 where the shape covers half a pixel or more, else 0
    x: int = 0  # left and top of the cover in the image
    y: int = 0


class Scene(NamedTuple):
    """Things from the lowest to the topmost, and what is seen of them."""

    things: tuple
    owner: np.ndarray  # uint8 (size, size): 1 + place of the thing seen at a pixel, 0 for none
    partners: tuple = ()  # pairs of places that overlap on purpose


def _outline(rng, label):
    """A class's outlines, slightly squeezed and tilted, with a longer box side of 1."""
    turn = np.diag([1, rng.uniform(0.9, 1)]) @ _turn(rng, TILT)
    outlines = [points @ turn for points in SHAPES[CLASSES[label]]]
    low, high = outlines[0].min(0), outlines[0].max(0)
    return [(points - low) / (high - low).max() for points in outlines]


def _side_of(outlines, area):
    """Longer box side that gives the outlines an area, within the sides allowed."""
    fill, *holes = (cv2.contourArea(points.astype(np.float32)) for points in outlines)
    return float(np.clip(np.sqrt(area / (fill - sum(holes))), *SIDES))


def _thing(rng, label, outlines, side):
    """The outlines at a longer side in pixels, with smooth edges."""
    fine = 4
    shift = 1 + rng.uniform(0, 1, 2)
    points = [outline * side + shift for outline in outlines]
    width, height = np.ceil(points[0].max(0) + 1).astype(int).tolist()
    canvas = np.zeros((height * fine, width * fine), np.uint8)
    fixed = [np.round((each * fine - 0.5) * 16).astype(np.int32) for each in points]
    cv2.fillPoly(canvas, fixed, 255, shift=4)
    cover = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)
    return Thing(label, cover.astype(np.float32) / 255, np.where(cover > 127, 255, 0).astype('u1'))


def _window(scene, thing):
    """The part of a scene's owners that a thing lies on, a view of (h, w)."""
    height, width = thing.cover.shape
    return scene.owner[thing.y : thing.y + height, thing.x : thing.x + width]


def _ious(first, second):
    """IoU of every box of one list with every one of another, boxes as x, y, width, height."""
    first, second = np.asarray(first, float)[:, None], np.asarray(second, float)[None]
    low = np.maximum(first[..., :2], second[..., :2])
    high = np.minimum(first[..., :2] + first[..., 2:], second[..., :2] + second[..., 2:])
    shared = np.clip(high - low, 0, None).prod(-1)
    return shared / (first[..., 2:].prod(-1) + second[..., 2:].prod(-1) - shared)


def _fits(scene):
    """Whether every thing is seen well enough, and boxes overlap as they should."""
    boxes = []
    for place, thing in enumerate(scene.things, start=1):
        seen = (_window(scene, thing) == place).view(np.uint8)
        if np.count_nonzero(seen) < LEAST_VISIBLE * np.count_nonzero(thing.solid):
            return False
        x, y, width, height = cv2.boundingRect(seen)
        boxes.append((thing.x + x, thing.y + y, width, height))
        if max(width, height) < SIDES[0]:
            return False
    ious = np.triu(_ious(boxes, boxes), 1)
    if ious.max() > IOU_LIMITS[1]:
        return False
    return all(ious[pair] >= IOU_LIMITS[0] for pair in scene.partners)


def _put(scene, thing, partner=None):
    """The scene with one more thing on top."""
    place = len(scene.things)
    pair = () if partner is None else ((partner, place),)
    grown = Scene((*scene.things, thing), scene.owner.copy(), scene.partners + pair)
    _window(grown, thing)[thing.solid > 0] = place + 1
    return grown


def _hidden(scene, thing):
    """Object pixels that a thing would hide."""
    return np.count_nonzero(_window(scene, thing) & thing.solid)


def _settle(scene, thing, spots, partner=None):
    """The scene with the thing at the spot, of those given, that hides least; None if none fits."""
    tried = [thing._replace(x=x, y=y) for x, y in spots.tolist()]
    for moved in sorted(tried, key=lambda moved: _hidden(scene, moved))[:4]:
        grown = _put(scene, moved, partner)
        if _fits(grown):
            return grown
    return None


def _spots(rng, scene, thing, count):
    """Random places for a thing within the image, int (count, 2) of x, y."""
    room = len(scene.owner) - np.array(thing.cover.shape[::-1])
    return rng.integers(0, room + 1, (count, 2))


def _spots_beside(rng, scene, thing, partner):
    """Places where the thing's box overlaps its partner's as a pair should, at most 12."""
    below, size = scene.things[partner], np.array(thing.cover.shape[::-1])
    under = np.array([below.x, below.y, *below.cover.shape[::-1]])
    spots = rng.integers(under[:2] - size, under[:2] + under[2:], (300, 2))
    inside = np.all((spots >= 0) & (spots + size <= len(scene.owner)), 1)
    # Covers have a rim of up to two pixels around the shape.
    boxes = np.concatenate([spots + 1, np.broadcast_to(size - 2, spots.shape)], 1)
    ious = _ious(boxes, [under + [1, 1, -2, -2]])[:, 0]
    return spots[inside & (ious > PAIR_IOU[0]) & (ious < PAIR_IOU[1])][:12]


def _add_object(rng, scene, area):
    """The scene with one more object of about an area, if there is room for it."""
    label = int(rng.integers(len(CLASSES)))
    outlines = _outline(rng, label)
    thing = _thing(rng, label, outlines, _side_of(outlines, area))
    return _settle(scene, thing, _spots(rng, scene, thing, 12)) or scene


def _add_partner(rng, scene):
    """The scene with a partner on top of its last object, if one of a few shapes fits there."""
    partner = len(scene.things) - 1
    side = max(scene.things[partner].cover.shape) - 2
    for _ in range(4):
        label = int(rng.integers(len(CLASSES)))
        smaller = max(side * rng.uniform(*PAIR_RATIO), SIDES[0])
        thing = _thing(rng, label, _outline(rng, label), smaller)
        grown = _settle(scene, thing, _spots_beside(rng, scene, thing, partner), partner)
        if grown:
            return grown
    return scene


def _plan(rng):
    """Areas of an image's objects from large to small, each with whether it gets a partner."""
    count, plan = rng.integers(OBJECTS[0], OBJECTS[1] + 1), []
    while count > 0:
        low, high, _ = AREAS[rng.choice(len(AREAS), p=[share for *_, share in AREAS])]
        area = math.exp(rng.uniform(math.log(low), math.log(high)))
        paired = count > 1 and area >= PAIR_AREA and rng.random() < PAIR_CHANCE
        plan.append((area, paired))
        count -= 1 + paired
    return sorted(plan, reverse=True)


def _compose(rng, size):
    """A scene of objects, the larger ones further down."""
    scene = Scene((), np.zeros((size, size), np.uint8))
    for area, paired in _plan(rng):
        grown = _add_object(rng, scene, area)
        scene = _add_partner(rng, grown) if paired and grown is not scene else grown
    return scene


# --- Painting. -----------------------------------------------------------------------------------


def _shifted(picture, right, down):
    """The picture moved by whole pixels, at least one each way, zeros coming in."""
    moved = np.zeros_like(picture)
    moved[down:, right:] = picture[:-down, :-right]
    return moved


def _paint(rng, picture, thing, colour, light):
    """Draw a thing onto the picture: shadow, then texture with a rim and soft relief.

    Args:
        picture: float32 (3, h, w), changed in place.
        light: x and y of a unit vector pointing away from the lamp.
    """
    side = max(thing.cover.shape)
    pad = int(4 + side * 0.06)
    cover = cv2.copyMakeBorder(thing.cover, pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=0)
    top, left = max(thing.y - pad, 0), max(thing.x - pad, 0)
    cover = cover[top - thing.y + pad :, left - thing.x + pad :]
    cover = cover[: picture.shape[1] - top, : picture.shape[2] - left]
    patch = picture[:, top : top + cover.shape[0], left : left + cover.shape[1]]

    depth = 0.8 + side * 0.018
    blurred = cv2.GaussianBlur(cover, (0, 0), depth)
    shadow = _shifted(blurred, *(max(1, round(part * depth * 1.2)) for part in light))
    relief = cv2.Sobel(blurred, -1, 1, 0) * light[0] + cv2.Sobel(blurred, -1, 0, 1) * light[1]
    rim = 0.55 * np.clip(1.7 - 2 * cv2.GaussianBlur(cover, (0, 0), 0.7 + side * 0.004), 0, 1)
    lit = (1 + relief * (depth * 0.09)) * (1 - rim) + 0.45 * rim
    kept = (1 - 0.42 * shadow) * (1 - cover)

    pattern, tone = _texture(rng, cover.shape, colour, side)
    # One channel at a time: what is computed on the way then stays in the processor's cache.
    for below, first, second in zip(patch, colour.ravel(), tone.ravel(), strict=True):
        fill = _mix(first, second, pattern) * lit
        below[:] = below * kept + np.minimum(fill, 255) * cover


def _texture(rng, shape, colour, side):
    """A random pattern of 0..1, float32 (h, w), and the tone of the colour it blends in."""
    choice = SMALL_TEXTURES if side < 24 else TEXTURES
    texture = choice[rng.integers(len(choice))]
    tone = _mix(colour, 255.0 if rng.random() < 0.6 else 0.0, rng.uniform(0.22, 0.4))
    period = max(5.0, side * rng.uniform(0.1, 0.22))
    rows, columns = (np.arange(length, dtype=np.float32) for length in shape)
    u, v = _turned(rng, columns[None], rows[:, None])
    return texture(rng, u, v, period), tone


def _paint_all(rng, scene, palette):
    """The finished picture of a scene, uint8 (size, size, 3)."""
    picture, light = _background(rng, len(scene.owner), palette), _lamp(rng)
    boxes = [(thing.x, thing.y, *thing.cover.shape[::-1]) for thing in scene.things]
    chosen: list[int] = []
    for place, thing in enumerate(scene.things):
        touching = np.flatnonzero(_ious([boxes[place]], boxes)[0, :place]).tolist()
        taken = {chosen[other] for other in touching}
        order = rng.permutation(len(palette[1])).tolist()
        chosen.append(next((colour for colour in order if colour not in taken), order[0]))
        _paint(rng, picture, thing, palette[1][chosen[-1]], light)
    return _interleaved(picture)


def _lamp(rng):
    """Direction of the light, from the upper left give or take."""
    angle = rng.uniform(0.15, 0.35) * np.pi
    return float(np.cos(angle)), float(np.sin(angle))


def _draw_image(rng, size, empty):
    """A picture, uint8 (size, size, 3), and its COCO annotations without ids."""
    scene = Scene((), np.zeros((size, size), np.uint8)) if empty else _compose(rng, size)
    picture = _paint_all(rng, scene, PALETTES[rng.integers(len(PALETTES))])
    return picture, [
        _annotation(thing.label, scene.owner == place)
        for place, thing in enumerate(scene.things, start=1)
    ]


def _draw_crop(rng, label):
    """A picture of one object of a class, uint8 (CROP, CROP, 3)."""
    palette = PALETTES[rng.integers(len(PALETTES))]
    picture = _background(rng, 2 * CROP, palette)[:, :CROP, :CROP].copy()
    side = rng.uniform(12, 0.9 * CROP)
    thing = _thing(rng, label, _outline(rng, label), side)
    x, y = (int(rng.integers(0, CROP - length + 1)) for length in thing.cover.shape[::-1])
    colour = palette[1][rng.integers(len(palette[1]))]
    _paint(rng, picture, thing._replace(x=x, y=y), colour, _lamp(rng))
    return _interleaved(picture)


# --- Annotations. --------------------------------------------------------------------------------


def _annotation(label, mask):
    """COCO annotation of a mask, bool (size, size), without its ids."""
    rle = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    return {
        'category_id': label + 1,
        'bbox': coco_mask.toBbox(rle).tolist(),
        'area': int(coco_mask.area(rle)),
        'segmentation': {'size': list(mask.shape), 'counts': rle['counts'].decode('ascii')},
        'iscrowd': 0,
    }


def _coco(size, annotations):
    """COCO document of a split from the annotations of each of its images."""
    numbered = [
        (image, annotation)
        for image, those in enumerate(annotations, start=1)
        for annotation in those
    ]
    return {
        'info': {'description': 'mmscale shapes', 'version': str(VERSION)},
        'licenses': [],
        'images': [
            {'id': image, 'file_name': f'{image:06d}.jpg', 'width': size, 'height': size}
            for image in range(1, len(annotations) + 1)
        ],
        'annotations': [
            {'id': number, 'image_id': image, **annotation}
            for number, (image, annotation) in enumerate(numbered, start=1)
        ],
        'categories': [
            {'id': number, 'name': name, 'supercategory': 'shape'}
            for number, name in enumerate(CLASSES, start=1)
        ],
    }


def statistics(path: str | Path) -> dict[str, Any]:
    """Count what a COCO annotation file holds.

    Args:
        path: Annotation file.

    Returns:
        ``images``, ``empty`` (images without an object) and ``objects`` as counts, and as shares
        of the objects ``small`` (area below 32^2), ``medium`` (below 96^2), ``large``, and
        ``overlapping`` (whose box has an IoU of 0.3 or more with another of its image).
    """
    coco = parse_json(Path(path).read_bytes())
    by_image: dict[int, list] = {image['id']: [] for image in coco['images']}
    for annotation in coco['annotations']:
        by_image[annotation['image_id']].append(annotation['bbox'])
    overlapping = sum(_overlapping(boxes) for boxes in by_image.values() if boxes)
    areas = np.array([annotation['area'] for annotation in coco['annotations']])
    total = max(len(areas), 1)
    small, large = np.count_nonzero(areas < 32**2), np.count_nonzero(areas >= 96**2)
    return {
        'images': len(by_image),
        'empty': sum(not boxes for boxes in by_image.values()),
        'objects': len(areas),
        'small': small / total,
        'medium': (len(areas) - small - large) / total,
        'large': large / total,
        'overlapping': overlapping / total,
    }


def _overlapping(boxes):
    """How many of an image's boxes overlap another by an IoU of 0.3 or more."""
    ious = _ious(boxes, boxes)
    np.fill_diagonal(ious, 0)
    return int(np.count_nonzero(ious.max(1) >= 0.3))


# --- Writing. ------------------------------------------------------------------------------------


def make_shapes(
    out: str | Path,
    train: int = 1600,
    val: int = 240,
    train_crops: int = 6000,
    val_crops: int = 400,
    size: int = 320,
    seed: int = 0,
    force: bool = False,
) -> None:
    """Write the data set into a folder, complete or not at all.

    The folder holds ``annotations/instances_{train,val}.json``, the pictures in ``train/`` and
    ``val/``, the crops in ``classes/{train,val}/<class>/``, and the arguments in ``shapes.json``.
    The same arguments give the same bytes, and picture number i is the same however many are
    made. One training image in 50 shows no object. A folder that already holds the set asked for
    is left as it is. Files that an earlier call did not make are never removed.

    Args:
        out: Folder to make. Its parents are made where missing.
        train: Training images.
        val: Validation images.
        train_crops: Training crops of 64 x 64 pixels, spread evenly over the classes.
        val_crops: Validation crops.
        size: Side of the square images in pixels, 288 or more; objects stay at 8 to 256 pixels.
        seed: Whole number, 0 or more; another seed gives other pictures.
        force: Replace the set that the folder holds, and write beside files of others.

    Raises:
        UserError: An argument is out of range, the folder holds something else and ``force`` is
            off, a file of others has a name that the set needs, or the folder cannot be written.
        OSError: A file could not be written.
    """
    started = time.perf_counter()
    arguments = _checked(
        train=train, val=val, train_crops=train_crops, val_crops=val_crops, size=size, seed=seed
    )
    out, console = Path(out).resolve(), Console()
    put_back(out)
    if not force and _complete(out, arguments):
        console.print(f'Nothing to do, the set is already in {out}', soft_wrap=True)
        return
    _require_free(out, force)
    with writing(out), folder_aside(out) as part:
        _others(out, arguments)  # those that are in the way are named before the work
        _write(part, arguments, console)
        replace_folder(out, part, keep=_others(out, arguments))
    _report(out, time.perf_counter() - started, console)


def _checked(**arguments):
    """The arguments as plain ints, or a UserError naming the first that is out of range."""
    for name, value in arguments.items():
        least = SMALLEST_IMAGE if name == 'size' else 0
        check_whole(name, int(value) if isinstance(value, np.integer) else value, least)
    return {name: int(value) for name, value in arguments.items()}


def _complete(out, arguments):
    """Whether the folder holds the set that the arguments give."""
    try:
        return parse_json((out / 'shapes.json').read_bytes()) == _manifest(arguments)
    except (OSError, ValueError):
        return False


def _manifest(arguments):
    return {'generator': 'mmscale shapes', 'version': VERSION, 'arguments': arguments}


def _require_free(out, force):
    """Raise a UserError unless the path is new, an empty folder, or a folder to be replaced."""
    if out.exists() and not out.is_dir():
        raise UserError(f'{out} is a file: choose another folder')
    if out.is_dir() and any(out.iterdir()) and not force:
        raise UserError(
            f'{out} already holds something else{_made_with(out)}: choose another folder, or '
            f'replace the shapes in it: mmscale make-shapes {out} --force (force=True)'
        )


def _made_with(out):
    try:
        made = parse_json((out / 'shapes.json').read_bytes())['arguments']
    except (OSError, ValueError, KeyError, TypeError):
        return ''
    return f' (shapes made with {made})'


def _files(arguments):
    """The files of a set, relative to its folder."""
    yield Path('shapes.json')
    for split in SPLITS:
        yield Path('annotations', f'instances_{split}.json')
        yield from (Path(split, f'{index + 1:06d}.jpg') for index in range(arguments[split]))
        for index in range(arguments[f'{split}_crops']):
            yield _crop_file(split, index)


def _crop_file(split, index):
    turn, label = divmod(index, len(CLASSES))
    return Path('classes', split, CLASSES[label], f'{turn + 1:04d}.jpg')


def _others(out, arguments):
    """The files in a folder that are not of the set that it holds, relative to it.

    Raises:
        UserError: If one is where the new set has a file.
    """
    try:
        made = set(_files(parse_json((out / 'shapes.json').read_bytes())['arguments']))
    except (OSError, ValueError, KeyError, TypeError):
        made = set()
    there = (p.relative_to(out) for p in out.rglob('*') if p.is_symlink() or not p.is_dir())
    others = set(there) - made
    for path in _files(arguments) if others else ():
        if taken := others.intersection((path, *path.parents)):
            raise UserError(
                f'{out / taken.pop()} was not made by make-shapes, and the set needs its name: '
                'move it away or choose another folder'
            )
    return others


def _write(folder, arguments, console):
    """Draw and write all files of the set into a new folder."""
    total = sum(arguments[name] for name in ('train', 'val', 'train_crops', 'val_crops'))
    with Progress(console=console) as progress:
        bar = progress.add_task('Drawing shapes', total=total)
        for split in SPLITS:
            _write_images(folder, split, arguments, lambda: progress.advance(bar))
            _write_crops(folder, split, arguments, lambda: progress.advance(bar))
    _save_json(folder / 'shapes.json', _manifest(arguments))


def _write_images(folder, split, arguments, step):
    """Write a split's pictures and their annotations."""
    (folder / split).mkdir()
    annotations = []
    for index in range(arguments[split]):
        rng = np.random.default_rng([arguments['seed'], SPLITS.index(split), index])
        empty = split == 'train' and index % EMPTY_EVERY == EMPTY_EVERY // 2
        picture, those = _draw_image(rng, arguments['size'], empty)
        _save_picture(folder / split / f'{index + 1:06d}.jpg', picture)
        annotations.append(those)
        step()
    coco = _coco(arguments['size'], annotations)
    _save_json(folder / 'annotations' / f'instances_{split}.json', coco)


def _write_crops(folder, split, arguments, step):
    """Write a split's crops, one class after the other in turn."""
    for name in CLASSES:
        (folder / 'classes' / split / name).mkdir(parents=True)
    for index in range(arguments[f'{split}_crops']):
        rng = np.random.default_rng([arguments['seed'], len(SPLITS) + SPLITS.index(split), index])
        _save_picture(folder / _crop_file(split, index), _draw_crop(rng, index % len(CLASSES)))
        step()


def _save_picture(path, picture):
    # Encoding and writing apart is faster than cv2.imwrite, and a full disk raises an OSError.
    path.write_bytes(cv2.imencode('.jpg', picture, [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes())


def _save_json(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, separators=(',', ':')) + '\n')


def _report(out, seconds, console):
    """Print what was made, a row for each split."""
    table = Table(title=f'{seconds:.0f} seconds')
    shares = ('small', 'medium', 'large', 'overlapping')
    for column in ('split', 'images', 'objects', *shares):
        table.add_column(column, justify='left' if column == 'split' else 'right')
    for split in SPLITS:
        counts = statistics(out / 'annotations' / f'instances_{split}.json')
        row = [f'{counts[share]:.0%}' for share in shares]
        table.add_row(split, str(counts['images']), str(counts['objects']), *row)
    console.print(table)
    console.print(f'Shapes are in {out}', soft_wrap=True)
