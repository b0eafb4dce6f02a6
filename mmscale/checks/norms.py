"""Norms of a model that do not exist, do not fit its widths, or do not run on this machine."""

import inspect
import os
from collections.abc import Iterator, Mapping
from math import gcd
from typing import Any

import torch
from mmengine import registry as roots
from mmengine.registry import DefaultScope

from mmscale.checks.arguments import class_of, parts, unknown_type
from mmscale.checks.findings import FAULT, Finding
from mmscale.registry import type_name

COMMON = ('BN', 'SyncBN', 'GN', 'LN', 'IN', 'LN2d')
GROUPS = 32  # of mmcv's GN where nothing is said


def find_in_norms(cfg: Mapping[str, Any]) -> Iterator[Finding]:
    """Look at every `norm_cfg` of a model.

    Args:
        cfg (mmengine.Config): Whose sections are sections (:mod:`mmscale.checks.sections`).
    """
    model, scope = cfg.get('model') or {}, cfg.get('default_scope')
    norms = dict(_norms(model, 'model'))
    for where, norm in norms.items():
        kind = norm.get('type')
        if isinstance(kind, str) and class_of(kind, roots.MODELS, scope) is None:
            yield unknown_type(where, kind, (roots.MODELS,), scope, COMMON)
    with DefaultScope.overwrite_default_scope(scope or 'mmengine'):
        for where, node in parts(model, 'model'):
            yield from _groups(where, node, scope)
    several = cfg.get('launcher', 'none') != 'none' or int(os.environ.get('WORLD_SIZE', 1)) > 1
    synchronised = cfg.get('sync_bn') or any(
        norm.get('type') == 'SyncBN' for norm in norms.values()
    )
    if several and not torch.cuda.is_available() and synchronised:
        yield Finding(
            FAULT,
            'norm-sync',
            'SyncBN in several processes needs GPUs, and there is none',
            "norm_cfg with type='BN', and no sync_bn",
        )


def _norms(node, where):
    """Every norm_cfg and its dotted name."""
    if isinstance(node, Mapping):
        if isinstance(node.get('norm_cfg'), Mapping):
            yield f'{where}.norm_cfg', node['norm_cfg']
        for key, inner in node.items():
            yield from _norms(inner, f'{where}.{key}')
    elif isinstance(node, (list, tuple)):
        for i, inner in enumerate(node):
            yield from _norms(inner, f'{where}[{i}]')


def _groups(where, node, scope):
    """Group norms of a part whose groups do not divide its channels."""
    norm = node['norm_cfg'] if 'norm_cfg' in node else _own_norm(node['type'], scope)
    if not isinstance(norm, Mapping) or norm.get('type') != 'GN':
        return
    groups = norm.get('num_groups', GROUPS)
    widths = _norm_widths(node)
    wrong = [w for w in widths if groups < 1 or w % groups] if isinstance(groups, int) else []
    if wrong:
        common = gcd(*widths)
        fitting = [n for n in range(1, common + 1) if common % n == 0]
        yield Finding(
            FAULT,
            'groups',
            f'{where}.norm_cfg: {groups} groups do not divide the widths of '
            f'{type_name(node["type"])}, such as {wrong[:3]}',
            f'num_groups that fits: {fitting}',
        )


def _own_norm(kind, scope):
    """The norm that a part has where its config says nothing."""
    found = class_of(kind, roots.MODELS, scope)
    if not inspect.isclass(found):
        return None
    given = inspect.signature(found).parameters.get('norm_cfg')
    return given and given.default


def _norm_widths(node):
    """The widths of a part's own norms, from small to large; none if it cannot be built so."""
    given = {**node, 'norm_cfg': dict(type='BN')}
    if 'init_cfg' in given:
        given['init_cfg'] = None
    try:
        with torch.device('meta'):
            built = roots.MODELS.build(given)
    except Exception:  # its other arguments are looked at when the model is built
        return []
    norms = (torch.nn.modules.batchnorm._BatchNorm,)
    return sorted({m.num_features for m in built.modules() if isinstance(m, norms)})
