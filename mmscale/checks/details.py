"""Keys of small sections that have no type: what reads them takes no notice of a misspelt one.

Or ends at it hours later: a gradient's bound in the first step, a suppression in the first
validation.
"""

import difflib
import functools
import inspect
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine import registry as roots
from mmengine.hooks import EMAHook
from mmengine.runner.utils import set_random_seed
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

from mmscale.checks.arguments import class_of, meant, parameters, parts, places
from mmscale.checks.findings import FAULT, Finding

PARAMWISE = (
    'custom_keys', 'bias_lr_mult', 'bias_decay_mult', 'norm_decay_mult', 'flat_decay_mult',
    'dwconv_decay_mult', 'dcn_offset_lr_mult', 'bypass_duplicate',
)  # fmt: skip
SECTIONS = {
    'env_cfg': ('cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit', 'dynamo_cache_size'),
    'env_cfg.mp_cfg': ('mp_start_method', 'opencv_num_threads', 'omp_num_threads',
                       'mkl_num_threads'),
    'auto_scale_lr': ('enable', 'base_batch_size'),
    'randomness': ('seed', *list(inspect.signature(set_random_seed).parameters)[1:]),
}  # fmt: skip
SETS = {
    'filter_cfg': ('filter_empty_gt', 'min_size', 'bbox_min_size'),
    'metainfo': ('classes', 'palette', 'dataset_type', 'task_name'),
    'data_prefix': ('img', 'img_path', 'seg', 'seg_map_path', 'sem_seg', 'text'),
}
FREE = ('metainfo', 'data_prefix')
MEANT = {'CLASSES': 'classes', 'class_names': 'classes', 'PALETTE': 'palette', 'image': 'img'}
OF_SUPPRESSION = {
    'nms': ('iou_threshold', 'offset', 'score_threshold', 'max_num'),
    'soft_nms': ('iou_threshold', 'sigma', 'min_score', 'method', 'offset'),
}
OF_ANY_SUPPRESSION = ('type', 'class_agnostic', 'split_thr', 'max_num')
READ = re.compile(r"""cfg(?:\.get\(\s*|\[)['"](\w+)|cfg\.(\w+)""")  # cfg.get('x'), cfg['x'], cfg.x

NO_HEADS = ('builtins', 'torch', 'mmengine', 'abc')


def find_details(cfg: Mapping[str, Any], splits: Sequence[str]) -> Iterator[Finding]:
    """Compare the keys of sections without a type with those that are read.

    Args:
        cfg (mmengine.Config): Whose sections are sections (:mod:`mmscale.checks.sections`).
        splits (Sequence[str]): Those of 'train', 'val' and 'test' that are used.
    """
    for where, known in SECTIONS.items():
        node: Any = cfg
        for key in where.split('.'):
            node = node.get(key) if isinstance(node, Mapping) or node is cfg else None
        yield from _near(where, node, known)
    yield from _hooks(cfg)
    if 'train' in splits:
        yield from _optimisation(cfg.get('optim_wrapper') or {})
    for where, node, registry, _ in places(cfg, tuple(splits)):
        if registry is roots.DATASETS:
            for key, known in SETS.items():
                yield from _near(f'{where}.{key}', node.get(key), known, free=key in FREE)
    model = cfg.get('model') or {}
    known = _read_by(model, cfg.get('default_scope'))
    for key in ('train_cfg', 'test_cfg'):
        yield from _of_heads(f'model.{key}', model.get(key), known)


def _near(where, node, known, cutoff=0.75, free=False):
    """Keys that nothing reads, and which resemble one that is read.

    Where keys are `free` to choose, one that is alike is none if that which is read is there too.
    """
    for key in node if isinstance(node, Mapping) else ():
        if not isinstance(key, str) or key in known or key.startswith('_'):
            continue
        alike = difflib.get_close_matches(key, known, n=1, cutoff=cutoff)
        alike = [close for close in alike if not (free and close in node)]
        meant_by = MEANT.get(key)
        close = meant_by if meant_by in known else next(iter(alike), None)
        if close:
            yield _unknown(where, key, f'did you mean {close!r}?')


def _unknown(where, key, hint):
    return Finding(FAULT, 'argument-unknown', f'{where}: nothing reads {key!r}', hint)


def _hooks(cfg):
    """What an EMAHook hands on to the average, which is built when the run has begun."""
    hooks = {f'default_hooks.{k}': v for k, v in (cfg.get('default_hooks') or {}).items()}
    hooks |= {f'custom_hooks[{i}]': v for i, v in enumerate(cfg.get('custom_hooks') or ())}
    scope = cfg.get('default_scope')
    for where, hook in hooks.items():
        found = class_of(hook.get('type'), roots.HOOKS, scope) if hook else None
        if not inspect.isclass(found) or not issubclass(found, EMAHook):
            continue
        kind = hook.get('ema_type', 'ExponentialMovingAverage')
        average = class_of(kind, roots.MODELS, scope)
        if average is None:
            yield Finding(FAULT, 'type-unknown', f'{where}.ema_type: there is no type {kind!r}')
            continue
        names = [*parameters(found)[0], *parameters(average)[0]]
        for key in hook:
            if key not in (*names, 'type', 'priority', '_scope_', '_delete_'):
                close = meant(key, names)
                yield _unknown(
                    where, key, f'did you mean {close!r}?' if close else f'it takes {names}'
                )


def _optimisation(wrapper):
    bound = wrapper.get('clip_grad')
    if isinstance(bound, Mapping):
        by_value = bound.get('type') == 'value'
        taken = list(
            inspect.signature(clip_grad_value_ if by_value else clip_grad_norm_).parameters
        )
        unknown = list(_strict('optim_wrapper.clip_grad', bound, taken[1:]))
        yield from unknown
        if not unknown and taken[1] not in bound:
            text = f'optim_wrapper.clip_grad lacks {taken[1]!r}'
            yield Finding(FAULT, 'argument-missing', text, 'give it')
    if 'constructor' not in wrapper:
        yield from _strict('optim_wrapper.paramwise_cfg', wrapper.get('paramwise_cfg'), PARAMWISE)


def _strict(where, node, known):
    for key in node if isinstance(node, Mapping) else ():
        if key not in known and key != 'type' and not str(key).startswith('_'):
            close = meant(key, list(known))
            hint = f'did you mean {close!r}?' if close else f'it takes {list(known)}'
            yield _unknown(where, key, hint)


def _read_by(model, scope):
    """The names that the files of a model's classes, and what these import, read of a `..._cfg`."""
    found = [class_of(node['type'], roots.MODELS, scope) for _, node in parts(model, 'model')]
    bases = {base.__module__ for one in found if inspect.isclass(one) for base in one.__mro__}
    own = [sys.modules[name] for name in bases if not name.startswith(NO_HEADS)]
    used = {getattr(value, '__module__', None) for one in own for value in vars(one).values()}
    same = {one.__name__.partition('.')[0] for one in own}
    used = {name for name in used if isinstance(name, str) and name.partition('.')[0] in same}
    names = {name for module in bases | used for name in _read_in(module)}
    return sorted(name for name in names if not hasattr(dict, name))


@functools.cache
def _read_in(module):
    file = getattr(sys.modules.get(module), '__file__', None) or ''
    if module.startswith(NO_HEADS) or not file.endswith('.py'):
        return ()
    found = READ.findall(Path(file).read_text(encoding='utf-8'))
    return tuple(quoted or plain for quoted, plain in found)


def _of_heads(where, node, known):
    """Thresholds and the suppression of boxes: read by each head, or not at all."""
    for i, inner in enumerate(node if isinstance(node, (list, tuple)) else ()):
        yield from _of_heads(f'{where}[{i}]', inner, known)
    if not isinstance(node, Mapping) or 'type' in node:
        return
    yield from _near(where, node, known, cutoff=0.85)
    for key, inner in node.items():
        if key == 'nms' and isinstance(inner, Mapping):
            kind = str(inner.get('type', 'nms'))
            if kind in OF_SUPPRESSION:
                yield from _strict(
                    f'{where}.nms', inner, (*OF_SUPPRESSION[kind], *OF_ANY_SUPPRESSION)
                )
        else:
            yield from _of_heads(f'{where}.{key}', inner, known)
