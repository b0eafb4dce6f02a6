"""Annotation files: whatever is wrong with them is one error before training, or a warning."""

import json
import re
import shutil

import pytest
from annotation_files import one, without
from runs import CLASSIFIER, DETECTOR

from mmscale.checks.data import check_data
from mmscale.datasets.shapes import CLASSES
from mmscale.engine.config import load_config
from mmscale.engine.training import train
from mmscale.errors import UserError


def check(shapes, tmp_path, change, split='val', overrides=None):
    """Check the shapes set after `change(content)` of a split's annotations."""
    content = json.loads((shapes / f'annotations/instances_{split}.json').read_text())
    content = change(content) or content
    path = tmp_path / 'changed.json'
    path.write_text(json.dumps(content))
    loader = f'{split}_dataloader.dataset'
    files = {f'{loader}.ann_file': str(path)}
    if split == 'val':
        files['val_evaluator.ann_file'] = str(path)
    cfg = load_config(DETECTOR, {**files, **(overrides or {})})
    check_data(cfg, (split,))


def twice(kind, key):
    def change(content):
        content[kind][1][key] = content[kind][0][key]

    return change


WRONG = {
    'a number': (lambda content: 5, "['images', 'annotations', 'categories']"),
    'null': (lambda content: content.update(annotations=None), "['annotations']"),
    'no images': (lambda content: content.update(images=[]), 'no images'),
    'entry': (lambda content: content['images'].insert(0, 7), 'images[0]'),
    'iscrowd': (without('annotations', 'iscrowd'), "lacks 'iscrowd'"),
    'area': (without('annotations', 'area'), 'annotations[0]'),
    'bbox': (one('annotations', bbox=[1, 2, 3]), "'bbox': [1, 2, 3]; "),
    'null box': (one('annotations', bbox=None), "'bbox': None"),
    'nan': (one('annotations', bbox=[0, 0, float('nan'), 1]), 'four numbers'),
    'category': (without('annotations', 'category_id'), "lacks 'category_id'"),
    'image_id': (without('annotations', 'image_id'), "lacks 'image_id'"),
    'file_name': (without('images', 'file_name'), 'images[0]'),
    'width': (one('images', width=0), "'width': 0; "),
    'name': (without('categories', 'name'), "lacks 'name'"),
    'same id': (twice('annotations', 'id'), 'annotations come twice'),
    'same image': (twice('images', 'id'), 'images come twice'),
    'same name': (twice('categories', 'name'), 'categories come twice'),
}


@pytest.mark.parametrize(('change', 'words'), WRONG.values(), ids=WRONG)
def test_malformed_annotations_are_one_error(shapes, tmp_path, change, words):
    with pytest.raises(UserError) as error:
        check(shapes, tmp_path, change)
    assert words in str(error.value)
    assert 'changed.json' in str(error.value)


def test_whole_files_pass(shapes, tmp_path):
    for split in ('train', 'val'):
        check(shapes, tmp_path, lambda content: None, split)


def test_training_needs_no_iscrowd(shapes, tmp_path):
    check(shapes, tmp_path, without('annotations', 'iscrowd'), 'train')


def test_masks_need_segmentations(shapes, tmp_path):
    pipeline = [dict(type='LoadAnnotations', with_bbox=True, with_mask=True)]
    overrides = {'train_dataloader.dataset.pipeline': pipeline}
    change = without('annotations', 'segmentation')
    check(shapes, tmp_path, change, 'train')
    with pytest.raises(UserError, match="lacks 'segmentation'"):
        check(shapes, tmp_path, change, 'train', overrides)


@pytest.mark.parametrize('split', ['train', 'val'])
def test_another_order_of_the_classes_is_refused(shapes, tmp_path, split):
    with pytest.raises(UserError) as error:
        check(shapes, tmp_path, lambda content: content['categories'].reverse(), split)
    assert str(CLASSES[::-1]) in str(error.value)


@pytest.mark.parametrize(
    ('classes', 'words'),
    [('circle', "('circle',)"), (CLASSES[:1] * 2, 'twice')],
)
def test_classes_that_are_no_list_of_names(shapes, tmp_path, classes, words):
    overrides = {'val_dataloader.dataset.metainfo': dict(classes=classes)}
    with pytest.raises(UserError) as error:
        check(shapes, tmp_path, lambda content: None, overrides=overrides)
    assert words in str(error.value)


@pytest.mark.parametrize(
    'change',
    [
        lambda content: content['annotations'].clear(),
        lambda content: [image.update(width=20) for image in content['images']] and None,
    ],
    ids=['no objects', 'small images'],
)
def test_nothing_to_train_on(shapes, tmp_path, change):
    with pytest.raises(UserError, match='left to train on'):
        check(shapes, tmp_path, change, 'train')


LOST = {
    'box': (one('annotations', bbox=[3, 4, 0, 5]), '1 of .* boxes'),
    'image': (one('annotations', image_id=10**6), '1 of .*image_id'),
    'category': (one('annotations', category_id=77), '1 of .*category_id'),
}


@pytest.mark.parametrize(('change', 'words'), LOST.values(), ids=LOST)
def test_what_is_left_out_is_a_warning(shapes, tmp_path, log, change, words):
    check(shapes, tmp_path, change)
    assert len(log) == 1
    assert re.search(words, log[0])


def test_evaluators_look_at_files_too(shapes, tmp_path):
    overrides = {'val_evaluator.ann_file': 'no.json'}
    with pytest.raises(UserError, match="val_evaluator.ann_file='no.json' is missing"):
        check(shapes, tmp_path, lambda content: None, overrides=overrides)


FOLDERS = {
    'missing': (lambda root: shutil.rmtree(root / 'classes'), ['is missing', 'IMAGENET_ROOT']),
    'no classes': (
        lambda root: [shutil.rmtree(p) for p in (root / 'classes/train').iterdir()],
        ['has no class folders'],
    ),
    'other classes': (
        lambda root: (root / 'classes/val/circle2').mkdir(),
        ["differ in the classes ['circle2']"],
    ),
    'count': (
        lambda root: [(root / f'classes/{split}/zebra').mkdir() for split in ('train', 'val')],
        ['model.head.num_classes=8', '9 class folders', 'model.head.num_classes=9'],
    ),
}


@pytest.mark.parametrize(('change', 'words'), FOLDERS.values(), ids=FOLDERS)
def test_wrong_folders_are_one_error(shapes, tmp_path, monkeypatch, change, words):
    root = tmp_path / 'shapes'
    shutil.copytree(shapes / 'classes', root / 'classes')
    change(root)
    monkeypatch.setenv('SHAPES_ROOT', str(root))
    with pytest.raises(UserError) as error:
        train(CLASSIFIER, work_dir=tmp_path / 'run')
    assert all(word in str(error.value) for word in words), str(error.value)
    assert not (tmp_path / 'run').exists()
