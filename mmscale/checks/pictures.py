"""Pictures of a data set: there, whole, of the size and kind that the annotations are for."""

import functools
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import cv2
from PIL import ExifTags, Image, UnidentifiedImageError

from mmscale.checks.findings import FAULT, NOTE, WARNING, Finding, count, first

THREADS = 8
BLOCK, TRIED = 2048, 32  # pictures; the first of a block tell whether a disk is waited for
END_MARKS = {'JPEG': b'\xff\xd9', 'PNG': b'IEND'}
TAIL = 64  # bytes at the end of a file in which the mark is looked for
TURNED = (5, 6, 7, 8)  # EXIF orientations that swap width and height


class Header(NamedTuple):
    """What the head of a picture says.

    Attributes:
        fault (str): The kind of mistake that keeps it from being read; '' for none.
        size (tuple[int]): Width and height as stored, in pixels.
        orientation (int): EXIF's, 1 is upright.
        odd (str): 'picture-16-bit', 'picture-cmyk' or ''.
    """

    fault: str = ''
    size: tuple[int, int] = (0, 0)
    orientation: int = 1
    odd: str = ''


def check_pictures(
    content: dict[str, Any], path: Path, folder: Path, *, deep: bool = False, turns: bool = True
) -> Iterator[Finding]:
    """Compare the pictures of an annotation file with what it says of them.

    Args:
        content (dict): Well-formed content of the file.
        path (Path): The file.
        folder (Path): The pictures'.
        deep (bool): Decode every pixel, not only the headers.
        turns (bool): The loader turns pictures as their EXIF orientation says. OpenCV's and
            Pillow's "color" do, "color_ignore_orientation" and "unchanged" do not.

    Yields:
        Finding: A kind of mistake.
    """
    images = content['images']
    names = [image['file_name'] for image in images]
    yield from _absolute(names, path)
    missing, present = _missing(names, folder)
    if missing:
        yield _not_there(missing, names, folder)
    missing_too = set(missing)
    there = [image for image in images if image['file_name'] not in missing_too]
    headers = read_headers([present[image['file_name']] for image in there], deep=deep)
    yield from _unreadable([image['file_name'] for image in there], headers, folder)
    yield from _sizes(there, headers, path, turns)


def read_headers(paths: Sequence[str], *, deep: bool = False) -> list[Header]:
    """The headers of pictures, read by several threads where these help.

    They do where a disk is waited for, and where pixels are decoded. Of files that are at hand,
    eight threads read three times slower than one: they wait for Python's lock.

    Args:
        paths (list[str]): Files.
        deep (bool): Decode every pixel too.
    """
    read = functools.partial(read_header, deep=deep)
    headers: list[Header] = []
    with ThreadPoolExecutor(THREADS) as pool:
        for start in range(0, len(paths), BLOCK):
            block = paths[start : start + BLOCK]
            wall, own = time.perf_counter(), time.thread_time()
            headers += map(read, block[:TRIED])
            wall, own = time.perf_counter() - wall, time.thread_time() - own
            rest = block[TRIED:]
            headers += pool.map(read, rest) if deep or wall > 2 * own else map(read, rest)
    return headers


def read_header(path: str, *, deep: bool = False) -> Header:
    """The header of one picture."""
    if not os.path.isfile(path):  # a pipe would be waited for
        return Header('picture-no-file')
    try:
        with open(path, 'rb') as file:
            size = file.seek(0, os.SEEK_END)
            if not size:
                return Header('picture-empty')
            file.seek(max(size - TAIL, 0))
            tail = file.read()
            file.seek(0)
            with Image.open(file) as picture:
                mark = END_MARKS.get(picture.format or '')
                # Cut files lack their end; but some cameras write more behind it. Other formats
                # have no end to be looked for.
                if deep or mark is None or mark not in tail:
                    picture.load()
                known = picture.format in ('JPEG', 'PNG') or cv2.haveImageReader(path)
                if not known or _has_32_bits(picture):
                    return Header('picture-format')
                return Header('', picture.size, _orientation(picture), _odd(picture))
    except UnidentifiedImageError:
        return Header('picture-none')
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return Header('picture-cut')


def _has_32_bits(picture):
    """Whether a TIFF has numbers that OpenCV does not read as a picture."""
    return picture.format == 'TIFF' and picture.mode in ('I', 'F') and '16' not in _raw(picture)


def _raw(picture):
    return str([tile[3] for tile in getattr(picture, 'tile', [])])


def _orientation(picture):
    if 'exif' not in picture.info or picture.format == 'WEBP':  # in which OpenCV follows none
        return 1
    return picture.getexif().get(ExifTags.Base.Orientation, 1)


def _odd(picture):
    """Whether a reader of 8 bits and three channels loses something, or invents colours."""
    if picture.mode.startswith(('I', 'F')) or '16' in _raw(picture):
        return 'picture-16-bit'
    return 'picture-cmyk' if picture.mode == 'CMYK' else ''


def _absolute(names, path):
    absolute = [n for n in names if os.path.isabs(n)]
    if absolute:
        yield Finding(
            WARNING,
            'path-absolute',
            f'{count(absolute, names, "file names")} in {str(path)!r} are absolute paths, such as '
            f'{absolute[0]!r}: data_prefix does not count for them, and another machine has none '
            'of them',
            'write them from the folder of the pictures',
        )


def _missing(names, folder):
    """Those of the pictures that are not there, and the paths of the others, by name."""
    # One listing of each folder instead of a look-up per picture: COCO has 118,000.
    paths = {name: os.path.join(folder, name) for name in names}
    parents = {os.path.dirname(path) for path in paths.values()}
    listed = {p: set(os.listdir(p)) if os.path.isdir(p) else set() for p in parents}
    present = {
        name: path
        for name, path in paths.items()
        if os.path.basename(path) in listed[os.path.dirname(path)]
    }
    return [name for name in paths if name not in present], present


def _not_there(missing, names, folder):
    remedy = 'correct data_prefix, or complete the images'
    if any('\\' in name for name in missing):
        remedy = 'write the paths with /, not backslashes'
    else:
        spelt = {name.lower() for name in os.listdir(folder)} if os.path.isdir(folder) else set()
        if missing[0].lower() in spelt:
            remedy = 'write the names as the files have them: upper and lower case differ'
        elif os.path.isabs(missing[0]) and os.path.basename(missing[0]).lower() in spelt:
            remedy = 'write the names without the folder, they are absolute paths'
    return Finding(
        FAULT,
        'picture-missing',
        f'{len(missing)} of {len(names)} annotated images are missing in {str(folder)!r}, such as '
        f'{missing[:3]}',
        remedy,
    )


UNREADABLE = {
    'picture-no-file': 'a folder or the like',
    'picture-empty': 'without content',
    'picture-none': 'of no picture format',
    'picture-cut': 'cut off or damaged',
    'picture-format': 'of a format that the loader (OpenCV) cannot read',
}
ODD = {
    'picture-16-bit': (
        'have 16 bits a channel or more, of which the loader keeps the upper 8 alone: 12-bit '
        'pictures turn black',
        'scale them to 8 bits',
    ),
    'picture-cmyk': (
        'are CMYK, made for print, and get strange colours from the loader',
        'save them as RGB',
    ),
}


def _unreadable(names, headers, folder):
    for kind, what in UNREADABLE.items():
        found = [name for name, header in zip(names, headers) if header.fault == kind]
        if found:
            yield Finding(
                FAULT,
                kind,
                f'{count(found, names, "pictures")} in {str(folder)!r} are {what}: {first(found)}',
                'replace them, or leave them out of the annotations',
            )
    for kind, (what, remedy) in ODD.items():
        found = [name for name, header in zip(names, headers) if header.odd == kind]
        if found:
            text = f'{count(found, names, "pictures")} in {str(folder)!r} {what}: {first(found)}'
            yield Finding(WARNING, kind, text, remedy)


def _sizes(images, headers, path, turns):
    """Sizes of the file against those of the pictures, as the loader gives them."""
    other, as_stored, unsure = [], [], []
    for image, header in zip(images, headers):
        if header.fault:
            continue
        stored, own = tuple(header.size), (image['width'], image['height'])
        swapped = header.orientation in TURNED
        loaded = stored[::-1] if swapped and turns else stored
        if own != loaded:
            if header.orientation != 1 and own == loaded[::-1]:
                as_stored.append(image['file_name'])
            else:
                other.append((image['file_name'], own, loaded))
        elif header.orientation != 1 and (not swapped or stored[0] == stored[1]):
            unsure.append(image['file_name'])
    if as_stored:
        does, named = (
            ('turns pictures upright as their EXIF orientation says', 'as they are stored')
            if turns
            else ('ignores the EXIF orientation', 'upright')
        )
        yield Finding(
            FAULT,
            'picture-turned',
            f'the loader {does}, but {str(path)!r} has {count(as_stored, images, "pictures")} '
            f'annotated {named}: {first(as_stored)}',
            "LoadImageFromFile's color_type='color_ignore_orientation' reads them as stored"
            if turns
            else "LoadImageFromFile's color_type='color' turns them",
        )
    if other:
        name, own, loaded = other[0]
        yield Finding(
            FAULT,
            'picture-size',
            f'{count(other, images, "pictures")} are not of the size that {str(path)!r} says: '
            f'{name!r} has width {loaded[0]} and height {loaded[1]}, not {own[0]} and {own[1]}',
            'correct width and height, and see whether the boxes are of this size',
        )
    if unsure:
        yield Finding(
            NOTE,
            'picture-orientation',
            f'{count(unsure, images, "pictures")} have an EXIF orientation that the loader '
            f'{"follows" if turns else "ignores"}; sizes cannot tell whether the boxes do: '
            f'{first(unsure)}',
        )
