"""Annotation files: whatever is wrong with them is one error before training, or a warning."""

import json
import re

import pytest

from mmscale.checks.data import check_data
from mmscale.datasets.shapes import CLASSES
from mmscale.engine.config import load_config
from mmscale.errors import UserError

DETECTOR = 'shapes/faster-rcnn_rexnet-100_fpn_shapes'


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


def set_to(kind, **values):
    def change(content):
        content[kind][0].update(values)

    return change


def without(kind, key):
    def change(content):
        del content[kind][0][key]

    return change


def twice(kind, key):
    def change(content):
        content[kind][1][key] = content[kind][0][key]

    return change


WRONG = {
    'a number': (lambda content: 5, "no lists ['images', 'annotations', 'categories']"),
    'null': (lambda content: content.update(annotations=None), "no lists ['annotations']"),
    'no images': (lambda content: content.update(images=[]), 'has no images'),
    'entry': (lambda content: content['images'].insert(0, 7), 'images[0]'),
    'iscrowd': (without('annotations', 'iscrowd'), "lacks 'iscrowd': 0, or 1 for a crowd"),
    'area': (without('annotations', 'area'), 'annotations[0]'),
    'bbox': (set_to('annotations', bbox=[1, 2, 3]), "has 'bbox': [1, 2, 3]; it should be four"),
    'null box': (set_to('annotations', bbox=None), "has 'bbox': None"),
    'nan': (set_to('annotations', bbox=[0, 0, float('nan'), 1]), 'it should be four numbers'),
    'category': (without('annotations', 'category_id'), "lacks 'category_id'"),
    'image_id': (without('annotations', 'image_id'), "lacks 'image_id'"),
    'file_name': (without('images', 'file_name'), 'images[0]'),
    'width': (set_to('images', width=0), "has 'width': 0; it should be pixels"),
    'name': (without('categories', 'name'), "lacks 'name'"),
    'same id': (twice('annotations', 'id'), 'ids of annotations come twice'),
    'same image': (twice('images', 'id'), 'ids of images come twice'),
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
    assert f'write them as {CLASSES[::-1]}' in str(error.value)


@pytest.mark.parametrize(
    ('classes', 'words'),
    [('circle', "a single class is ('circle',)"), (CLASSES[:1] * 2, 'classes of the config come')],
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
    with pytest.raises(UserError, match='is left to train on'):
        check(shapes, tmp_path, change, 'train')


LOST = {
    'box': (set_to('annotations', bbox=[3, 4, 0, 5]), '1 of .* have boxes without'),
    'image': (set_to('annotations', image_id=10**6), '1 of .* have an image_id that no'),
    'category': (set_to('annotations', category_id=77), '1 of .* have a category_id that no'),
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
