"""The small parts of a run, built once for a trial: what they do not take is known before a step.

Models, hooks and visualizers are built by the run itself, which does so before its first step.
"""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

import torch
from mmengine import registry as roots
from mmengine.registry import DefaultScope

from mmscale.checks.arguments import class_of, parameters, places
from mmscale.checks.findings import FAULT, Finding
from mmscale.errors import first_line

TRIED = (roots.METRICS, roots.TRANSFORMS)


def find_in_trials(cfg: Mapping[str, Any], splits: tuple[str, ...]) -> Iterator[Finding]:
    """Build metrics, transforms, data sets (of which nothing is read), the optimizer, schedules.

    Args:
        cfg (mmengine.Config): In which nothing else was found.
        splits (tuple[str]): Those of 'train', 'val' and 'test' that are used.
    """
    scope = cfg.get('default_scope') or 'mmengine'
    with DefaultScope.overwrite_default_scope(scope):
        for where, node, registry, beside in places(cfg, splits):
            given = {key: value for key, value in node.items() if key not in beside}
            if registry is roots.METRICS:
                given.pop('ann_file', None)  # it would be read
            if registry is roots.DATASETS:
                names, _ = parameters(class_of(node['type'], registry, scope))
                if 'lazy_init' not in names or 'dataset' in node or 'datasets' in node:
                    continue
                given['lazy_init'] = True
            elif registry not in TRIED:
                continue
            yield from _try(where, lambda: registry.build(deepcopy(given)))  # noqa: B023
        if 'train' in splits:
            yield from _optimizer(cfg)


def _optimizer(cfg):
    wrapper = cfg.get('optim_wrapper') or {}
    given = wrapper.get('optimizer')
    if not isinstance(given, Mapping) or 'constructor' in wrapper:
        return
    built = []
    weight = torch.nn.Parameter(torch.zeros(1))

    def build():
        built.append(roots.OPTIMIZERS.build({**deepcopy(dict(given)), 'params': [weight]}))

    yield from _try('optim_wrapper.optimizer', build)
    schedulers = cfg.get('param_scheduler') or []
    schedulers = schedulers if isinstance(schedulers, (list, tuple)) else [schedulers]
    for i, scheduler in enumerate(schedulers if built else ()):
        plain = {k: v for k, v in scheduler.items() if k != 'convert_to_iter_based'}
        yield from _try(
            f'param_scheduler[{i}]',
            lambda: roots.PARAM_SCHEDULERS.build({**deepcopy(plain), 'optimizer': built[0]}),  # noqa: B023
        )


def _try(where, build):
    try:
        build()
    except Exception as error:  # whatever a class of anyone raises at its arguments
        yield Finding(
            FAULT, 'part-unfit', f'{where} does not fit: {first_line(error)}', 'correct it'
        )
