"""Several sets behind one evaluator: ids in common, pictures twice, a file of some of them."""

import json
from pathlib import Path

import pytest
from annotation_files import CLASSES, each, write
from mmengine.config import Config

from mmscale.checks.data import find_in_data

PACK = dict(type='PackDetInputs', meta_keys=('img_id', 'ori_shape', 'scale_factor', 'instances'))


def moved(by):
    """Other ids of images and annotations."""

    def change(data):
        each('images', lambda i: i.update(id=i['id'] + by))(data)
        each('annotations', lambda a: a.update(id=a['id'] + by, image_id=a['image_id'] + by))(data)

    return change


def one_set(root, split):
    return dict(
        type='CocoDataset',
        data_root=str(root),
        metainfo=dict(classes=CLASSES),
        ann_file=f'annotations/{split}.json',
        data_prefix=dict(img=f'{split}/'),
        pipeline=[dict(type='LoadImageFromFile'), PACK],
    )


def config(root, dataset, **metric):
    return Config(
        dict(
            model=dict(),
            work_dir=str(root / 'work'),
            test_dataloader=dict(dataset=dataset),
            test_evaluator=dict(type='CocoMetric', **metric),
        )
    )


def kinds(cfg, **options):
    return [finding.kind for finding in find_in_data(cfg, ('test',), **options)]


def both(root):
    return dict(type='ConcatDataset', datasets=[one_set(root, 'a'), one_set(root, 'b')])


def joined(root, change=None):
    """One file of the annotations of both."""
    parts = [json.loads((root / f'annotations/{name}.json').read_text()) for name in 'ab']
    whole = {key: parts[0][key] + parts[1][key] for key in ('images', 'annotations')}
    whole['categories'] = parts[0]['categories']
    if change:
        change(whole)
    path = root / 'both.json'
    path.write_text(json.dumps(whole))
    return str(path)


@pytest.fixture
def two(tmp_path):
    write(tmp_path, split='a')
    write(tmp_path, moved(100), split='b')
    return tmp_path


def test_sets_that_fit_have_none(two):
    assert kinds(config(two, both(two))) == []
    assert kinds(config(two, both(two), ann_file=joined(two))) == []


def test_sets_with_ids_in_common(tmp_path):
    write(tmp_path, split='a')
    write(tmp_path, split='b')
    assert kinds(config(tmp_path, both(tmp_path))) == ['ids-in-several']


@pytest.mark.parametrize('file', ['annotations/a.json', 'fewer'])
def test_an_evaluator_of_some_of_them(two, file):
    path = str(two / file) if file != 'fewer' else joined(two, lambda d: d['annotations'].pop())
    assert kinds(config(two, both(two), ann_file=path)) == ['evaluator-other-file']


def test_the_evaluators_own_file_is_mended_too(two):
    from_zero = each('annotations', lambda a: a.update(id=a['id'] - 1))
    cfg = config(two, both(two), ann_file=joined(two, from_zero))
    assert kinds(cfg, apply=True) == ['annotation-id']
    mended = json.loads(Path(cfg.test_evaluator.ann_file).read_text())
    assert min(a['id'] for a in mended['annotations']) == 1


@pytest.mark.parametrize('times', [1, 2])
def test_pictures_more_than_once(two, times):
    repeated = dict(type='RepeatDataset', times=times, dataset=one_set(two, 'a'))
    assert kinds(config(two, repeated)) == ['set-repeated'] * (times - 1)
    nested = dict(type='ConcatDataset', datasets=[repeated])
    assert kinds(config(two, nested)) == ['set-repeated'] * (times - 1)


def test_predictions_under_ids_that_are_numbered_anew(tmp_path):
    write(tmp_path, moved(10**17), split='a')
    found = kinds(config(tmp_path, one_set(tmp_path, 'a'), outfile_prefix='x'))
    assert 'image-id-written' in found

    def named(data):
        each('categories', lambda c: c.update(id=str(c['id'])))(data)
        each('annotations', lambda a: a.update(category_id=str(a['category_id'])))(data)

    write(tmp_path, named, split='b')
    found = kinds(config(tmp_path, one_set(tmp_path, 'b'), outfile_prefix='x'))
    assert 'category-id-written' in found


def test_pictures_that_are_trained_on_too(two):
    cfg = config(two, one_set(two, 'a'))
    cfg.train_dataloader = dict(dataset=one_set(two, 'b'))
    cfg.train_dataloader.dataset.data_prefix.img = 'a/'
    found = [finding.kind for finding in find_in_data(cfg, ('train', 'test'))]
    assert found == ['picture-in-both']
