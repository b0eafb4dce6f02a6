"""Another backbone for a config's model, with everything that has to change with it."""

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.config import Config
from mmengine.logging import print_log

from mmscale.adapting.carrying import carried, dropped
from mmscale.adapting.changes import Change, look_up, make
from mmscale.adapting.channels import channel_changes
from mmscale.adapting.families import complete, count_indices
from mmscale.adapting.hosts import INNER, beside, find_host
from mmscale.adapting.levels import OFFERED, choose_levels
from mmscale.adapting.observing import Observed, observe
from mmscale.adapting.optimiser import optimiser_changes
from mmscale.adapting.pictures import picture_changes, preprocessors
from mmscale.adapting.proving import bare, prove
from mmscale.engine.building import build_model
from mmscale.engine.checks import check_model
from mmscale.engine.config import load_config
from mmscale.engine.tasks import CLASSIFIER, DETECTOR, SEGMENTOR, task_of
from mmscale.errors import UserError
from mmscale.families import backbone_name, feature_channels, pixels, published
from mmscale.models.init_cfg import is_pretrained
from mmscale.registry import SCOPE, type_name


class Adaptation(NamedTuple):
    """A config with another backbone.

    Attributes:
        cfg (mmengine.Config): The whole of it.
        changes (list[Change]): What is different, in order.
        notes (list[str]): What is to be said: what was dropped, and what wants a look.
    """

    cfg: Config
    changes: list[Change]
    notes: list[str]


def adapt(
    config: str | Path | Config, backbone: str, *, proof: bool = True, **arguments: Any
) -> Config:
    """Put a backbone of this package into any config.

    Args:
        config (str | Path | mmengine.Config): As :func:`mmscale.engine.config.load_config` takes
            it, or a config that was read already; it stays as it is.
        backbone (str): Its name: ``'ReXNet'``, or with the scope, ``'mmscale.ReXNet'``.
        proof (bool): Build the model, without weights, and let one small batch through loss and
            prediction.
        **arguments: Of the backbone, all but `out_indices`.

    Returns:
        mmengine.Config: The new config. What else was changed is in the log.

    Raises:
        UserError: If the backbone is part of the model's method, what the model reads cannot be
            had, an argument does not fit, or the proof fails.

    Example:
        >>> import mmscale
        >>> cfg = mmscale.adapt('mmdet::retinanet/retinanet_r50_fpn_1x_coco', 'ReXNet', proof=False)
        >>> cfg.model.neck.in_channels
        [38, 61, 128, 185]
    """
    cfg = config if isinstance(config, Config) else load_config(config)
    found = plan(cfg, backbone, arguments)
    for note in found.notes:
        print_log(note, logger='current')
    if proof:
        said = prove(found.cfg, cfg)
        if said:
            print_log(said, logger='current', level=logging.WARNING)
    return found.cfg


def plan(
    cfg: Config, backbone: str, arguments: Mapping[str, Any], old: Observed | None = None
) -> Adaptation:
    """What has to change for another backbone. Nothing is built but the old one.

    Args:
        cfg (mmengine.Config): The whole config; it stays as it is.
        backbone (str): The new backbone's name.
        arguments (dict): The new backbone's, all but `out_indices`.
        old (Observed, optional): The backbone that the config has, if it was observed before.

    Raises:
        UserError: See :func:`adapt`.
    """
    name = backbone_name(backbone)
    arguments, reasons = complete(name, arguments, detector=task_of(cfg) is DETECTOR)
    host = find_host(cfg)
    _check_pictures(host, arguments)
    try:
        old = old or observe(host.backbone, task_of(cfg).package)
    except UserError:
        check_model(cfg)  # which may say more
        raise
    levels = choose_levels(host.cfg, old, count_indices(name, arguments))
    if 'output_stride' in arguments:
        levels = levels._replace(output_stride=arguments['output_stride'])
        _check_strides(cfg, levels, old)
    channels = feature_channels(name, **{**arguments, 'out_indices': levels.out_indices})
    weights = _weights(name, arguments)
    mean, std = pixels(name)
    rgb = host.backbone.get('in_channels', 3) == 3
    changes = [
        *_backbone_changes(host, name, arguments, reasons, levels, old, weights),
        *channel_changes(host, old.channels, channels, levels.further),
        *(picture_changes(cfg, host, name, mean, std) if rgb else ()),
        *_checkpoint_changes(cfg, host),
    ]
    prefix = '.'.join([*map(str, host.path[1:]), 'backbone'])
    changes += optimiser_changes(
        cfg,
        [f'{prefix}.{parameter}' for parameter in old.parameters],
        lambda: _parameters(make(cfg, changes)),
    )
    adapted = make(cfg, changes)
    notes = list(_notes(cfg, host, name, arguments, old, weights, changes))
    return Adaptation(adapted, changes, notes)


def _check_pictures(host, arguments):
    """Refuse another number of channels than the pictures have."""
    there = host.backbone.get('in_channels', 3)
    wanted = arguments.get('in_channels', there)
    if wanted != there:
        raise UserError(
            f'in_channels={wanted}, but the pictures of this config have {there} channels: give '
            'its backbone, its pipelines and its data_preprocessor (mean, std) the other number '
            'first, and it goes on into the new backbone'
        )


def _check_strides(cfg, levels, old):
    """Refuse an output stride with which a detector would look for objects at wrong places."""
    strides = _strides(levels)
    before = list(old.strides[: len(strides)])
    if strides != before and task_of(cfg) not in (SEGMENTOR, CLASSIFIER):
        raise UserError(
            f'output_stride={levels.output_stride} makes maps of stride {_listed(strides)}, and '
            f'what reads them here was made for {_listed(before)} (its anchors, points or RoI '
            'extractors): leave it out'
        )


def _strides(levels):
    """Of the new backbone's maps."""
    most = levels.output_stride or OFFERED[-1]
    return [min(OFFERED[min(i, len(OFFERED) - 1)], most) for i in levels.out_indices]


def _listed(values):
    return ', '.join(map(str, values))


def _weights(name, arguments):
    """The checkpoint that the new backbone starts from, or None."""
    if 'init_cfg' in arguments:
        entries = arguments['init_cfg'] or {}
        entries = entries if isinstance(entries, (list, tuple)) else [entries]
        named = [entry for entry in entries if entry and is_pretrained(entry)]
        return named[0].get('checkpoint') if named else None
    return published(name, arguments)


def _backbone_changes(host, name, arguments, reasons, levels, old, weights) -> Iterator[Change]:
    path = (*host.path, 'backbone')
    former = type_name(host.backbone['type'])
    depth = host.backbone.get('depth')
    yield Change(path, {}, f'in the place of {former}{f" {depth}" if depth else ""}', instead=True)
    yield Change((*path, 'type'), f'{SCOPE}.{name}')
    for key, value in arguments.items():
        yield Change((*path, key), value, reasons.get(key, ''))
    strides, before = _strides(levels), list(old.strides)
    if levels.output_stride and 'output_stride' not in arguments:
        why = 'dilated from there on, as the old one'
        yield Change((*path, 'output_stride'), levels.output_stride, why)
    why = f'the maps of stride {_listed(strides)}, as before'
    if strides != before[: len(strides)]:
        why = f'the maps of stride {_listed(strides)}; before they were {_listed(before)}'
    if levels.out_indices == (len(OFFERED),):
        why = 'the last convolution of the classifier'
    elif levels.further:
        why = f'{why} (the neck makes the others)'
    yield Change((*path, 'out_indices'), levels.out_indices, why)
    kept = {s.key: s for s in carried(host.backbone, old, weights) if s.key not in arguments}
    for key, value, why in kept.values():
        yield Change((*path, key), value, why)
    if 'init_cfg' not in arguments:
        thawed = ', with frozen_stages=-1,' if 'frozen_stages' in kept else ''
        why = f'on the hub; init_cfg=None{thawed} is from scratch'
        if not weights:
            why = 'nothing is on the hub for it: name a file, or leave it at None'
        init_cfg = dict(type='Pretrained', checkpoint=weights)
        yield Change((*path, 'init_cfg'), init_cfg, why, instead=True)


def _checkpoint_changes(cfg, host) -> Iterator[Change]:
    """Weights of the whole model fit no longer."""
    for path in dict.fromkeys((('model',), host.path)):
        given = look_up(cfg, (*path, 'init_cfg'))
        if isinstance(given, dict) and given and is_pretrained(given):
            yield Change((*path, 'init_cfg'), None, 'weights of the model with the old backbone')
        if look_up(cfg, (*path, 'pretrained')):
            yield Change((*path, 'pretrained'), None, 'weights of the old backbone')
    if cfg.get('load_from'):
        yield Change(('load_from',), None, 'weights of the model with the old backbone')


def _parameters(cfg):
    """Names of all parameters of a config's model, which is built without memory if it can be."""
    prefix = f'{INNER}.' if INNER in cfg.model else ''
    cfg = bare(cfg)
    try:
        with torch.device('meta'):
            model = build_model(cfg)
    except RuntimeError:  # of torch's meta device, which does not compute everything
        model = build_model(cfg)
    return [f'{prefix}{name}' for name, _ in model.named_parameters()]


def _notes(cfg, host, name, arguments, old, weights, changes) -> Iterator[str]:
    former = type_name(host.backbone['type'])
    gone = dropped(host.backbone, old, weights, arguments)
    if gone:
        yield f'dropped with the old backbone {former}: {", ".join(gone)}'
    if not weights and 'init_cfg' not in arguments:
        yield (
            f'no weights of this {name} are on the hub: it starts from scratch unless '
            f'{".".join(map(str, host.path))}.backbone.init_cfg.checkpoint names a file'
        )
    for change in changes:
        if change.path[0] == 'optim_wrapper' or change.path[-1] == 'load_from':
            yield f'{".".join(map(str, change.path))}: {change.why}'
    others = beside(cfg.model) or beside(host.cfg)
    pictures = [change for change in changes if 'data_preprocessor' in change.path]
    if others and pictures:
        yield (
            f'{", ".join(others)}: its weights get pictures that are normalised otherwise now, as '
            f'{name} expects them'
        )
    if host.backbone.get('in_channels', 3) != 3:
        yield 'the pictures have other channels than RGB: mean and std stay those of the config'
    elif not preprocessors(cfg, host):
        yield f'no data preprocessor was found: {name} expects RGB pictures, normalised'
    if "'type': 'Normalize'" in str(cfg.get('train_dataloader')):
        yield 'a pipeline normalises pictures by itself (Normalize), before the data preprocessor'
