"""Settings of this package's backbones that a run would follow, and nobody would want."""

from collections.abc import Iterator, Mapping
from typing import Any

from mmscale.checks.findings import WARNING, Finding
from mmscale.errors import is_whole
from mmscale.families import is_backbone
from mmscale.registry import type_name

DEEPEST = 32  # stride of the last map of a network that is not dilated
READERS = ('strides', 'featmap_strides')


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
        yield from _frozen(backbone)
    yield from _dilated(backbone, model)


def _frozen(backbone):
    frozen, given = backbone.get('frozen_stages', -1), backbone.get('init_cfg')
    entries = given if isinstance(given, (list, tuple)) else [given]
    weights = [
        entry.get('checkpoint')
        for entry in entries
        if isinstance(entry, dict) and type_name(entry.get('type', '')) == 'Pretrained'
    ]
    if is_whole(frozen) and frozen >= 0 and not any(weights):
        yield Finding(
            WARNING,
            'frozen-random',
            f'model.backbone.frozen_stages={frozen}, and the backbone starts from random weights: '
            'these layers never learn',
            'model.backbone.frozen_stages=-1, or weights in model.backbone.init_cfg',
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
