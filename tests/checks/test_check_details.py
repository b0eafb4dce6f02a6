"""Misspelt keys of sections without a type, which nothing would read, or which end a run late."""

import random
from pathlib import Path

import mmdet
import pytest
from mmengine.config import Config

from mmscale.checks.details import find_details
from mmscale.engine.config import load_config

DETECTOR = 'shapes/faster-rcnn_rexnet-100_fpn_shapes'
SPLITS = ('train', 'val', 'test')
SET = 'train_dataloader.dataset'
RCNN = 'model.test_cfg.rcnn'

KINDS = [
    ({'optim_wrapper.clip_grad': dict(max_nrm=3)}, 'max_norm'),
    ({'optim_wrapper.clip_grad': dict(max_norm=3, norm_typ=2)}, 'norm_type'),
    ({'optim_wrapper.clip_grad': dict(type='value', clip_val=3, _delete_=True)}, 'clip_value'),
    ({'optim_wrapper.paramwise_cfg': dict(norm_decay_mul=0)}, 'norm_decay_mult'),
    ({f'{SET}.filter_cfg': dict(filter_empty_gts=True)}, 'filter_empty_gt'),
    ({f'{SET}.data_prefix': dict(image='train/')}, 'img'),
    ({f'{SET}.metainfo': dict(CLASSES=('a',))}, 'classes'),
    ({f'{SET}.metainfo': dict(class_names=('a',))}, 'classes'),
    ({'env_cfg.cudnn_benchmrk': True}, 'cudnn_benchmark'),
    ({'env_cfg.mp_cfg.opencv_num_thread': 0}, 'opencv_num_threads'),
    ({'randomness': dict(seeds=1)}, 'seed'),
    ({'auto_scale_lr.base_batch_sizes': 8}, 'base_batch_size'),
    ({f'{RCNN}.score_th': 0.5}, 'score_thr'),
    ({f'{RCNN}.nms.iou_thresh': 0.5}, 'iou_threshold'),
    ({f'{RCNN}.nms': dict(type='soft_nms', _delete_=True, min_scor=0.1)}, 'min_score'),
    ({'custom_hooks': [dict(type='EMAHook', momentumm=0.1)]}, 'momentum'),
    ({'custom_hooks': [dict(type='EMAHook', update_buffer=True)]}, 'update_buffers'),
]


@pytest.mark.parametrize(('change', 'meant'), KINDS, ids=[meant for _, meant in KINDS])
def test_the_key_that_was_meant_is_named(shapes, change, meant):
    (found,) = find_details(load_config(DETECTOR, change), SPLITS)
    assert found.kind == 'argument-unknown'
    assert f'did you mean {meant!r}?' in str(found)


@pytest.mark.parametrize(
    ('config', 'where', 'key', 'meant'),
    [
        ('mask_rcnn_rexnet_fpn', RCNN, 'mask_thr_binry', 'mask_thr_binary'),
        ('mask_rcnn_rexnet_fpn', 'model.train_cfg.rcnn', 'mask_siz', 'mask_size'),
        ('mask_rcnn_rexnet_fpn', 'model.train_cfg', 'rpn_propsal', 'rpn_proposal'),
        ('mmdet::retinanet/retinanet_r50_fpn_1x_coco.py', 'model.test_cfg', 'nms_prex', 'nms_pre'),
        ('mmdet::solo/solo_r50_fpn_1x_coco.py', 'model.test_cfg', 'filter_th', 'filter_thr'),
        ('mmdet::paa/paa_r50_fpn_1x_coco.py', 'model.test_cfg', 'score_thrs', 'score_thr'),
    ],
)
def test_keys_of_heads_are_those_that_their_classes_read(config, where, key, meant):
    (found,) = find_details(load_config(config, {f'{where}.{key}': 0.5}), SPLITS)
    assert f'{where}: nothing reads {key!r}; did you mean {meant!r}?' in str(found)


@pytest.mark.parametrize(
    'change',
    [
        {'custom_hooks': [dict(type='EMAHook', momentum=0.1, update_buffers=True, priority=49)]},
        {'custom_hooks': [dict(type='EMAHook', ema_type='ExpMomentumEMA', gamma=2000)]},
        {'optim_wrapper.clip_grad': dict(type='value', clip_value=3, _delete_=True)},
        {'optim_wrapper.clip_grad': dict(max_norm=3, norm_type=2, error_if_nonfinite=False)},
        {f'{RCNN}.nms': dict(type='soft_nms', iou_threshold=0.5, min_score=0.05, split_thr=9)},
        {'randomness': dict(seed=1, deterministic=True, diff_rank_seed=True)},
        {f'{SET}.metainfo': dict(classes=('a',), classes_de=('b',))},
        {f'{SET}.data_prefix': dict(img='train/', img_left='left/')},
    ],
    ids=str,
)
def test_what_is_read_is_no_fault(shapes, change):
    assert list(find_details(load_config(DETECTOR, change), SPLITS)) == []


def test_configs_of_mmdet_have_none():
    every = sorted((Path(mmdet.__file__).parent / '.mim/configs').rglob('*.py'))
    every = [path for path in every if '_base_' not in path.parts and 'common' not in path.parts]
    for path in random.Random(0).sample(every, 30):
        assert list(find_details(Config.fromfile(path), SPLITS)) == [], path
