"""Settings of a run that contradict each other, the model or the machine."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from mmscale.checks.backbones import find_in_backbone
from mmscale.checks.findings import FAULT, REPAIRED, WARNING, Finding
from mmscale.checks.norms import find_in_norms
from mmscale.registry import type_name

UNREAD = {
    'strategy': "it is for mmengine's FlexibleRunner, and runs here are made by its Runner",
    'runner_type': "it is for mmengine's FlexibleRunner, and runs here are made by its Runner",
    'optimizer_config': 'it is of mmdet 2: optim_wrapper.clip_grad',
    'lr_config': 'it is of mmdet 2: param_scheduler',
    'checkpoint_config': 'it is of mmdet 2: default_hooks.checkpoint',
    'log_config': 'it is of mmdet 2: default_hooks.logger and visualizer',
    'evaluation': 'it is of mmdet 2: val_evaluator, train_cfg.val_interval',
    'workflow': 'it is of mmdet 2: val_cfg and test_cfg',
    'total_epochs': 'it is of mmdet 2: train_cfg.max_epochs',
}
OF_WORKERS = {'persistent_workers': False, 'prefetch_factor': None, 'timeout': 0}
COCO_METRICS = ('CocoMetric', 'FasterCocoMetric')
COCO_ITEMS = ('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l')
NEEDED_META = ('img_id', 'ori_shape', 'scale_factor')  # by CocoMetric and mmdet's heads


def find_in_settings(cfg: Mapping[str, Any], splits: Sequence[str]) -> Iterator[Finding]:
    """Look at a config whose sections are sections, building no parts but those with group norms.

    Args:
        cfg (mmengine.Config): It.
        splits (Sequence[str]): Those of 'train', 'val' and 'test' that are used.
    """
    yield from _unread(cfg)
    yield from _missing(cfg, splits)
    model = cfg.get('model') or {}
    yield from find_in_norms(cfg)
    yield from find_in_backbone(cfg, trained='train' in splits)
    yield from _mixed_precision(cfg, splits)
    if type_name(model.get('type', '')) == 'DetTTAModel' and _has_masks(model.get('module') or {}):
        yield Finding(
            FAULT,
            'tta-masks',
            "--tta: mmdet's test-time augmentation averages boxes, not masks, and this model has a "
            'mask head',
            'test it without --tta',
        )
    for split in splits:
        yield from _evaluators(cfg, split)
        yield from _pipeline(cfg, split)
    if 'train' in splits:
        yield from _best(cfg)


def mend_settings(cfg: Any, splits: Sequence[str], *, apply: bool) -> Iterator[Finding]:
    """Settings whose meaning is certain, but which torch refuses: workers' without workers.

    Args:
        cfg (mmengine.Config): It is changed if `apply` is set.
        splits (Sequence[str]): Those of 'train', 'val' and 'test' that are used.
        apply (bool): Change it.
    """
    for split in splits:
        loader = cfg.get(f'{split}_dataloader')
        if not isinstance(loader, Mapping) or loader.get('num_workers', 0) != 0:
            continue
        for key, without in OF_WORKERS.items():
            value = loader.get(key, without)
            if value != without:
                yield Finding(
                    REPAIRED,
                    'workers-none',
                    f'{split}_dataloader: {key}={value!r} needs workers, and num_workers is '
                    f'0: a run takes {key}={without!r}',
                )
                if apply:
                    cfg[f'{split}_dataloader'][key] = without


def mend_best(cfg: Any, *, apply: bool) -> Iterator[Finding]:
    """A validation without any detection has no figures, and ends a run that saves the best."""
    hook = _checkpoint_hook(cfg)
    keys = [key for key in _as_list(hook.get('save_best')) if key and key != 'auto']
    metrics = _as_list(cfg.get('val_evaluator'))
    coco = any(type_name(metric.get('type', '')) in COCO_METRICS for metric in metrics)
    if hook.get('save_best') and coco and apply:
        added = dict(type='mmscale.EmptyValidationHook', keys=keys or ['coco/bbox_mAP'])
        cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), added]
    return iter(())


def _unread(cfg):
    for key, why in UNREAD.items():
        if cfg.get(key) is not None:
            yield Finding(FAULT, 'key-unread', f'nothing reads {key}={cfg[key]!r:.60}; {why}')
    if isinstance(cfg.get('data'), Mapping) and {'train', 'val'} & set(cfg['data']):
        yield Finding(
            FAULT, 'key-unread', 'nothing reads data=dict(...); it is of mmdet 2: X_dataloader'
        )


def _missing(cfg, splits):
    if not cfg.get('model'):
        yield Finding(FAULT, 'section-missing', 'the config has no model')
    elif 'type' not in cfg['model']:
        yield Finding(FAULT, 'type-missing', 'model has no type')
    if 'train' in splits:
        for key in ('train_dataloader', 'train_cfg', 'optim_wrapper'):
            if not cfg.get(key):
                yield Finding(FAULT, 'section-missing', f'training needs {key}, which is missing')
    for split in splits:
        if split == 'train':
            continue
        keys = [f'{split}_{part}' for part in ('dataloader', 'cfg', 'evaluator')]
        there = [key for key in keys if cfg.get(key) is not None]
        if 0 < len(there) < 3 and not (split == 'test' and there == keys[1:2]):
            lacks = [key for key in keys if key not in there]
            yield Finding(
                FAULT,
                'section-missing',
                f'{there} without {lacks}: they go together',
                f'give all three, or set all three to None for no {split}',
            )


def _mixed_precision(cfg, splits):
    wrapper = cfg.get('optim_wrapper') or {}
    amp = 'train' in splits and type_name(wrapper.get('type', '')) == 'AmpOptimWrapper'
    if amp and not torch.cuda.is_available():
        yield Finding(
            FAULT,
            'amp-cpu',
            'optim_wrapper.type=AmpOptimWrapper needs a GPU: mmengine has no mixed precision '
            'on CPUs',
            'optim_wrapper.type=OptimWrapper',
        )
    scaling = cfg.get('auto_scale_lr')
    if isinstance(scaling, Mapping) and scaling.get('enable') and 'base_batch_size' not in scaling:
        yield Finding(
            FAULT,
            'scale-without-base',
            'auto_scale_lr is on, but does not say what batch the learning rate is for',
            'auto_scale_lr.base_batch_size=16, say',
        )


def _evaluators(cfg, split):
    model = cfg.get('model') or {}
    for metric in _as_list(cfg.get(f'{split}_evaluator')):
        if type_name(metric.get('type', '')) not in COCO_METRICS:
            continue
        if metric.get('format_only') and not metric.get('outfile_prefix'):
            yield Finding(
                FAULT,
                'format-nowhere',
                f'{split}_evaluator: format_only=True does not say where predictions go',
                f'{split}_evaluator.outfile_prefix=FOLDER/NAME, or --out NAME.json',
            )
        if 'segm' in _as_list(metric.get('metric', 'bbox')) and 'type' in model:
            own = model.get('module') or model
            known = ('FasterRCNN', 'RetinaNet', 'CascadeRCNN', 'FCOS', 'ATSS', 'RPN')
            if type_name(own.get('type', '')) in known and not _has_masks(own):
                yield Finding(
                    FAULT,
                    'segm-without-masks',
                    f"{split}_evaluator.metric has 'segm', but the model has no mask head",
                    f'{split}_evaluator.metric=bbox',
                )


def _pipeline(cfg, split):
    loader = cfg.get(f'{split}_dataloader') or {}
    for where, steps in _pipelines(loader.get('dataset'), f'{split}_dataloader'):
        yield from _last_step(cfg, split, where, steps[-1])
        loads = [s for s in steps if type_name(s.get('type', '')) == 'LoadAnnotations']
        maskless = loads and not any(step.get('with_mask') for step in loads)
        if split == 'train' and maskless and _has_masks(cfg.get('model') or {}):
            yield Finding(
                FAULT,
                'masks-not-loaded',
                f'the model has a mask head, but {where} loads no masks',
                'LoadAnnotations with with_mask=True',
            )


def _pipelines(dataset, where):
    """Yield the pipelines of a data set and of those in it that load pictures."""
    if not isinstance(dataset, Mapping):
        return
    inner = [dataset['dataset']] if 'dataset' in dataset else dataset.get('datasets') or ()
    for one in inner:
        yield from _pipelines(one, where)
    steps = [step for step in dataset.get('pipeline') or () if isinstance(step, Mapping)]
    if steps and not inner:
        yield where, steps


def _last_step(cfg, split, where, step):
    """Keys that the metrics need of each picture, and which the last transform keeps."""
    metrics = [
        metric
        for metric in _as_list(cfg.get(f'{split}_evaluator'))
        if type_name(metric.get('type', '')) in COCO_METRICS
    ]
    keys = step.get('meta_keys')
    if keys is not None and not isinstance(keys, (list, tuple, set)):
        text = f'{where}: meta_keys={keys!r:.60} of the last transform is no list of names'
        yield Finding(FAULT, 'meta-keys', text, "meta_keys=('img_id', 'ori_shape', ...)")
        return
    if split == 'train' or not metrics:
        return
    needed = list(NEEDED_META) if isinstance(keys, (list, tuple)) else []
    if 'border' in (keys or ()):  # by which heads like CornerNet's undo the scale
        needed.remove('scale_factor')
    alone = any(not metric.get('ann_file') for metric in metrics)
    if alone and type_name(step.get('type', '')) == 'PackDetInputs':
        needed.append('instances')
    lacks = [key for key in needed if key not in (keys or ())]
    if lacks:
        also = ', or give the evaluator its ann_file' if 'instances' in lacks else ''
        yield Finding(
            FAULT,
            'meta-keys',
            f'{where}: the last transform drops {lacks}, which the evaluation needs',
            f'add them to its meta_keys{also}',
        )


def _best(cfg):
    """A figure to save the best by that the evaluators do not give."""
    hook = _checkpoint_hook(cfg)
    wanted = [key for key in _as_list(hook.get('save_best')) if key and key != 'auto']
    metrics = _as_list(cfg.get('val_evaluator'))
    if hook.get('save_best') and not cfg.get('val_dataloader'):
        yield Finding(
            WARNING,
            'best-without-validation',
            f'save_best={hook["save_best"]!r}, but there is no validation',
            'give val_dataloader, val_cfg and val_evaluator',
        )
        return
    given = []
    for metric in metrics:
        if type_name(metric.get('type', '')) not in COCO_METRICS or metric.get('classwise'):
            return  # whose figures are not known here
        prefix = metric.get('prefix') or 'coco'
        kinds = _as_list(metric.get('metric', 'bbox'))
        items = metric.get('metric_items') or COCO_ITEMS
        given += [f'{prefix}/{kind}_{item}' for kind in kinds for item in items]
    for key in wanted:
        if given and key not in given and not any('proposal' in name for name in given):
            close = difflib.get_close_matches(key, given, n=1, cutoff=0.4)
            yield Finding(
                FAULT,
                'best-unknown',
                f'default_hooks.checkpoint.save_best={key!r}: the evaluator gives no such figure',
                f'did you mean {close[0]!r}?' if close else f'it gives {given}',
            )


def _checkpoint_hook(cfg):
    return (cfg.get('default_hooks') or {}).get('checkpoint') or {}


def _has_masks(model):
    head = model.get('roi_head')
    return bool(model.get('mask_head')) or (
        isinstance(head, Mapping) and bool(head.get('mask_head'))
    )


def _as_list(value):
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]
