"""Configs: what a run would die of, or silently not do, is named before its first step."""

import json
import math
import random
from copy import deepcopy

import pytest
import torch
from commands import tool
from mmengine.config import Config
from mmengine.registry import MODELS

from mmscale.checks.arguments import find_model_arguments
from mmscale.checks.findings import FAULT, NOTE
from mmscale.checks.norms import find_in_norms
from mmscale.checks.schedules import find_in_schedule
from mmscale.checks.sections import find_overrides, find_values
from mmscale.checks.settings import find_in_settings
from mmscale.checks.types import find_types
from mmscale.datasets.shapes import CLASSES
from mmscale.engine import config as configs
from mmscale.engine.checks import check_run, find_in_config, find_in_run
from mmscale.engine.config import load_config
from mmscale.errors import UserError

DETECTOR = 'shapes/faster-rcnn_rexnet-100_fpn_shapes'
CLASSIFIER = 'shapes/rexnet-100_shapes'
SPLITS = ('train', 'val', 'test')
HOOK = 'default_hooks.checkpoint'
VAL = ('val_dataloader', 'val_cfg', 'val_evaluator')
FILE = 'train_dataloader.dataset.ann_file'
WEIGHTS = 'model.backbone.init_cfg.checkpoint'
NAMES = 'train_dataloader.dataset.metainfo.classes'

# What is wrong, and words of the remedy.
KINDS = {
    'argument-unknown': [
        ({f'{HOOK}.max_keep_ckpt': 1}, "did you mean 'max_keep_ckpts'?"),
        ({'train_dataloader.batchsize': 4}, "did you mean 'batch_size'?"),
        ({'train_dataloader.num_worker': 4}, "did you mean 'num_workers'?"),
        ({'train_cfg.max_iter': 9}, "did you mean 'max_iters'?"),
        ({'optim_wrapper.optimizer.learning_rate': 1}, "did you mean 'lr'?"),
        ({'optim_wrapper.clip_grads': dict(max_norm=1)}, "did you mean 'clip_grad'?"),
        ({'optim_wrapper.optimizer.momentum': 0.9}, 'optim_wrapper.optimizer._delete_=True'),
        ({'val_evaluator.metrics': 'bbox'}, "did you mean 'metric'?"),
        ({'model.backbone.width_mul': 1.3}, "did you mean 'width_mult'?"),
        ({'train_dataloader.dataset.annfile': 'x'}, "did you mean 'ann_file'?"),
        ({'train_dataloader.dataset.pipeline.2.scales': (9, 9)}, "did you mean 'scale'?"),
        ({'param_scheduler.0.start_facto': 0.1}, "did you mean 'start_factor'?"),
        ({'train_dataloader.sampler.shufle': True}, "did you mean 'shuffle'?"),
    ],
    'argument-missing': [
        ({'optim_wrapper.clip_grad': dict(norm_type=2, _delete_=True)}, "lacks 'max_norm'")
    ],
    'type-unknown': [
        ({'train_dataloader.collate_fn': dict(type='pseudo_colate')}, "mean 'pseudo_collate'?"),
        ({'model.backbone.norm_cfg': dict(type='BNN')}, "did you mean 'BN'?"),
        ({'custom_hooks': [dict(type='EMAHook', ema_type='EMA')]}, 'ema_type'),
        ({'default_hooks.ema.type': 'EMAHok'}, "did you mean 'EMAHook'?"),
        ({'train_dataloader.dataset.pipeline.2.type': 'Resiz'}, "did you mean 'Resize'?"),
        ({'optim_wrapper.optimizer.type': 'AdamX'}, 'did you mean'),
        ({'model.type': 'FasterRCNNN'}, "did you mean 'FasterRCNN'?"),
        ({'model.backbone.type': 'RexNet'}, "did you mean 'ReXNet'?"),
        ({'model.backbone.type': 'mmdet.ResNett'}, "did you mean 'mmdet.ResNet'?"),
        ({'model.neck.type': 'FPNN'}, "did you mean 'FPN'?"),
        ({'model.roi_head.bbox_head.type': 'Foo'}, "there is no type 'Foo'"),
        ({'model.roi_head.bbox_head.loss_cls.type': 'CrossEntropy'}, "mean 'CrossEntropyLoss'?"),
        ({'model.train_cfg.rpn.assigner.type': 'MaxIoU'}, 'train_cfg.rpn.assigner: there is no'),
    ],
    'key-unread': [
        ({'strategy': dict(type='DDPStrategy')}, 'FlexibleRunner'),
        ({'runner_type': 'FlexibleRunner'}, 'FlexibleRunner'),
        ({'lr_config': dict(policy='step')}, 'param_scheduler'),
    ],
    'section-missing': [
        ({'optim_wrapper': None}, 'training needs optim_wrapper'),
        ({'val_evaluator': None}, "without ['val_evaluator']"),
    ],
    'part-unfit': [
        ({'optim_wrapper.optimizer.lr': -1}, 'Invalid learning rate'),
        ({'val_evaluator.metric': 'box'}, 'metric should be one of'),
    ],
    'format-nowhere': [({'test_evaluator.format_only': True}, 'outfile_prefix')],
    'segm-without-masks': [({'test_evaluator.metric': ['bbox', 'segm']}, 'metric=bbox')],
    'meta-keys': [
        ({'val_dataloader.dataset.pipeline.3.meta_keys': ('img_path',)}, 'meta_keys'),
        ({'val_evaluator.ann_file': None}, 'or give the evaluator its ann_file'),
    ],
    'best-without-validation': [({**dict.fromkeys(VAL), f'{HOOK}.save_best': 'auto'}, 'give val_')],
    'best-unknown': [({f'{HOOK}.save_best': 'bbox_mAP'}, "did you mean 'coco/bbox_mAP'?")],
    'groups': [
        ({'model.backbone.norm_cfg': dict(type='GN', num_groups=n)}, 'num_groups that')
        for n in (32, 7, 0, -1)
    ],
    'groups-elsewhere': [
        ({'model.neck.norm_cfg': dict(type='GN', num_groups=48)}, '[64]; num_groups that'),
        (
            {
                'model.roi_head.bbox_head.type': 'Shared4Conv1FCBBoxHead',
                'model.roi_head.bbox_head.norm_cfg': dict(type='GN', num_groups=7),
            },
            'model.roi_head.bbox_head.norm_cfg: 7 groups',
        ),
    ],
    'frozen-random': [
        ({'model.backbone.frozen_stages': 1}, 'frozen_stages=-1'),
        ({'model.backbone.frozen_stages': 1, 'model.backbone.init_cfg': None}, 'init_cfg'),
    ],
    'backbone-random': [
        (
            {'model.backbone': dict(type='mmscale.ReXNet', _delete_=True)},
            'timm://rexnet_100.nav_in1k',
        ),
        (
            {'model.backbone': dict(type='mmscale.ScaleNet', _delete_=True)}
            | {'model.neck.in_channels': [256, 512, 1024, 2048]},
            "checkpoint='FILE'",
        ),
    ],
    'normalisation': [
        (
            {
                WEIGHTS: 'x.pth',
                'model.data_preprocessor.mean': [103.53, 116.28, 123.675],
                'model.data_preprocessor.std': [1.0, 1.0, 1.0],
                'model.data_preprocessor.bgr_to_rgb': False,
            },
            'bgr_to_rgb=True',
        ),
        (
            {WEIGHTS: 'x.pth', 'model.data_preprocessor.mean': None}
            | {'model.data_preprocessor.std': None},
            'bgr_to_rgb=True',
        ),
        ({WEIGHTS: 'x.pth', 'model.data_preprocessor.bgr_to_rgb': False}, 'bgr_to_rgb=True'),
    ],
    'strides-dilated': [
        ({'model.backbone.output_stride': 16}, 'stride [32]'),
        ({'model.backbone.output_stride': 8}, 'stride [16, 32]'),
    ],
    'norm-sync': [
        ({'launcher': 'pytorch', 'model.backbone.norm_cfg': dict(type='SyncBN')}, "type='BN'"),
        ({'launcher': 'pytorch', 'sync_bn': 'torch'}, 'no sync_bn'),
    ],
    'amp-cpu': [({'optim_wrapper.type': 'AmpOptimWrapper'}, 'needs a GPU')],
    'masks-not-loaded': [
        ({'model.roi_head.mask_head': dict(type='FCNMaskHead', num_classes=8)}, 'with_mask=True')
    ],
    'scale-without-base': [({'auto_scale_lr': dict(enable=True, _delete_=True)}, 'base_batch')],
    'numbers': [({'model.neck.in_channels': [1, 2, 3, 4]}, 'but the backbone has')],
    'workers-none': [
        ({'train_dataloader.num_workers': 0, 'train_dataloader.persistent_workers': True}, '0'),
        ({'train_dataloader.num_workers': 0, 'train_dataloader.prefetch_factor': 2}, '0'),
    ],
    'scheduler-by-epoch': [({'param_scheduler.0.by_epoch': True}, 'by_epoch=False')],
    'checkpoint-by-epoch': [({f'{HOOK}.by_epoch': True}, 'by_epoch=False')],
    'log-by-epoch': [({'log_processor.by_epoch': True}, 'by_epoch=False')],
    'schedule-after-end': [({'train_cfg.max_iters': 50}, 'as long as the run')],
    'schedule-before-end': [({'train_cfg.max_iters': 5000}, 'the same length as train_cfg')],
    'warm-up-after-end': [({'train_cfg.max_iters': 20}, 'never reached')],
    'milestones-after-end': [
        (
            {'param_scheduler': [dict(type='MultiStepLR', by_epoch=False, milestones=[9, 5000])]},
            '[5000] never come',
        )
    ],
    'classes-text': [({NAMES: 'circle'}, "('circle',)")],
    'classes-unknown': [({NAMES: ('hart', *CLASSES[1:])}, "classes ['hart'] are not in")],
    'classes-twice': [({NAMES: CLASSES[:1] * 2}, 'come twice')],
    'classes-order': [({NAMES: CLASSES[::-1]}, f'write them as {CLASSES}')],
    'validation-never': [({'train_cfg.val_begin': 5000}, 'val_begin=1')],
    'ann-file-list': [({FILE: ['a.json', 'b.json']}, 'ConcatDataset')],
    'file-missing': [({FILE: 'none.json'}, 'correct data_root and ann_file')],
    'evaluator-file-missing': [({'val_evaluator.ann_file': 'no.json'}, 'correct the path')],
    'evaluator-file-list': [({'val_evaluator.ann_file': ['a', 'b']}, 'must be one file')],
    'head-classes': [
        ({'model.roi_head.bbox_head.num_classes': 80}, 'set it to 8'),
        ({'model.roi_head.bbox_head.num_classes': 8.0}, 'num_classes=8.0'),
    ],
    'indices-none': [
        ({'val_dataloader.dataset.indices': chosen}, 'chooses no image') for chosen in ([], 0, [9])
    ],
    'indices': [({'val_dataloader.dataset.indices': 2}, '2 of 6 images')],
}
GPUS = ('norm-sync', 'amp-cpu')  # kinds of a machine without any
CASES = [(kind, *case) for kind, cases in KINDS.items() for case in cases]


@pytest.mark.parametrize(
    ('kind', 'change', 'words'), CASES, ids=[f'{kind}-{i}' for i, (kind, *_) in enumerate(CASES)]
)
def test_each_kind_is_named(shapes, monkeypatch, kind, change, words):
    if kind in GPUS:
        monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    found = list(find_in_run(load_config(DETECTOR, change), SPLITS))
    texts = [str(f) for f in found if f.kind == kind.removesuffix('-elsewhere')]
    assert texts, found
    assert any(words in text for text in texts), texts


@pytest.mark.parametrize('channels', [48, 64])
def test_groups_that_a_head_has_by_itself(channels):
    cfg = load_config('mmdet::fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py')
    cfg.model.bbox_head.update(feat_channels=channels)
    found = [str(finding) for finding in find_in_norms(cfg)]
    if channels == 64:
        assert found == []
    else:
        assert 'model.bbox_head.norm_cfg: 32 groups do not divide the widths' in found[0]
        assert '16, 24, 48]' in found[0]


def test_a_type_whose_package_cannot_be_imported(shapes, monkeypatch):
    def broken(registry, name):
        raise TypeError('NoneType takes no arguments') if name == 'BN' else KeyError(name)

    cfg = load_config(DETECTOR, {'model.backbone.norm_cfg': dict(type='BN')})
    monkeypatch.setattr('mmengine.registry.Registry.get', broken)
    (found,) = {str(finding).partition(': ')[2] for finding in find_in_norms(cfg)}
    assert found == "what 'BN' needs cannot be imported (TypeError: NoneType takes no arguments)"


@pytest.mark.parametrize('name', [DETECTOR, CLASSIFIER])
def test_clean_configs_have_none(shapes, name):
    assert [f for f in find_in_run(load_config(name), SPLITS) if f.severity != NOTE] == []


@pytest.mark.parametrize(
    'name', ['rexnet/faster-rcnn_rexnet-100_fpn_1x_coco', 'mask_rcnn_scalenet_fpn',
             'classification/san-resnet-18_in1k', 'cifar10/scalenet-14_cifar10']
)  # fmt: skip
def test_our_configs_have_none(name):
    cfg = load_config(name)
    assert list(find_in_config(cfg, SPLITS)) == []
    assert list(find_in_schedule(cfg)) == []


VALUES = [
    {'train_dataloader': 3},
    {'model': 'x'},
    {'default_hooks': [1]},
    {'default_hooks.checkpoint': 3},
    {'custom_hooks': 'x'},
    {'val_evaluator': 3},
    {'param_scheduler': 'x'},
    {'optim_wrapper.optimizer': 3},
    {'train_dataloader.dataset.pipeline': 'x'},
    {'train_dataloader.dataset.metainfo': 'x'},
    {'train_dataloader.dataset.metainfo.classes': 3},
    {'train_cfg.max_iters': 'many'},
    {'default_scope': 3},
    {'visualizer': 3},
    {'model.backbone.type': None},
]


@pytest.mark.parametrize('change', VALUES, ids=str)
def test_a_value_where_a_section_belongs(shapes, change):
    with pytest.raises(UserError, match='belongs there'):
        load_config(DETECTOR, change)


@pytest.mark.parametrize(
    ('change', 'wanted'),
    [({'train_cfg.max_iters': number}, 'a whole number of at least 1')
     for number in (math.nan, math.inf, 0, -1, 2.5)]
    + [({'optim_wrapper.optimizer.lr': number}, 'a finite number')
       for number in (math.nan, math.inf)],
)  # fmt: skip
def test_lengths_and_rates_that_are_none(shapes, change, wanted):
    with pytest.raises(UserError, match=f'{wanted} belongs there'):
        load_config(DETECTOR, change)


@pytest.mark.parametrize(
    'name',
    [
        'mmdet::detr/detr_r50_8xb2-150e_coco.py',  # its head takes a key out of its loss
        'mmdet::dcn/faster-rcnn_r50_fpn_dpool_1x_coco.py',  # an operator's name for a type
        'mmdet::fpg/faster-rcnn_r50_fpg_crop640-50e_coco.py',  # a neck's own types
        'mmpretrain::resnet/resnet50_8xb256-rsb-a1-600e_in1k.py',  # mixtures
        'mmseg::maskformer/maskformer_r50-d32_8xb2-160k_ade20k-512x512.py',  # **kwargs
    ],
)
def test_types_and_keys_that_parts_read_by_themselves(name):
    if name.startswith('mmseg'):
        pytest.importorskip('mmseg')
    cfg = load_config(name)
    assert [str(found) for found in (*find_types(cfg), *find_model_arguments(cfg))] == []


def test_a_type_in_a_part_of_someones_own_is_not_looked_up():
    @MODELS.register_module(force=True)
    class OwnHead:
        def __init__(self, inner):
            pass

    cfg = load_config(DETECTOR)
    cfg.model.roi_head = dict(type='OwnHead', inner=dict(type='anything'))
    assert list(find_types(cfg)) == []


def test_a_rate_that_is_text():
    whole = load_config(DETECTOR)
    whole.optim_wrapper.optimizer.lr = 'fast'
    (found,) = find_values(whole)
    assert "optim_wrapper.optimizer.lr='fast': a finite number" in str(found)


def test_such_an_override_has_a_kind_of_its_own():
    (found,) = find_overrides(load_config(DETECTOR), {'model': 'x'})
    assert found.kind == 'override-kind'


@pytest.mark.parametrize('key', ['model', 'default_hooks', 'train_dataloader', 'default_scope'])
def test_a_config_with_a_value_where_a_section_belongs(key):
    whole = load_config(DETECTOR)
    whole[key] = 3
    assert {found.kind for found in find_values(whole)} == {'section-value'}


def test_a_neck_that_is_a_list_of_numbers():
    whole = load_config(DETECTOR)
    whole.model.neck = [3]
    (found,) = find_in_config(whole, SPLITS)
    assert str(found).startswith('model.neck=[3]: a section')


def test_a_data_set_without_a_type():
    whole = load_config(DETECTOR)
    del whole.train_dataloader.dataset['type']
    (found,) = find_values(whole)
    assert found.kind == 'type-missing'


def dotted(node, prefix=''):
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        yield f'{prefix}{key}'
        many = isinstance(value, list) and value and isinstance(value[0], dict)
        if many or isinstance(value, dict):
            yield from dotted(value, f'{prefix}{key}.')


WRONG = (3, 'x', None, [], -1, dict(y=1), [{}])


@pytest.mark.parametrize('name', [DETECTOR, CLASSIFIER])
def test_no_override_ends_in_a_traceback(shapes, monkeypatch, name):
    whole = Config.fromfile(configs.find_config(name))
    monkeypatch.setattr(Config, 'fromfile', lambda path: deepcopy(whole))
    tried = [(key, value) for key in dotted(whole._cfg_dict) for value in WRONG]
    for key, value in random.Random(0).sample(tried, 150):
        try:
            list(find_in_run(load_config(name, {key: value}), SPLITS))
        except UserError as error:
            assert len(str(error)) > 20
        except Exception as error:
            raise AssertionError(f'{key}={value!r}') from error


def test_workers_follow_their_number(shapes, tmp_path, log):
    cfg = load_config(DETECTOR, {'train_dataloader.num_workers': 0, 'work_dir': str(tmp_path)})
    check_run(cfg, ('train',))
    assert cfg.train_dataloader.persistent_workers is False
    assert any('persistent_workers' in line for line in log)


def test_an_evaluator_on_another_file(shapes, tmp_path):
    other = tmp_path / 'other.json'
    content = json.loads((shapes / 'annotations/instances_val.json').read_text())
    content['annotations'].pop()
    other.write_text(json.dumps(content))
    cfg = load_config(DETECTOR, {'val_evaluator.ann_file': str(other), 'work_dir': str(tmp_path)})
    with pytest.raises(UserError, match='another annotation file') as error:
        check_run(cfg, ('train', 'val'))
    assert 'other.json' in str(error.value)
    assert 'instances_val.json' in str(error.value)


def test_classes_in_a_file(shapes, tmp_path):
    names = tmp_path / 'names.txt'
    names.write_text('\n'.join(load_config(DETECTOR).train_dataloader.dataset.metainfo.classes))
    change = {f'{s}_dataloader.dataset.metainfo': dict(classes=str(names)) for s in SPLITS}
    found = find_in_run(load_config(DETECTOR, change), SPLITS)
    assert [f for f in found if f.severity == FAULT] == []


def test_masks_and_test_time_augmentation():
    cfg = load_config('mask_rcnn_rexnet_fpn')
    cfg.model = dict(type='DetTTAModel', module=cfg.model)
    assert 'tta-masks' in [finding.kind for finding in find_in_settings(cfg, ('test',))]


def test_a_set_to_be_submitted_needs_no_annotations(shapes, tmp_path):
    content = json.loads((shapes / 'annotations/instances_val.json').read_text())
    del content['annotations']
    path = tmp_path / 'image_info.json'
    path.write_text(json.dumps(content))
    change = {
        'test_dataloader.dataset.ann_file': str(path),
        'test_evaluator.ann_file': str(path),
        'test_evaluator.format_only': True,
        'test_evaluator.outfile_prefix': str(tmp_path / 'found'),
    }
    found = find_in_run(load_config(DETECTOR, change), ('test',))
    assert [f for f in found if f.severity == FAULT] == []


@pytest.mark.parametrize(
    ('target', 'status', 'kinds'),
    [
        ('clean', None, []),
        ('faulty', 1, ['annotations-bbox-strange']),
        ('none', 2, []),
        ('empty', 2, []),
        ('config', None, []),
        ('config model=3', 1, ['config']),
    ],
)
def test_the_command(shapes, tmp_path, capsys, target, status, kinds):
    from annotation_files import one, write

    write(tmp_path / 'clean')
    write(tmp_path / 'faulty', one('annotations', bbox=None))
    (tmp_path / 'empty').mkdir()
    name, _, option = target.partition(' ')
    given = DETECTOR if name == 'config' else str(tmp_path / name)
    try:
        tool('check')([given, '--json', *(['--cfg-options', option] if option else [])])
        left = None
    except SystemExit as error:
        left = error.code
    said = json.loads(capsys.readouterr().out)
    assert left == status
    assert said['status'] == (status or 0)
    assert [finding['kind'] for finding in said['findings']] == kinds
