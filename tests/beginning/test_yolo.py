"""YOLO's labels: lines, files, and where they and their pictures are."""

import json
import os
import shutil

import layouts
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmscale.beginning.layouts import read_folder
from mmscale.beginning.yolo import parse_line
from mmscale.errors import UserError


@pytest.mark.parametrize(
    ('line', 'label', 'points'),
    [
        ('2 0.5 0.5 0.2 0.4', 2, [[0.4, 0.3], [0.6, 0.7]]),
        ('2.0 0.5 0.5 0.2 0.4 0.93', 2, [[0.4, 0.3], [0.6, 0.7]]),  # with a score
        ('\t0  0.1 0.1 0.3 0.1 0.3 0.4\r', 0, [[0.1, 0.1], [0.3, 0.1], [0.3, 0.4]]),
    ],
)
def test_lines(line, label, points):
    found = parse_line(line)
    assert found[0] == label
    assert found[1] == pytest.approx(np.array(points))


@pytest.mark.parametrize(
    ('line', 'why'),
    [
        ('dog 0.5 0.5 0.2 0.4', 'numbers'),
        ('1 0.5 0.5 0.2', 'neither a box'),
        ('1 0.5 0.5 0.2 0.4 0.1 0.2 0.3', 'neither a box'),
        ('1 nan 0.5 0.2 0.4', 'finite'),
        ('1.5 0.5 0.5 0.2 0.4', 'whole'),
        ('1 320 240 20 40', 'pixels'),
        ('1 0.5 0.5 -0.2 0.4', 'negative'),
    ],
)
def test_lines_that_are_none(line, why):
    with pytest.raises(ValueError, match=why):
        parse_line(line)


def test_keypoints_are_passed_over():
    label, points = parse_line('0 0.5 0.5 0.2 0.4 0.5 0.5 2 0.1 0.1 1', keypoints=True)
    assert (label, points.shape) == (0, (2, 2))


words = st.one_of(
    st.floats(width=32).map(str), st.integers(-3, 90).map(str), st.text(max_size=6), st.just('0.5')
)


@given(st.one_of(st.text(max_size=60), st.lists(words, max_size=12).map(' '.join)))
def test_any_text_is_a_shape_or_a_named_mistake(line):
    try:
        label, points = parse_line(line)
    except ValueError as error:
        assert '{' not in str(error)  # notes are formatted
        assert len(str(error)) < 80
    else:
        assert isinstance(label, int)
        assert len(points) >= 2
        assert points.shape[1] == 2
        assert np.isfinite(points).all()


@given(
    st.lists(st.floats(0.05, 0.95), min_size=2, max_size=2),
    st.lists(st.floats(0.01, 0.1), min_size=2, max_size=2),
    st.integers(0, 99),
)
def test_boxes_come_back(centre, size, label):
    line = f'{label} {centre[0]} {centre[1]} {size[0]} {size[1]}'
    found, (low, high) = parse_line(line)
    assert found == label
    assert (low + high) / 2 == pytest.approx(centre)
    assert high - low == pytest.approx(size)


@pytest.fixture(scope='module')
def truth(shapes):
    """Boxes and areas of the shapes, by picture and class."""
    return {split: layouts.read(shapes, split) for split in ('train', 'val')}


def objects(content):
    names = {image['id']: image['file_name'].rpartition('/')[2] for image in content['images']}
    return sorted(
        (names[a['image_id']], a['category_id'], *a['bbox']) for a in content['annotations']
    )


def assert_same_boxes(found, truth):
    found, truth = objects(found), objects(truth)
    assert [row[:2] for row in found] == [row[:2] for row in truth]
    values = [row[2:] for row in found], [row[2:] for row in truth]
    assert np.array(values[0]) == pytest.approx(np.array(values[1]), abs=0.02)


@pytest.mark.parametrize('roboflow', [False, True])
def test_both_layouts(shapes, tmp_path, truth, roboflow):
    found = read_folder(layouts.yolo(shapes, tmp_path, roboflow=roboflow))
    assert list(found.parts) == ['train', 'val']
    assert found.classes == tuple(layouts.names_of(truth['train']))
    assert (found.masks, found.notes) == (False, [])
    for split, part in found.parts.items():
        assert_same_boxes(part.content, truth[split])


def test_outlines_are_kept_to_the_point(shapes, tmp_path, truth):
    found = read_folder(layouts.yolo(shapes, tmp_path, outlines=True))
    assert found.masks
    for split, part in found.parts.items():
        assert_same_boxes(part.content, truth[split])
        for annotation in part.content['annotations']:  # diamonds
            _, _, width, height = annotation['bbox']
            assert annotation['area'] == pytest.approx(width * height / 2, rel=0.01)
            assert len(annotation['segmentation'][0]) == 10


@pytest.fixture
def small(shapes, tmp_path):
    """A set to spoil: its root, and its first label file."""
    root = layouts.yolo(shapes, tmp_path / 'my set ü')
    return root, min((root / 'labels/train').iterdir())


def test_marks_ends_of_lines_and_strange_names_make_no_difference(small, truth):
    root, label = small
    for path in (label, root / 'data.yaml'):
        path.write_bytes(b'\xef\xbb\xbf' + path.read_bytes().replace(b'\n', b'\r\n'))
    picture = root / f'images/train/{label.stem}.jpg'
    picture.rename(picture.with_stem('a picture ü'))
    label.rename(label.with_stem('a picture ü'))
    found = read_folder(root)
    assert found.notes == []
    assert len(found.parts['train'].content['annotations']) == len(truth['train']['annotations'])


@pytest.mark.parametrize(
    ('line', 'note', 'objects'),
    [
        ('0 0.5 0.5 0.1', '1 label line left out: neither a box', 0),
        ('0 1.0 0.5 0.2 0.2', "1 object cut at the picture's edge", 1),
        ('0 1.5 0.5 0.2 0.2', '1 object outside of the picture', 0),
        ('0 0.5 0.5 0 0.2', '1 object without a width or height', 0),
        ('0 0.5 0.5 0.2 0.2\n0 0.5 0.5 0.2 0.2', '1 label line repeated', 1),
        ('', '', 0),
    ],
)
def test_odd_lines_are_handled_and_said(small, line, note, objects):
    root, label = small
    label.write_text(f'{line}\n')
    found = read_folder(root)
    content = found.parts['train'].content
    (image,) = [i for i in content['images'] if label.stem in i['file_name']]
    inside = [a for a in content['annotations'] if a['image_id'] == image['id']]
    assert len(inside) == objects
    assert all(0 <= v <= 320 for a in inside for v in a['bbox'])
    assert all(note in said for said in found.notes)
    assert bool(found.notes) == bool(note)


def test_a_class_that_has_no_name_is_refused(small):
    root, label = small
    label.write_text('0 0.5 0.5 0.2 0.2\n8 0.5 0.5 0.3 0.3\n')
    with pytest.raises(
        UserError, match=rf'object of class 8, such as {label.name} line 2, but data'
    ):
        read_folder(root)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('names: [a, b', 'is not YAML, line 1'),
        ('nc: 3\nnames: [a]', 'nc: 3, but names has 1'),
        ('names: 3', 'must be a list'),
        ('names: {0: a, 2: b}', '0, 1, 2'),
        ('names: [a, a]', 'twice'),
        ('train: nowhere\nnames: [a]', 'labels|class'),
    ],
)
def test_descriptions_that_are_none(small, text, message):
    root, _ = small
    (root / 'data.yaml').write_text(text)
    with pytest.raises(UserError, match=message) as error:
        read_folder(root)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize(
    'where',
    [
        'path: /somewhere/else\ntrain: images/train\nval: images/val',
        'train: {root}/images/train\nval: {root}/images/val',
        'train: train.txt\nval: [images/val]',
        '',
    ],
)
def test_pictures_are_found_wherever_the_description_says(small, where, truth):
    root, _ = small
    pictures = sorted((root / 'images/train').iterdir())
    (root / 'train.txt').write_text(''.join(f'./images/train/{p.name}\n' for p in pictures))
    names = json.dumps(dict(enumerate(layouts.names_of(truth['train']))))
    (root / 'data.yaml').write_text(f'{where.format(root=root)}\nnames: {names}\n')
    found = read_folder(root)
    assert {split: len(part.content['images']) for split, part in found.parts.items()} == dict(
        train=12, val=6
    )


def test_one_folder_named_twice_is_no_validation_set(small):
    root, _ = small
    text = (root / 'data.yaml').read_text()
    (root / 'data.yaml').write_text(text.replace('images/val', 'images/train'))
    found = read_folder(root)
    assert list(found.parts) == ['train']
    assert 'val has the pictures of train again' in found.notes[0]


def test_names_may_be_in_a_text_file(small, truth):
    root, _ = small
    (root / 'data.yaml').unlink()
    with pytest.raises(UserError, match='write data.yaml with names'):
        read_folder(root)
    (root / 'classes.txt').write_text('\n'.join(layouts.names_of(truth['train'])))
    assert len(read_folder(root).parts['val'].content['annotations']) == len(
        truth['val']['annotations']
    )


def test_pictures_that_cannot_be_read_are_left_out(small):
    root, label = small
    picture = root / f'images/train/{label.stem}.jpg'
    picture.write_bytes(picture.read_bytes()[:500])
    found = read_folder(root)
    assert len(found.parts['train'].content['images']) == 11
    assert '1 picture left out (cut off or damaged)' in found.notes[0]


@pytest.mark.parametrize(
    ('lines', 'note'),
    [
        ('train: images/train\nval: nowhere', "val: 'nowhere' has no pictures, left out"),
        ('train: images/train\nval: "{a}"', "val: '{a}' has no pictures, those of 'images/val'"),
        ('train: away\nval: images/val', "train: 'away' has no pictures, those of 'images/train'"),
    ],
)
def test_a_part_that_is_named_and_not_there_is_said(small, truth, lines, note):
    root, _ = small
    if 'nowhere' in lines:
        shutil.rmtree(root / 'images/val')
    names = layouts.names_of(truth['train'])
    (root / 'data.yaml').write_text(f'{lines}\nnames: {names}\n')
    assert any(note in line for line in read_folder(root).notes)


def test_a_description_without_names(small):
    root, _ = small
    (root / 'data.yaml').write_text('train: images/train\nnc: 8\n')
    with pytest.raises(UserError, match=r'data.yaml. names no classes: write names: \[one'):
        read_folder(root)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('cat 0.5 0.5 0.2 0.3\n', r'of the 18 lines .* line 1 \(not all of it are numbers\)'),
        ('', 'no objects: the 18 label files beside them, such as .*, have no lines'),
        (None, 'no labels beside them'),
    ],
)
def test_labels_without_an_object(small, text, message):
    root, _ = small
    for label in (root / 'labels').rglob('*.txt'):
        label.unlink()
        if text is not None:
            label.write_text(text)
    with pytest.raises(UserError, match=message):
        read_folder(root)


def test_labels_without_a_picture_are_said(small):
    root, _ = small
    first, second, *_ = sorted((root / 'images/train').iterdir())
    first.unlink()
    first.symlink_to('gone.jpg')
    second.rename(second.with_suffix('.heic'))
    (root / 'labels/train/classes.txt').write_text('a\n')
    notes = read_folder(root).notes
    named = f"'{first.stem}.txt', '{second.stem}.txt'"
    assert f'2 label files without a picture that OpenCV reads, left out: {named}' in notes


def test_labels_of_pictures_that_a_list_leaves_out_are_no_loss(small):
    root, _ = small
    names = [f'images/train/{path.name}' for path in (root / 'images/train').iterdir()]
    (root / 'train.txt').write_text('\n'.join(names[:5]))
    data = root / 'data.yaml'
    data.write_text(data.read_text().replace('train: images/train', 'train: train.txt'))
    found = read_folder(root)
    assert len(found.parts['train'].content['images']) == 5
    assert not [note for note in found.notes if 'left out' in note]


def test_lines_of_a_list_without_a_picture_are_said(small):
    root, _ = small
    names = [f'images/train/{path.name}' for path in (root / 'images/train').iterdir()]
    (root / 'train.txt').write_text('\n'.join([*names, 'images/train/gone.jpg', '/etc/passwd']))
    data = root / 'data.yaml'
    data.write_text(data.read_text().replace('train: images/train', 'train: train.txt'))
    found = read_folder(root)
    assert len(found.parts['train'].content['images']) == len(names)
    gone = "'images/train/gone.jpg', '/etc/passwd'"
    assert f'2 lines of train.txt without a picture, left out: {gone}' in found.notes


def test_labels_in_utf_16_are_read(small):
    root, _ = small
    label = min((root / 'labels/train').iterdir())
    before = read_folder(root)
    label.write_bytes(label.read_text().encode('utf-16'))
    after = read_folder(root)
    assert after.parts['train'].content == before.parts['train'].content
    assert after.notes == before.notes


def test_names_are_taken_as_they_are_written(small):
    root, _ = small
    data = root / 'data.yaml'
    head = data.read_text().partition('nc:')[0]
    data.write_text(f'{head}nc: 8\nnames: [yes, no, null, 2.50, 0x1F, 010, on, ~]\n')
    assert read_folder(root).classes == ('yes', 'no', 'null', '2.50', '0x1F', '010', 'on', '~')


def test_a_pipe_is_not_waited_for(small):
    root, _ = small
    os.mkfifo(root / 'other.yaml')
    assert read_folder(root).layout == 'YOLO (data.yaml)'
