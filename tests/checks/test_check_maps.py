"""Data sets of mmseg: pictures and maps that are there, numbers that have a class."""

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope
from PIL import Image

pytest.importorskip('mmseg')

from mmscale.checks.maps import find_in_maps
from mmscale.engine.checks import find_in_run
from mmscale.engine.config import load_config


def segmentation_set(root, **changes):
    """A config with a set of three pictures, whose maps have the numbers 0, 1 and 255."""
    for folder in ('pictures', 'maps'):
        (root / folder).mkdir()
    for name in 'abc':
        Image.new('RGB', (8, 6)).save(root / f'pictures/{name}.jpg')
        numbers = np.zeros((6, 8), np.uint8)
        numbers[0], numbers[1] = 1, 255
        Image.fromarray(numbers).save(root / f'maps/{name}.png')
    dataset = dict(
        type='BaseSegDataset',
        data_root=str(root),
        data_prefix=dict(img_path='pictures', seg_map_path='maps'),
        metainfo=dict(classes=('one', 'two')),
        pipeline=[dict(type='LoadImageFromFile')],
    )
    dataset.update(changes)
    return Config(
        dict(
            default_scope='mmseg',
            model=dict(decode_head=dict(num_classes=2)),
            train_dataloader=dict(dataset=dict(type='RepeatDataset', times=2, dataset=dataset)),
            val_dataloader=dict(dataset=dataset),
        )
    )


def kinds(cfg, splits=('train', 'val')):
    return [finding.kind for finding in find_in_maps(cfg, splits)]


@pytest.mark.parametrize('scope', ['mmseg', 'mmdet'])
def test_nothing_is_found_in_a_whole_set(scope, tmp_path):
    lengths = {}
    cfg = segmentation_set(tmp_path)
    with DefaultScope.overwrite_default_scope(scope):  # which something before may have left
        assert list(find_in_maps(cfg, ('train', 'val'), lengths=lengths)) == []
    assert lengths == dict(train=3, val=3)


def write_map(root, numbers):
    Image.fromarray(np.asarray(numbers, np.uint8)).save(root / 'maps/b.png')


FAULTS = {
    'picture folder': (lambda root: (root / 'pictures').rename(root / 'p'), 'folder-missing'),
    'pictures': (lambda root: [p.unlink() for p in root.glob('p*/*')], 'folder-no-images'),
    'map': (lambda root: (root / 'maps/b.png').unlink(), 'maps-missing'),
    'number': (lambda root: write_map(root, np.full((6, 8), 2)), 'map-numbers'),
    'size': (lambda root: write_map(root, np.zeros((8, 6))), 'map-size'),
    'colours': (lambda root: write_map(root, np.zeros((6, 8, 3))), 'map-colours'),
    'broken': (lambda root: (root / 'maps/b.png').write_text('x'), 'map-unreadable'),
}


@pytest.mark.parametrize(('spoil', 'kind'), FAULTS.values(), ids=FAULTS)
def test_what_is_wrong_is_found_once(tmp_path, spoil, kind):
    cfg = segmentation_set(tmp_path)
    spoil(tmp_path)
    assert kinds(cfg) == [kind]


@pytest.mark.parametrize(('number', 'found'), [(2, []), (3, ['map-numbers'])])
def test_numbers_begin_at_1_where_0_is_ignored(tmp_path, number, found):
    cfg = segmentation_set(tmp_path, reduce_zero_label=True)
    write_map(tmp_path, np.full((6, 8), number))
    assert kinds(cfg) == found


def test_other_classes_than_the_heads_are_found(tmp_path):
    cfg = segmentation_set(tmp_path, metainfo=dict(classes=('one', 'two', 'three')))
    assert kinds(cfg, ('val',)) == ['classes-number']
    cfg.model.decode_head = [dict(num_classes=3), dict(num_classes=3)]
    assert kinds(cfg) == []


def test_pictures_that_a_list_names_are_looked_for(tmp_path):
    (tmp_path / 'list.txt').write_text('a\nz\n')
    assert kinds(segmentation_set(tmp_path, ann_file='list.txt')) == [
        'pictures-missing',
        'maps-missing',
    ]


def test_sets_on_servers_are_passed_over(tmp_path):
    cfg = segmentation_set(tmp_path, backend_args=dict(backend='petrel'))
    (tmp_path / 'maps/b.png').unlink()
    assert kinds(cfg) == []


def test_a_missing_set_is_said_in_a_report(monkeypatch, tmp_path):
    monkeypatch.setenv('CITYSCAPES_ROOT', str(tmp_path / 'nowhere'))
    cfg = load_config('segformer_rexnet-100_4xb2-80k_cityscapes-512x1024')
    found = {finding.kind: finding for finding in find_in_run(cfg, ('train',))}
    assert 'CITYSCAPES_ROOT' in str(found['folder-missing'])
