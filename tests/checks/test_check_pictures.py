"""Pictures: what the loader cannot read, or reads as something else than the annotations say."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from annotation_files import HEIGHT, WIDTH, each, write
from mmcv.transforms import LoadImageFromFile
from PIL import Image

from mmscale.checks.pictures import check_pictures
from mmscale.checks.reading import read_annotations
from mmscale.checks.targets import find_in_file


def saved(path, mode='RGB', size=(WIDTH, HEIGHT), colour=None, **options):
    picture = Image.new(mode, size, colour or 0)
    picture.save(path, **options)


def turned(path, orientation):
    picture = Image.new('RGB', (WIDTH, HEIGHT), (200, 20, 20))
    exif = picture.getexif()
    exif[0x0112] = orientation
    picture.save(path, format='JPEG', exif=exif)


def cut(path, keep, kind='JPEG'):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
    Image.fromarray(pixels).save(path, format=kind)
    path.write_bytes(path.read_bytes()[:keep])


def in_place(make):
    """Something of the picture's name that is no file."""

    def spoil(path):
        path.unlink()
        make(path)

    return spoil


def damaged(path):
    """Whole at both ends, spoilt between them: only decoding tells."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)


KINDS = {
    'empty': ('picture-empty', lambda path: path.write_bytes(b'')),
    'a page': ('picture-none', lambda path: path.write_text('<html>404</html>')),
    'cut in half': ('picture-cut', lambda path: cut(path, 6000)),
    'a cut BMP': ('picture-cut', lambda path: cut(path, 6000, 'BMP')),
    'a cut TIFF': ('picture-cut', lambda path: cut(path, 6000, 'TIFF')),
    'a cut WebP': ('picture-cut', lambda path: cut(path, 3000, 'WEBP')),
    'cut at 60 bytes': ('picture-cut', lambda path: cut(path, 60)),
    '16 bits': ('picture-16-bit', lambda path: saved(path, 'I;16')),
    '16 bits in colour': (
        'picture-16-bit',
        lambda path: cv2.imwrite(str(path), np.full((HEIGHT, WIDTH, 3), 999, np.uint16)),
    ),
    'CMYK': ('picture-cmyk', lambda path: saved(path, 'CMYK', format='JPEG')),
    'another size': ('picture-size', lambda path: saved(path, size=(WIDTH + 1, HEIGHT))),
    'EXIF 6': ('picture-turned', lambda path: turned(path, 6)),
    'EXIF 3': ('picture-orientation', lambda path: turned(path, 3)),
    'a format of Photoshop': ('picture-format', lambda path: saved(path, format='ICO')),
    '32 bits': ('picture-format', lambda path: saved(path, 'F', format='TIFF')),
    'a folder': ('picture-no-file', in_place(Path.mkdir)),
    'a pipe': ('picture-no-file', in_place(os.mkfifo)),
    'a link to itself': ('picture-no-file', in_place(lambda path: path.symlink_to(path))),
    'a device': ('picture-no-file', in_place(lambda path: path.symlink_to('/dev/zero'))),
    'missing': ('picture-missing', lambda path: path.unlink()),
}


@pytest.mark.parametrize(('kind', 'spoil'), KINDS.values(), ids=KINDS)
def test_each_kind_is_named(tmp_path, kind, spoil):
    path = write(tmp_path)
    spoil(tmp_path / 'val' / '2.png')
    found = {finding.kind: finding for finding in find_in_file(path)}
    assert list(found) == [kind]
    assert '2.png' in str(found[kind])


def test_formats_whose_orientation_the_loader_passes_over(tmp_path):
    path = write(tmp_path)
    picture = Image.new('RGB', (WIDTH, HEIGHT))
    exif = picture.getexif()
    exif[0x0112] = 6
    for kind, found in (('WEBP', []), ('PNG', ['picture-turned'])):
        picture.save(tmp_path / 'val' / '2.png', format=kind, exif=exif)
        loaded = LoadImageFromFile()(dict(img_path=str(tmp_path / 'val' / '2.png')))
        assert loaded['img_shape'] == ((WIDTH, HEIGHT) if found else (HEIGHT, WIDTH))
        assert [finding.kind for finding in find_in_file(path)] == found


def test_what_only_decoding_tells(tmp_path):
    path = write(tmp_path)
    damaged(tmp_path / 'val' / '3.png')
    assert [finding.kind for finding in find_in_file(path, deep=True)] == ['picture-cut']


def test_turned_pictures_annotated_upright_are_clean(tmp_path):
    def upright(data):
        each('images', lambda i: i.update(width=HEIGHT, height=WIDTH))(data)
        each('annotations', lambda a: a.update(bbox=a['bbox'][1::-1] + a['bbox'][:1:-1]))(data)

    path = write(tmp_path, upright)
    for i in range(4):
        turned(tmp_path / 'val' / f'{i + 1}.png', 6)
    assert list(find_in_file(path)) == []
    content, _ = read_annotations(path, tmp_path)
    found = list(check_pictures(content, path, tmp_path / 'val', turns=False))
    assert [finding.kind for finding in found] == ['picture-turned']  # by a loader that ignores it


def test_the_rule_is_that_of_the_loader(tmp_path):
    turned(tmp_path / 'x.jpg', 6)
    results = dict(img_path=str(tmp_path / 'x.jpg'))
    for kind, shape in (
        ('color', (WIDTH, HEIGHT)),
        ('color_ignore_orientation', (HEIGHT, WIDTH)),
        ('unchanged', (HEIGHT, WIDTH)),
    ):
        loader = LoadImageFromFile(color_type=kind)
        assert loader(dict(results))['img_shape'] == shape
