"""Semantic maps from instance masks: what every pixel is, and what no map is drawn from."""

import json

import cv2
import numpy as np
import pytest
from commands import tool
from pycocotools import mask as coco_mask

from mmscale.errors import UserError
from mmscale.semantic import make_semantic

CATEGORIES = [
    dict(id=3, name='cat', supercategory='animal'),
    dict(id=7, name='dog', supercategory='animal'),
    dict(id=9, name='cup', supercategory='kitchen'),
]


def box(x, y, width, height):
    return [[x, y, x + width, y, x + width, y + height, x, y + height]]


def run_lengths(x, y, width, height, compressed):
    mask = np.zeros((20, 30), np.uint8, order='F')
    mask[y : y + height, x : x + width] = 1
    if compressed:
        encoded = coco_mask.encode(mask)
        return dict(size=[20, 30], counts=encoded['counts'].decode())
    edges = np.flatnonzero(np.diff(mask.ravel(order='F'), prepend=0, append=0))
    return dict(size=[20, 30], counts=np.diff([0, *edges, mask.size]).tolist())


def content(*objects, **changes):
    """An annotation file of one picture, 30 px wide and 20 px high."""
    annotations = [
        dict(
            id=index + 1, image_id=1, category_id=category, segmentation=mask, bbox=[0, 0, 9, 9],
            area=81, iscrowd=crowd,
        )
        for index, (category, mask, crowd) in enumerate(objects)
    ]  # fmt: skip
    images = [dict(id=1, file_name='a/b.jpg', width=30, height=20)]
    return dict(images=images, annotations=annotations, categories=CATEGORIES) | changes


@pytest.fixture
def written(tmp_path):
    """Writes an annotation file, and returns its path."""

    def write(given, name='instances_train.json'):
        path = tmp_path / name
        path.write_text(given if isinstance(given, str) else json.dumps(given))
        return path

    return write


def map_of(made, folder='train'):
    return cv2.imread(str(made / folder / 'a/b.png'), cv2.IMREAD_UNCHANGED)


@pytest.mark.parametrize(
    ('classes', 'names', 'labels'),
    [
        ('things', ['background', 'thing'], (1, 1, 1)),
        ('supercategories', ['background', 'animal', 'kitchen'], (1, 1, 2)),
        ('categories', ['background', 'cat', 'dog', 'cup'], (1, 2, 3)),
    ],
)
def test_numbers_are_those_of_the_names(written, tmp_path, classes, names, labels):
    file = written(
        content((3, box(0, 0, 5, 5), 0), (7, box(10, 0, 5, 5), 0), (9, box(20, 0, 5, 5), 0))
    )
    made = make_semantic(tmp_path / 'out', [file], classes=classes)
    labels_found = map_of(tmp_path / 'out')
    assert labels_found.shape == (20, 30)
    assert (labels_found[2, 2], labels_found[2, 12], labels_found[2, 22]) == labels
    assert (labels_found == 0).sum() == 20 * 30 - 3 * 25
    assert (
        made.classes == names == json.loads((tmp_path / 'out/classes.json').read_text())['classes']
    )
    assert made.counts == dict(train=1)
    assert sum(made.shares) == pytest.approx(1)
    assert made.shares[0] == pytest.approx(525 / 600)


def test_smaller_objects_lie_on_larger_ones_and_on_crowds(written, tmp_path):
    large, small, crowd = box(0, 0, 10, 10), box(2, 2, 4, 4), run_lengths(5, 5, 20, 10, True)
    file = written(content((9, small, 0), (3, large, 0), (7, crowd, 1)))
    make_semantic(tmp_path / 'out', [file], classes='categories')
    labels = map_of(tmp_path / 'out')
    assert (labels[3, 3], labels[0, 0], labels[8, 8]) == (3, 1, 1)
    assert (labels == 255).sum() == 20 * 10 - 5 * 5


@pytest.mark.parametrize('compressed', [True, False])
def test_run_lengths_are_drawn_to_the_pixel(written, tmp_path, compressed):
    file = written(content((3, run_lengths(4, 5, 6, 7, compressed), 0)))
    make_semantic(tmp_path / 'out', [file])
    expected = np.zeros((20, 30), bool)
    expected[5:12, 4:10] = True
    assert np.array_equal(map_of(tmp_path / 'out') == 1, expected)


def test_several_files_become_several_folders_and_are_made_anew(written, tmp_path):
    one = content((3, box(0, 0, 5, 5), 0))
    files = [written(one), written(one, 'own.json')]
    make_semantic(tmp_path / 'out', files)
    assert np.array_equal(map_of(tmp_path / 'out'), map_of(tmp_path / 'out', 'own'))
    more = [written(content((3, box(2, 2, 5, 5), 0))), files[1], written(one, 'third.json')]
    make_semantic(tmp_path / 'out', more)
    names = ['classes.json', 'own', 'third', 'train']
    assert sorted(p.name for p in (tmp_path / 'out').iterdir()) == names
    assert not np.array_equal(map_of(tmp_path / 'out'), map_of(tmp_path / 'out', 'own'))


def test_maps_of_other_files_stay(written, tmp_path):
    one = content((3, box(0, 0, 5, 5), 0))
    make_semantic(tmp_path / 'out', [written(one, 'own.json')])
    with pytest.raises(UserError, match=r"\['own'\].*all files in one call"):
        make_semantic(tmp_path / 'out', [written(one)])
    assert map_of(tmp_path / 'out', 'own').any()


OTHERS = [dict(id=3, name='cat', supercategory='food')]
NAMELESS = [dict(id=3, name='cat')]
BAD = {
    'no JSON': ('{', 'not JSON'),
    'no COCO': ('[]', 'COCO'),
    'no images': (content(images=[]), 'no images'),
    'no mask': (content((3, [], 0)), r'annotations\[0\].*polygons or run lengths'),
    'a polygon of two corners': (content((3, [[0, 0, 1, 1]], 0)), 'three corners'),
    'runs beyond the picture': (content((3, dict(size=[20, 30], counts='5' * 9), 0)), 'add up'),
    'runs of another size': (content((3, dict(size=[9, 9], counts=[81]), 0)), 'another size'),
    'no supercategory': (content((3, box(0, 0, 5, 5), 0), categories=NAMELESS), 'supercategory'),
    'out of the folder': (
        content(
            (3, box(0, 0, 5, 5), 0),
            images=[dict(id=1, file_name='../../b.jpg', width=30, height=20)],
        ),
        'leads out',
    ),
    'two pictures of one name': (
        content(
            (3, box(0, 0, 5, 5), 0),
            images=[
                dict(id=i, file_name=f'b.{end}', width=30, height=20)
                for i, end in enumerate(('jpg', 'png'), 1)
            ],
        ),
        'would share a map',
    ),
    'too large': (
        content(
            (3, box(0, 0, 5, 5), 0),
            images=[dict(id=1, file_name='b.jpg', width=10**9, height=10**9)],
        ),
        'larger than',
    ),
}  # fmt: skip


@pytest.mark.parametrize(('given', 'words'), BAD.values(), ids=BAD)
def test_what_cannot_be_drawn_is_named_and_nothing_is_written(written, tmp_path, given, words):
    file = written(given)
    with pytest.raises(UserError, match=words):
        make_semantic(tmp_path / 'out', [file])
    assert list(tmp_path.iterdir()) == [file]


def test_files_of_several_sets_are_refused(written, tmp_path):
    first = written(content((3, box(0, 0, 5, 5), 0)))
    other = written(content((3, box(0, 0, 5, 5), 0), categories=OTHERS), 'other.json')
    make_semantic(tmp_path / 'out', [first])
    before = map_of(tmp_path / 'out')
    for files, words in (
        ([first, other], 'other supercategories'),
        ([first, first], 'share the folder'),
        ([tmp_path / 'none.json'], 'missing'),
    ):
        with pytest.raises(UserError, match=words):
            make_semantic(tmp_path / 'out', files)
    assert np.array_equal(map_of(tmp_path / 'out'), before)
    with pytest.raises(UserError, match="classes='colours' is unknown"):
        make_semantic(tmp_path / 'out', [first], classes='colours')


def test_folders_of_others_stay(written, tmp_path):
    file = written(content((3, box(0, 0, 5, 5), 0)))
    for out, words in ((tmp_path, 'something else'), (file, 'is a file')):
        with pytest.raises(UserError, match=words):
            make_semantic(out, [file])
    assert list(tmp_path.iterdir()) == [file]


def test_the_command_says_what_was_made(written, tmp_path, capsys):
    file = written(content((3, box(0, 0, 5, 5), 0)))
    tool('make_semantic')([str(tmp_path / 'out'), str(file), '--classes', 'things'])
    printed = capsys.readouterr().out
    assert 'train: 1 maps' in printed
    assert '95.83%' in printed
    with pytest.raises(SystemExit, match=r"error: .*none\.json' is missing"):
        tool('make_semantic')([str(tmp_path / 'out'), str(tmp_path / 'none.json')])
