"""Pictures in every form are the same pixels; what is none is refused in a line."""

import contextlib
import shutil

import cv2
import numpy as np
import pytest
from PIL import Image

from mmscale.datasets.pictures import list_pictures
from mmscale.errors import UserError
from mmscale.inference.sources import is_endless, pictures_of
from mmscale.inference.videos import describe_video, frames_of, video_writer

# Each makes a form of the picture in a file, and says whether its arrays are RGB.
FORMS = {
    'path': lambda path: (path, False),
    'text': lambda path: (str(path), False),
    'pattern': lambda path: (str(path.parent / '[a]*.png'), False),
    'BGR': lambda path: (cv2.imread(str(path)), False),
    'RGB': lambda path: (cv2.imread(str(path))[..., ::-1].copy(), True),
    'view': lambda path: (cv2.imread(str(path))[..., ::-1], True),
    'opacity': lambda path: (np.dstack([cv2.imread(str(path)), np.full((48, 64), 7, 'u1')]), False),
    'PIL': lambda path: (Image.open(path), False),
    'bytes': lambda path: (path.read_bytes(), False),
    'memoryview': lambda path: (memoryview(path.read_bytes()), False),
    'list': lambda path: ([path], False),
    'iterator': lambda path: (iter([path]), False),
}


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Two pictures without loss, and a text beside them."""
    folder = tmp_path_factory.mktemp('pictures')
    for seed, name in enumerate(('a.png', 'b.png')):
        pixels = np.random.default_rng(seed).integers(0, 255, (48, 64, 3), np.uint8)
        cv2.imwrite(str(folder / name), pixels)
    (folder / 'notes.txt').write_text('no picture')
    return folder


@pytest.mark.parametrize('form', FORMS)
def test_every_form_is_the_same_picture(folder, form):
    given, rgb = FORMS[form](folder / 'a.png')
    assert is_endless(given) == (form == 'iterator')
    (picture,) = pictures_of(given, rgb)
    assert np.array_equal(picture.pixels, cv2.imread(str(folder / 'a.png')))
    assert picture.pixels.flags.c_contiguous
    named = form in ('path', 'text', 'pattern', 'list', 'iterator')
    assert picture.path == (str(folder / 'a.png') if named else None)


def test_folders_and_mixed_lists_keep_their_order(folder):
    assert [p.path for p in pictures_of(folder)] == [str(folder / n) for n in ('a.png', 'b.png')]
    grey = np.full((8, 8), 5, np.uint8)
    found = list(pictures_of([str(folder / 'b.png'), folder, grey]))
    assert [p.path and p.path[-5:] for p in found] == ['b.png', 'a.png', 'b.png', None]
    assert found[-1].pixels.shape == (8, 8, 3)


def test_pictures_are_turned_as_their_data_say(tmp_path):
    pixels = np.zeros((32, 64, 3), np.uint8)
    pixels[:, :32] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    Image.fromarray(pixels).save(tmp_path / 'turned.png', exif=exif)
    for given in (tmp_path / 'turned.png', Image.open(tmp_path / 'turned.png')):
        (picture,) = pictures_of(given)
        assert picture.pixels.shape == (64, 32, 3)
        assert picture.pixels[:20].min() == 255


def test_videos_are_written_whole_and_read_frame_by_frame(tmp_path):
    path = tmp_path / 'grey.mp4'
    with video_writer(path, 12.5) as add:
        for level in range(0, 200, 40):
            add(np.full((48, 64, 3), level, np.uint8))
    assert [entry.name for entry in tmp_path.iterdir()] == ['grey.mp4']
    assert describe_video(str(path)) == (12.5, 5)
    assert is_endless(path)
    found = list(pictures_of(path))
    assert [picture.frame for picture in found] == list(range(5))
    levels = [picture.pixels.mean() for picture in found]
    np.testing.assert_allclose(levels, range(0, 200, 40), atol=4)
    assert [p.frame for p in pictures_of(iter([path]))] == list(range(5))


def test_what_was_stopped_leaves_no_video(tmp_path):
    with contextlib.suppress(KeyboardInterrupt), video_writer(tmp_path / 'half.mp4', 25) as add:
        add(np.zeros((48, 64, 3), np.uint8))
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ('given', 'words'),
    [
        ('nowhere.jpg', "'nowhere.jpg' is missing"),
        ('nowhere/*.jpg', r"'nowhere/\*\.jpg' matches no file"),
        ('https://host/a.jpg?token=1', r"'https://host/a\.jpg.* is an address: fetch it"),
        (np.zeros((8, 8, 3)), r'float64 and shape \(8, 8, 3\) must be uint8'),
        (np.zeros((2, 8, 8, 3), np.uint8), r'\(2, 8, 8, 3\) must be uint8 .* list'),
        (np.zeros((8, 8, 5), np.uint8), r'\(8, 8, 5\) must have 3 channels'),
        (b'', '0 bytes cannot be read'),
        (b'no picture', '10 bytes cannot be read'),
        (7, 'of type int; what is taken: a path'),
        (['clip.mp4'], "'clip.mp4' is a video: give it alone"),
    ],
)
def test_what_is_no_picture_is_named(given, words):
    with pytest.raises(UserError, match=words) as error:
        list(pictures_of(given))
    assert '\n' not in str(error.value)


def test_missing_videos_and_broken_files_are_named(folder, tmp_path):
    broken = tmp_path / 'broken.mp4'
    broken.write_text('no video')
    for path, words in ((broken, "broken.mp4' cannot be read"), ('gone.mp4', 'is missing')):
        with pytest.raises(UserError, match=words):
            list(frames_of(str(path)))
    with pytest.raises(UserError, match="notes.txt' cannot be read"):
        list(pictures_of(folder / 'notes.txt'))
    with pytest.raises(UserError, match=r'has no pictures \(.*\)$'):
        pictures_of(tmp_path)
    (tmp_path / 'a/b').mkdir(parents=True)
    shutil.copy(folder / 'a.png', tmp_path / 'a/b/cat.PNG')
    for listed in (pictures_of, lambda path: list_pictures([path])):
        with pytest.raises(UserError, match="has no pictures .*; there are some in '.*/a/b'$"):
            listed(tmp_path)
