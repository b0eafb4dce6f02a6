"""The shapes data set keeps its promises: sizes, overlaps, masks, the same bytes every time."""

import json
import os
import re
import subprocess
import sys

import cv2
import numpy as np
import pytest
from commands import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from mmscale.datasets import shapes
from mmscale.datasets.shapes import CLASSES, make_shapes, statistics

FEW = {'train': 3, 'val': 1, 'train_crops': 9, 'val_crops': 2}


def contents(folder):
    """Every file of a folder by its place in it."""
    files = (path for path in folder.rglob('*') if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def run_tool(*arguments):
    """The command in a process of its own, for its exit code and both of its streams."""
    command = [sys.executable, str(ROOT / 'tools/make_shapes.py'), *map(str, arguments)]
    environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp('shapes') / 'set'
    make_shapes(out, train=60, val=12, train_crops=16, val_crops=10)
    return out


@pytest.fixture(scope='module')
def few(tmp_path_factory):
    out = tmp_path_factory.mktemp('few') / 'set'
    make_shapes(out, **FEW)
    return out


@pytest.fixture(scope='module', params=['train', 'val'])
def coco(request, folder):
    return COCO(folder / 'annotations' / f'instances_{request.param}.json')


@pytest.fixture(scope='module')
def train(folder):
    return json.loads((folder / 'annotations' / 'instances_train.json').read_text())


def test_shares_of_sizes_and_overlaps(folder):
    counts = statistics(folder / 'annotations' / 'instances_train.json')
    assert counts['images'] == 60
    assert 4 <= counts['objects'] / (counts['images'] - counts['empty']) <= 9
    assert min(counts['small'], counts['medium'], counts['large']) >= 0.2
    assert counts['small'] + counts['medium'] + counts['large'] == pytest.approx(1)
    assert counts['overlapping'] >= 1 / 3


def test_overlaps_stay_below_the_usual_nms_threshold(coco):
    for annotations in coco.imgToAnns.values():
        boxes = np.array([annotation['bbox'] for annotation in annotations])
        ious = coco_mask.iou(boxes, boxes, [0] * len(boxes))
        assert np.triu(ious, 1).max() < 0.5


def test_statistics_count_what_the_file_holds(tmp_path):
    boxes = {1: [(0, 0, 10, 10), (0, 0, 10, 31)], 2: [(0, 0, 32, 32), (200, 0, 96, 96)], 3: []}
    coco = {
        'images': [{'id': image} for image in boxes],
        'annotations': [
            {'image_id': image, 'bbox': box, 'area': box[2] * box[3]}
            for image, those in boxes.items()
            for box in those
        ],
    }
    path = tmp_path / 'some.json'
    path.write_text(json.dumps(coco))
    assert statistics(path) == {
        'images': 3,
        'empty': 1,
        'objects': 4,
        'small': 0.5,
        'medium': 0.25,
        'large': 0.25,
        'overlapping': 0.5,
    }


def test_boxes_and_areas_are_those_of_the_decoded_masks(coco):
    for annotation in coco.anns.values():
        mask = coco.annToMask(annotation)
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        seen = [columns[0], rows[0], np.ptp(columns) + 1, np.ptp(rows) + 1]
        assert annotation['bbox'] == seen
        assert annotation['area'] == np.count_nonzero(mask)
        assert annotation['iscrowd'] == 0


def test_masks_of_an_image_share_no_pixel(coco):
    for annotations in coco.imgToAnns.values():
        assert sum(coco.annToMask(annotation).astype(int) for annotation in annotations).max() == 1


def test_sides_are_8_to_256_pixels(coco):
    sides = [max(annotation['bbox'][2:]) for annotation in coco.anns.values()]
    assert min(sides) >= 8
    assert max(sides) <= 256
    assert min(sides) < 16
    assert max(sides) > 160


def test_boxes_lie_in_the_image(coco):
    boxes = np.array([annotation['bbox'] for annotation in coco.anns.values()])
    assert boxes[:, :2].min() >= 0
    assert (boxes[:, :2] + boxes[:, 2:]).max() <= 320


def test_segmentations_have_the_form_mmdet_reads(train):
    for annotation in train['annotations']:
        assert annotation['segmentation'].keys() == {'size', 'counts'}
        assert annotation['segmentation']['size'] == [320, 320]
        assert isinstance(annotation['segmentation']['counts'], str)


def test_a_ring_has_a_hole(coco):
    """Rings that are seen whole: what lies in the middle of the box is not theirs."""
    (ring,) = coco.getCatIds('ring')
    holes = 0
    for annotation in coco.loadAnns(coco.getAnnIds(catIds=ring)):
        x, y, width, height = annotation['bbox']
        whole = 0.5 < annotation['area'] / (width * height) < 0.62
        middle = coco.annToMask(annotation)[int(y + height / 2), int(x + width / 2)]
        assert not (whole and middle)
        holes += whole
    assert holes


def test_an_object_differs_from_what_is_around_it(folder, coco):
    """Mean colour inside a mask against that of the background close by."""
    split = 'train' if len(coco.imgs) == 60 else 'val'
    for image in sorted(coco.imgToAnns)[:12]:
        annotations = coco.imgToAnns[image]
        picture = cv2.imread(str(folder / split / coco.imgs[image]['file_name'])).astype(float)
        masks = [coco.annToMask(annotation) for annotation in annotations]
        free = 1 - cv2.dilate(sum(masks), np.ones((9, 9)))
        for mask in masks:
            band = cv2.dilate(mask, np.ones((31, 31))) * free > 0
            if band.sum() > 50:
                difference = picture[mask > 0].mean(0) - picture[band].mean(0)
                assert np.abs(difference).max() > 25


def test_ids_count_from_one_and_every_class_occurs(coco):
    assert list(coco.imgs) == list(range(1, len(coco.imgs) + 1))
    assert list(coco.anns) == list(range(1, len(coco.anns) + 1))
    assert tuple(coco.cats[number]['name'] for number in range(1, len(coco.cats) + 1)) == CLASSES
    assert {annotation['category_id'] for annotation in coco.anns.values()} == set(coco.cats)


def test_every_image_listed_is_there_in_its_size(folder, train):
    names = {image['file_name'] for image in train['images']}
    assert names == {path.name for path in (folder / 'train').iterdir()}
    for image in train['images'][:5]:
        picture = cv2.imread(str(folder / 'train' / image['file_name']))
        assert picture.shape == (image['height'], image['width'], 3) == (320, 320, 3)


def test_some_training_images_show_no_object(folder):
    assert statistics(folder / 'annotations' / 'instances_train.json')['empty'] == 1
    assert statistics(folder / 'annotations' / 'instances_val.json')['empty'] == 0


def test_crops_lie_in_folders_of_their_class(folder):
    for split, count in (('train', 16), ('val', 10)):
        root = folder / 'classes' / split
        assert {path.name for path in root.iterdir()} == set(CLASSES)
        crops = sorted(root.glob('*/*.jpg'))
        assert len(crops) == count
        assert {cv2.imread(str(crop)).shape for crop in crops} == {(64, 64, 3)}
        each = [len(list((root / name).iterdir())) for name in CLASSES]
        assert max(each) - min(each) <= 1
    assert (folder / 'classes' / 'train' / 'star' / '0002.jpg').exists()


def test_same_seed_gives_the_same_bytes(few, tmp_path):
    make_shapes(tmp_path / 'again', **FEW)
    assert contents(tmp_path / 'again') == contents(few)


def test_other_seed_gives_other_pictures(few, tmp_path):
    make_shapes(tmp_path / 'other', **FEW, seed=1)
    first, second = contents(few), contents(tmp_path / 'other')
    assert first.keys() == second.keys()
    assert not [name for name in first if name.endswith('.jpg') and first[name] == second[name]]


def test_splits_share_no_picture(few):
    pictures = [data for name, data in contents(few).items() if name.endswith('.jpg')]
    assert len(set(pictures)) == len(pictures) == sum(FEW.values())


def test_a_picture_does_not_depend_on_how_many_are_made(folder, few, train):
    several = contents(folder)
    for name, data in contents(few).items():
        if name.endswith('.jpg'):
            assert several[name] == data
    fewer = json.loads((few / 'annotations' / 'instances_train.json').read_text())
    assert fewer['annotations'] == train['annotations'][: len(fewer['annotations'])]


def test_larger_images(tmp_path):
    make_shapes(tmp_path / 'set', train=1, val=0, train_crops=0, val_crops=0, size=400)
    assert cv2.imread(str(tmp_path / 'set' / 'train' / '000001.jpg')).shape == (400, 400, 3)


def test_a_complete_set_is_left_alone(few, capsys):
    before = {path: path.stat().st_mtime_ns for path in few.rglob('*')}
    make_shapes(few, **FEW)
    assert {path: path.stat().st_mtime_ns for path in few.rglob('*')} == before
    assert str(few) in capsys.readouterr().out


def test_a_set_of_other_arguments_is_refused(few):
    before = contents(few)
    with pytest.raises(ValueError, match='--force'):
        make_shapes(few, **FEW, seed=5)
    assert contents(few) == before


def test_a_foreign_folder_is_refused_and_kept(tmp_path):
    (tmp_path / 'notes.txt').write_text('mine')
    with pytest.raises(ValueError, match=tmp_path.name):
        make_shapes(tmp_path, **FEW)
    assert contents(tmp_path) == {'notes.txt': b'mine'}
    assert not list(tmp_path.parent.glob(f'{tmp_path.name}.*'))


def test_a_file_is_refused_even_with_force(tmp_path):
    (tmp_path / 'notes.txt').write_text('mine')
    with pytest.raises(ValueError, match='is a file'):
        make_shapes(tmp_path / 'notes.txt', **FEW, force=True)
    assert contents(tmp_path) == {'notes.txt': b'mine'}


def test_force_replaces_the_set_and_nothing_else(few, tmp_path):
    out = tmp_path / 'set'
    make_shapes(out, **{**FEW, 'train': FEW['train'] + 1})
    (out / 'train/notes.txt').write_text('mine')
    (out / 'train/link.jpg').symlink_to('nowhere')
    make_shapes(out, **FEW, force=True)
    assert (out / 'train/link.jpg').is_symlink()
    (out / 'train/link.jpg').unlink()
    assert contents(out) == {**contents(few), 'train/notes.txt': b'mine'}
    assert list(tmp_path.iterdir()) == [out]


def test_force_names_files_of_others_in_its_way(tmp_path):
    (tmp_path / 'train').mkdir()
    (tmp_path / 'train/000001.jpg').write_text('mine')  # COCO's names are such
    with pytest.raises(ValueError, match='000001.jpg was not made by make-shapes'):
        make_shapes(tmp_path, **FEW, force=True)
    assert contents(tmp_path) == {'train/000001.jpg': b'mine'}


def test_what_a_killed_program_left_is_put_back_and_swept(few, tmp_path):
    out, part = tmp_path / 'set', tmp_path / 'set.0123abcd.tmp'
    make_shapes(out, **FEW)
    out.rename(tmp_path / f'{part.name}-old')  # killed between the two renames
    part.mkdir()
    make_shapes(out, **{**FEW, 'train': FEW['train'] + 1}, force=True)
    make_shapes(out, **FEW, force=True)
    assert contents(out) == contents(few)
    assert list(tmp_path.iterdir()) == [out]


def test_an_empty_folder_is_filled(few, tmp_path):
    make_shapes(tmp_path, **FEW)
    assert contents(tmp_path) == contents(few)


@pytest.mark.parametrize('error', [OSError('disk full'), KeyboardInterrupt()])
@pytest.mark.parametrize('force', [False, True])
def test_failure_leaves_nothing_behind(tmp_path, monkeypatch, error, force):
    out = tmp_path / 'set'
    if force:
        out.mkdir()
        (out / 'notes.txt').write_text('old')
    calls = []

    def encode(*arguments):
        calls.append(arguments)
        if len(calls) > 2:
            raise error
        return True, np.zeros(4, np.uint8)

    monkeypatch.setattr(shapes.cv2, 'imencode', encode)
    with pytest.raises(type(error)):
        make_shapes(out, **FEW, force=force)
    assert len(calls) == 3
    assert contents(tmp_path) == ({'set/notes.txt': b'old'} if force else {})
    assert list(tmp_path.iterdir()) == ([out] if force else [])


NOT_COUNTS = st.integers(max_value=-1) | st.floats() | st.booleans() | st.text() | st.none()


@settings(max_examples=30)
@given(st.sampled_from(['train', 'val', 'train_crops', 'val_crops', 'seed']), NOT_COUNTS)
def test_a_bad_count_is_named(name, value):
    with pytest.raises(ValueError, match='0 or more') as caught:
        make_shapes('never-made', **{name: value})
    assert str(caught.value).startswith(f'{name}=')
    assert repr(value) in str(caught.value)


@settings(max_examples=30)
@given(st.integers(max_value=287) | NOT_COUNTS)
def test_a_bad_size_is_named(size):
    with pytest.raises(ValueError, match='^size=.*288') as caught:
        make_shapes('never-made', size=size)
    assert repr(size) in str(caught.value)


def test_the_tool_makes_a_set_and_says_what_is_in_it(few, tmp_path):
    arguments = ('--train', 3, '--val', 1, '--train-crops', 9, '--val-crops', 2)
    done = run_tool(tmp_path / 'set', *arguments)
    assert done.returncode == 0, done.stderr
    assert contents(tmp_path / 'set') == contents(few)
    for word in ('images', 'objects', 'small', 'medium', 'large', 'overlapping', 'seconds'):
        assert word in done.stdout
    assert str(tmp_path / 'set') in done.stdout


def test_the_tool_prints_one_clear_error(tmp_path):
    done = run_tool(tmp_path / 'set', '--size', 200)
    assert done.returncode == 2
    assert re.search('error: size=200 must be .*288', done.stderr)
    assert 'Traceback' not in done.stderr
    assert not list(tmp_path.iterdir())
