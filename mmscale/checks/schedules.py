"""Schedules, hooks and intervals that do not fit the length of a run."""

from collections.abc import Iterator, Mapping
from math import ceil
from typing import Any

from mmscale.checks.findings import NOTE, WARNING, Finding
from mmscale.registry import type_name

WARM_UPS = ('LinearLR', 'ConstantLR', 'QuadraticWarmupLR')


def find_in_schedule(cfg: Mapping[str, Any], images: int | None = None) -> Iterator[Finding]:
    """What would silently not happen, or go on too long, in a training run.

    Args:
        cfg (mmengine.Config): Whose sections are sections.
        images (int, optional): How many a training epoch has, if that is known.
    """
    loop = cfg.get('train_cfg') or {}
    by_epoch = _is_by_epoch(loop)
    length = loop.get('max_epochs' if by_epoch else 'max_iters')
    if not isinstance(length, int):
        return
    unit = 'epochs' if by_epoch else 'iterations'
    steps = _steps(cfg, images) if by_epoch else 1
    yield from _schedulers(cfg, length, unit, by_epoch, steps)
    yield from _intervals(loop, length, unit, cfg)
    if not by_epoch:
        yield from _hooks_by_epoch(cfg)


def _schedulers(cfg, length, unit, by_epoch, steps):
    given = cfg.get('param_scheduler') or []
    given = given if isinstance(given, (list, tuple)) else [given]
    last = 0.0  # where the last of them ends, in the unit of the run
    known = True
    for i, scheduler in enumerate(given):
        where = f'param_scheduler[{i}] ({type_name(scheduler.get("type", ""))})'
        own_epochs = scheduler.get('by_epoch', True)
        if own_epochs and not by_epoch:
            yield Finding(
                WARNING,
                'scheduler-by-epoch',
                f'{where} counts epochs, but the run counts iterations, so that it does nothing',
                f'param_scheduler.{i}.by_epoch=False, with begin, end and milestones in iterations',
            )
            continue
        scale = 1 if own_epochs == by_epoch else steps
        end = scheduler.get('end')
        marks = [m for m in scheduler.get('milestones') or () if isinstance(m, (int, float))]
        if not marks and not isinstance(end, int) and isinstance(scheduler.get('T_max'), int):
            end = scheduler.get('begin', 0) + scheduler['T_max']
        if scale is None:
            continue  # in iterations of an epoch whose length is unknown
        over = [mark for mark in marks if mark / scale >= length]
        if over:
            yield Finding(
                WARNING,
                'milestones-after-end',
                f'{where} lowers the learning rate at {marks}, but the run ends after {length} '
                f'{unit}: {over} never come',
                f'param_scheduler.{i}.milestones=[...] that fit',
            )
        elif isinstance(end, int) and not marks and end / scale > length:
            warm = type_name(scheduler.get('type', '')) in WARM_UPS and not scheduler.get('begin')
            yield Finding(
                NOTE if warm else WARNING,
                'warm-up-after-end' if warm else 'schedule-after-end',
                f'{where} ends after {end} {"epochs" if own_epochs else "iterations"}, but the run '
                f'after {length} {unit}'
                + ('' if scale == 1 else f' of {steps} iterations')
                + (', so that the full learning rate is never reached' if warm else ''),
                f'param_scheduler.{i}.end, or T_max, as long as the run',
            )
        if isinstance(end, int) and not marks:
            last = max(last, end / scale)
        else:
            known = False  # it goes on to the end, or drops at milestones
    if given and known and last and last < length and len(given) > 1:
        yield Finding(
            WARNING,
            'schedule-before-end',
            f'the learning rate schedule ends after {last:g} {unit}, but the run goes on to '
            f'{length} with the last learning rate',
            'give param_scheduler the same length as train_cfg',
        )


def _intervals(loop, length, unit, cfg):
    begin = loop.get('val_begin', 1)
    # With a long val_interval there is one all the same, after the last epoch or iteration.
    if cfg.get('val_dataloader') and isinstance(begin, int) and begin > length:
        yield Finding(
            WARNING,
            'validation-never',
            f'train_cfg: the first validation would come after {begin} {unit}, but the run ends '
            f'after {length}',
            'train_cfg.val_begin=1',
        )


def _hooks_by_epoch(cfg):
    hooks = dict(cfg.get('default_hooks') or {})
    hooks |= {f'custom_hooks[{i}]': h for i, h in enumerate(cfg.get('custom_hooks') or ())}
    for name, hook in hooks.items():
        saves = hook and type_name(hook.get('type', '')) == 'CheckpointHook'
        if saves and hook.get('by_epoch', True):
            yield Finding(
                WARNING,
                'checkpoint-by-epoch',
                f'{name} saves by epochs, but the run counts iterations: nothing is saved '
                'before its end',
                f'default_hooks.{name}.by_epoch=False, with interval in iterations',
            )
    if (cfg.get('log_processor') or {}).get('by_epoch', True):
        yield Finding(
            WARNING,
            'log-by-epoch',
            'log_processor counts epochs, but the run counts iterations',
            'log_processor.by_epoch=False',
        )


def _is_by_epoch(loop):
    kind = type_name(loop.get('type', ''))
    if kind:
        return 'Iter' not in kind
    return loop.get('by_epoch', 'max_iters' not in loop)


def _steps(cfg, images):
    """Iterations of an epoch; None if the number of images is unknown."""
    batch = (cfg.get('train_dataloader') or {}).get('batch_size')
    return ceil(images / batch) if images and isinstance(batch, int) and batch > 0 else None
