"""Types of a model's parts that do not exist, with the name that was meant."""

from collections.abc import Iterator, Mapping
from typing import Any

from mmscale.checks.arguments import OF_PARTS, class_of_part, owner_of, parts, unknown_type
from mmscale.checks.findings import Finding

# Whose classes build what stands in them by the registries; others may do as they like.
BUILDERS = ('mmscale', 'mmengine', 'mmcv', 'mmdet', 'mmpretrain', 'mmseg', 'mmrotate')
# What these look up elsewhere: layers of mmcv.ops, paths of a neck, mixtures, text.
ELSEWHERE = ('roi_layer', 'augments', 'targets', 'tokenizer', 'prototype')
PATHS = '_trans'


def find_types(cfg: Mapping[str, Any]) -> Iterator[Finding]:
    """Look up the type of every part of a model.

    Args:
        cfg (mmengine.Config): Its sections are sections (:mod:`mmscale.checks.sections`). One
            without a `default_scope` is passed over: it says nowhere where to look.
    """
    scope = cfg.get('default_scope')
    known: dict[str, Any] = {}
    for section in ('model', 'data_preprocessor') if scope else ():
        for where, node in parts(cfg.get(section), section):
            kind = node['type']
            known[where] = class_of_part(kind, scope)
            if known[where] is None and _is_looked_up(where, known):
                yield unknown_type(where, kind, OF_PARTS, scope)


def _is_looked_up(where, known):
    """Whether a part is certainly built by the registries, to which its owner belongs."""
    owner = owner_of(where, known)
    if owner is None:
        return True  # the model itself
    keys = [key.partition('[')[0] for key in where[len(owner) + 1 :].split('.')]
    if any(key in ELSEWHERE or key.endswith(PATHS) for key in keys):
        return False
    return getattr(known[owner], '__module__', '').partition('.')[0] in BUILDERS
