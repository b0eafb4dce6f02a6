"""Settings of this package's backbones that a run would follow, and nobody would want."""

from collections.abc import Iterator, Mapping
from typing import Any

from mmscale.checks.findings import WARNING, Finding
from mmscale.errors import is_whole
from mmscale.families import is_backbone, pixels, published
from mmscale.registry import type_name
from mmscale.utils.configs import sets_with_pipeline

DEEPEST = 32  # stride of the last map of a network that is not dilated
READERS = ('strides', 'featmap_strides')
CLOSE = 0.05  # of two means or deviations that differ by their rounding alone


def find_in_backbone(cfg: Mapping[str, Any], *, trained: bool) -> Iterator[Finding]:
    """Look at the backbone of a config's model, if it is one of this package.

    Args:
        cfg (mmengine.Config): Whose sections are sections (:mod:`mmscale.checks.sections`).
        trained (bool): It is for training.
    """
    model = cfg.get('model') or {}
    backbone = model.get('backbone')
    if not isinstance(backbone, dict) or not is_backbone(backbone):
        return
    if trained and not cfg.get('load_from'):
        if _has_weights(backbone):
            yield from _normalised(cfg, model, backbone)
        else:
            yield from _frozen(backbone)
            yield from _random(cfg, backbone)
    yield from _dilated(backbone, model)


def _has_weights(backbone):
    given = backbone.get('init_cfg')
    return any(
        entry.get('checkpoint')
        for entry in (given if isinstance(given, (list, tuple)) else [given])
        if isinstance(entry, dict) and type_name(entry.get('type', '')) == 'Pretrained'
    )


def _frozen(backbone):
    frozen = backbone.get('frozen_stages', -1)
    if is_whole(frozen) and frozen >= 0:
        yield Finding(
            WARNING,
            'frozen-random',
            f'model.backbone.frozen_stages={frozen}, and the backbone starts from random weights: '
            'these layers never learn',
            'model.backbone.frozen_stages=-1, or weights in model.backbone.init_cfg',
        )


def _random(cfg, backbone):
    """A backbone without weights that nobody has asked for; classifiers are trained to get them."""
    if cfg.get('default_scope') == 'mmpretrain' or 'init_cfg' in backbone:
        return
    name = type_name(backbone['type'])
    known = published(name, {'width_mult': 1.0, **backbone})
    yield Finding(
        WARNING,
        'backbone-random',
        f'model.backbone of type {name} names no weights: it starts from random ones',
        f"init_cfg=dict(type='Pretrained', checkpoint={known or 'FILE'!r}) in model.backbone, or "
        'init_cfg=None if that is wanted',
    )


def _normalised(cfg, model, backbone):
    """Pictures that reach the weights in another form than those they were trained on."""
    given = model.get('data_preprocessor') or cfg.get('data_preprocessor')
    if backbone.get('in_channels', 3) != 3 or not isinstance(given, Mapping):
        return
    own = (given.get('mean'), given.get('std'))
    if 'data_preprocessor' in given or (own[0] is None and _in_pipeline(cfg)):
        return
    name = type_name(backbone['type'])
    mean, std = pixels(name)
    rgb = bool(given.get('bgr_to_rgb') or given.get('to_rgb'))
    if own[0] is not None and rgb and _close(own[0], mean) and _close(own[1], std):
        return
    was = f'{"RGB" if rgb else "BGR"}, mean {own[0]}, std {own[1]}' if own[0] else 'not normalised'
    order = 'to_rgb' if cfg.get('default_scope') == 'mmpretrain' else 'bgr_to_rgb'
    yield Finding(
        WARNING,
        'normalisation',
        f'the pictures are {was}, but weights of {name} expect RGB, mean {mean}, std {std}',
        f'model.data_preprocessor with {order}=True and these',
    )


def _close(given, wanted):
    return (
        isinstance(given, (list, tuple))
        and len(given) == len(wanted)
        and all(
            isinstance(one, (int, float)) and abs(one - other) <= CLOSE
            for one, other in zip(given, wanted)
        )
    )


def _in_pipeline(cfg):
    """Whether the loader normalises, as in mmdet 2."""
    return any(
        type_name(step.get('type', '')) == 'Normalize'
        for dataset in sets_with_pipeline((cfg.get('train_dataloader') or {}).get('dataset') or {})
        for step in dataset['pipeline']
    )


def _dilated(backbone, model):
    """Heads that expect maps of strides which a dilated backbone does not make."""
    most = backbone.get('output_stride', DEEPEST)
    if not is_whole(most) or most >= DEEPEST:
        return
    for part, where in _strides(model, 'model'):
        lost = [stride for stride in part if is_whole(stride) and most < stride <= DEEPEST]
        if lost:
            yield Finding(
                WARNING,
                'strides-dilated',
                f'model.backbone.output_stride={most} makes no maps of stride {lost}, which '
                f'{where} is for: objects would be looked for at wrong places',
                f'{where} with {most} instead, or no output_stride',
            )
            return


def _strides(node, where):
    """The strides that parts of a model are made for, with their dotted names."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key in READERS and isinstance(value, (list, tuple)):
                yield value, f'{where}.{key}'
            elif key not in ('backbone', 'neck', 'decode_head', 'auxiliary_head'):
                yield from _strides(value, f'{where}.{key}')
    elif isinstance(node, (list, tuple)):
        for i, value in enumerate(node):
            yield from _strides(value, f'{where}[{i}]')
