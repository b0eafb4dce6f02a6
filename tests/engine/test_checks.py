"""What is looked at before a run is one error, before anything is written."""

import pytest
from runs import DETECTOR

from mmscale.datasets.shapes import CLASSES
from mmscale.engine.checks import check_model
from mmscale.engine.config import load_config, shipped_files
from mmscale.engine.training import train
from mmscale.errors import UserError

WRONG_DATA = {
    'data root': ({'train_dataloader.dataset.data_root': 'nowhere/'}, ['nowhere', 'COCO_ROOT']),
    'annotation file': (
        {'val_dataloader.dataset.ann_file': 'annotations/other.json'},
        ['annotations/other.json'],
    ),
    'class name': (
        {'train_dataloader.dataset.metainfo.classes': ('hart', *CLASSES[1:])},
        ["'hart'", CLASSES[1]],
    ),
    'number of classes': (
        {'model.roi_head.bbox_head.num_classes': 80},
        ['num_classes=80', f'{len(CLASSES)} classes'],
    ),
    'images': ({'train_dataloader.dataset.data_prefix.img': 'val/'}, ['missing', 'val']),
    'batch size': (
        {'val_dataloader.batch_size': 0},
        ['val_dataloader.batch_size=0', '1 or more'],
    ),
    'accumulation': (
        {'optim_wrapper.accumulative_counts': 0.5},
        ['optim_wrapper.accumulative_counts=0.5', '1 or more'],
    ),
}


@pytest.mark.parametrize(('overrides', 'words'), WRONG_DATA.values(), ids=WRONG_DATA)
def test_wrong_data_is_one_error_before_anything_is_written(shapes, tmp_path, overrides, words):
    work_dir = tmp_path / 'run'
    with pytest.raises(UserError) as error:
        train(DETECTOR, work_dir=work_dir, overrides=overrides)
    assert all(word in str(error.value) for word in words), str(error.value)
    assert not work_dir.exists()


def test_annotations_that_are_no_json(shapes, tmp_path):
    (tmp_path / 'annotations').mkdir()
    (tmp_path / 'annotations/instances_train.json').write_text('<html>')
    overrides = {'train_dataloader.dataset.data_root': f'{tmp_path}/'}
    with pytest.raises(UserError, match='instances_train.json.*JSON'):
        train(DETECTOR, work_dir=tmp_path / 'run', overrides=overrides)


@pytest.mark.parametrize(
    ('config', 'change', 'words'),
    [
        (
            DETECTOR,
            {'model.backbone.width_mult': 1.3},
            r'neck.in_channels=\[38, 61, 128, 185\], but the backbone has \[50, 79, 167, 240\]',
        ),
        (
            'shapes/rexnet-100_shapes',
            {'model.backbone.width_mult': 1.3},
            'model.head.in_channels=1280, but the backbone has 1664',
        ),
    ],
    ids=['neck', 'head'],
)
def test_channels_that_do_not_fit(config, change, words, shapes, tmp_path):
    with pytest.raises(UserError, match=words):
        train(config, work_dir=tmp_path / 'run', overrides=change)
    assert not (tmp_path / 'run').exists()


SHIPPED = [name for name in shipped_files() if '_base_' not in name and 'rotated' not in name]


@pytest.mark.parametrize('name', SHIPPED)
def test_models_of_our_own_configs_have_no_fault(name):
    if name.startswith('segmentation/'):
        pytest.importorskip('mmseg')
    cfg = load_config(name)
    if 'model' in cfg:
        check_model(cfg)


def test_a_neck_of_several_parts_is_looked_at():
    cfg = load_config(
        'rtmdet-ins_scalenet-50_8xb32-300e_coco', {'model.neck.0.in_channels': [1, 2]}
    )
    with pytest.raises(UserError, match=r'neck.0.in_channels=\[1, 2\], but the backbone has'):
        check_model(cfg)
