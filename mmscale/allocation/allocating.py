"""Reads a trained ScaleNet, decides on a structure within a budget, and writes it."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

from mmscale import checkpoints
from mmscale.allocation.advice import remarks_on, remarks_on_gammas
from mmscale.allocation.scores import Scores, gammas_of, measure_of, scores_of
from mmscale.allocation.selection import (
    Kept,
    largest_within,
    select,
    slice_weights,
    structure_of,
)
from mmscale.checkpoints.reading import find_file, sha256
from mmscale.engine.building import build_model
from mmscale.engine.checks import check_run
from mmscale.engine.config import load_config
from mmscale.engine.counting import backbone_macs, count
from mmscale.errors import UserError, check_positive, check_whole
from mmscale.models.backbones.scalenet import ScaleBranch, ScaleNet
from mmscale.reports.structures import draw_allocation
from mmscale.structures import FOLDER, Structure, stage_neurons, write_structure
from mmscale.utils.files import check_out, written_aside
from mmscale.version import __version__

BATCHES = 20
PER_CHANNEL = (_BatchNorm, _InstanceNorm)


class Budget(NamedTuple):
    """What an allocation may cost; one of the three is given.

    Attributes:
        width_factor (float): The last stage's blocks have this many times the channels that
            ResNet's have there, ``8 * base_channels``.
        neurons (int | Sequence[int]): See :func:`mmscale.structures.stage_neurons`.
        gmacs (float): The most multiply-adds of the whole model, in 1e9.
    """

    width_factor: float | None = None
    neurons: int | Sequence[int] | None = None
    gmacs: float | None = None


class Allocation(NamedTuple):
    """What :func:`allocate` found.

    Attributes:
        structure (Structure): As it is in the file.
        macs (int): Multiply-adds of the whole model with it.
        shape (list[int]): Height and width of the image that they are for, in pixels.
        remarks (list[str]): What the user should know besides.
    """

    structure: Structure
    macs: int
    shape: list[int]
    remarks: list[str]


def allocate(
    config: str,
    checkpoint: str | None,
    out: str,
    *,
    width_factor: float | None = None,
    neurons: int | Sequence[int] | None = None,
    gmacs: float | None = None,
    shape: Sequence[int] | None = None,
    multiple_of: int = 1,
    measure: str = 'gamma',
    batches: int = BATCHES,
    keep_weights: str | None = None,
    plot: str | None = None,
    trust_checkpoint: bool = False,
    overrides: Mapping[str, Any] | None = None,
) -> Allocation:
    """Find a structure for a budget and write its file. Of the three budgets give one.

    Args:
        config (str): A classifier's or detector's with a ScaleNet, as it was trained: with a seed
            (see :func:`mmscale.structures.seed`), or with any structure, which is then pruned.
        checkpoint (str | None): Of that config; None is allowed for the measure 'uniform'.
        out (str): The .json file to write.
        width_factor (float, optional): Budget: the last stage's blocks have this many times the
            channels that ResNet's have there, ``8 * base_channels``.
        neurons (int | Sequence[int], optional): Budget: see
            :func:`mmscale.structures.stage_neurons`.
        gmacs (float, optional): Budget: the most neurons with which the whole model has no more
            than this many multiply-adds, in 1e9.
        shape (Sequence[int], optional): Of the image that they are counted for, see
            :func:`mmscale.engine.counting.count`.
        multiple_of (int): Each scale of a block keeps a multiple of so many neurons, see
            :func:`mmscale.allocation.selection.select`.
        measure (str): 'gamma', 'taylor' (of the config's training images) or 'uniform' (no
            measure at all: the scales share evenly, to compare with).
        batches (int): Of training images, for 'taylor'.
        keep_weights (str, optional): A .pth file to write: the checkpoint without what was
            discarded.
        plot (str, optional): A PNG to write: shares of the scales, and the scores.
        trust_checkpoint, overrides: As in :func:`mmscale.engine.testing.evaluate`.

    Returns:
        Allocation: What is in the file, and its cost.

    Raises:
        UserError: If config, checkpoint or budget do not fit; nothing is written, nor over what
            is read or a structure of the package.
    """
    cfg = load_config(config, overrides)
    _check_request(cfg, config, checkpoint, measure, batches, keep_weights)
    check_whole('multiple_of', multiple_of)
    path = find_file(checkpoint) if checkpoint else None
    outs = {out: '.json', keep_weights: '.pth', plot: '.png'}
    _check_outs(outs, cfg, path)
    budget = Budget(width_factor, neurons, gmacs)
    if sum(limit is not None for limit in budget) != 1:
        raise UserError('give one budget: a width factor, neurons, or multiply-adds')
    model, meta = _read(cfg, path, trust_checkpoint, sliced=bool(keep_weights))
    backbone = model.backbone
    scales = backbone.structure.scales
    scores, said = scores_of(model, cfg, measure, batches)
    counts = count(cfg, shape)
    rest = counts['macs'] - counts['parts']['backbone']['macs']

    def macs(kept: Kept) -> int:
        structure = structure_of(kept, scales).content()
        small = {**cfg.model.backbone, 'structure': structure, 'init_cfg': None}
        return rest + backbone_macs(small, counts['shape'])

    chosen, limit = _within(budget, backbone, scores, macs, counts['shape'], multiple_of)
    kept = select(scores, chosen, multiple_of)
    each = tuple(sum(map(len, blocks[0].values())) for blocks in kept)
    source = [f'mmscale {__version__}: {each} neurons of a block', limit]
    source += [f'in multiples of {multiple_of}' if multiple_of > 1 else '']
    source += [f'by {said}', f'of {Path(config).stem}']
    source += [f'with {overrides}' if overrides else '']
    source += [f'from {path.name} (sha256 {sha256(path)})' if path else '']
    structure = structure_of(kept, scales, Path(out).stem, ', '.join(filter(None, source)))
    with ExitStack() as files:  # all of them or none
        aside = {name: files.enter_context(written_aside(name)) for name in outs if name}
        if keep_weights:
            _write_weights(model, cfg, kept, structure, meta, aside[keep_weights])
        if plot:
            draw_allocation(structure, scores, kept, measure, aside[plot])
        write_structure(structure, aside[out])
    remarks = remarks_on(backbone, scores, kept, chosen)
    if measure == 'gamma':
        remarks += remarks_on_gammas(scores)
    return Allocation(structure, macs(kept), counts['shape'], remarks)


def _check_request(cfg, config, checkpoint, measure, batches, keep_weights):
    """Look at what is asked for, before anything is read."""
    if 'backbone' not in cfg.get('model', {}):
        raise UserError(f'{config} has no model with a backbone')
    chosen = measure_of(measure)
    if not checkpoint and chosen.trained:
        raise UserError(
            f'measure {measure!r} needs a checkpoint after the config; without one: uniform'
        )
    if keep_weights and not checkpoint:
        raise UserError(f'{keep_weights!r} needs a checkpoint whose weights are kept')
    check_whole('batches', batches)
    if chosen.data:
        check_run(cfg, ('train',))


def _check_outs(outs, cfg, checkpoint):
    """Look whether every file can be written, and none of them is read or the package's."""
    structure = cfg.model.backbone.get('structure')
    inputs = [*FOLDER.glob('*.json'), *([checkpoint] if checkpoint else [])]
    inputs += [structure] if isinstance(structure, (str, Path)) else []
    for name, suffix in outs.items():
        if name is not None:
            check_out(name, (suffix,), inputs)


def _read(
    cfg: Config, path: Path | None, trust: bool, *, sliced: bool
) -> tuple[BaseModel, dict[str, Any]]:
    """The trained model, and what its checkpoint says of itself."""
    model = _build(cfg)
    if sliced:
        _check_slices(model.backbone)
    if path is None:
        return model, {}
    content, _ = checkpoints.read_weights(path, trust=trust)
    checkpoints.load(model, path, trust=trust, whole=True)
    return model, content.get('meta') or {}


def _build(cfg):
    """The config's model, with a whole ScaleNet whose neurons can be ranked."""
    model = build_model(cfg)
    backbone = model.backbone
    if not isinstance(backbone, ScaleNet):
        raise UserError(f'the backbone is {type(backbone).__name__}; neurons are for a ScaleNet')
    if len(backbone.stages) < len(backbone.structure.stages):
        raise UserError(f'out_indices={backbone.out_indices} leave stages out; neurons are for all')
    if any(gamma is None for gamma in gammas_of(backbone)):
        raise UserError('the norms have no factors to rank by; set norm_cfg.affine=True')
    return model


def _check_slices(backbone):
    """Where a norm mixes its channels, what is kept depends on what is discarded."""
    for module in backbone.modules():
        if isinstance(module, ScaleBranch) and not isinstance(module.norm, PER_CHANNEL):
            raise UserError(
                f'weights are kept with norms of single channels, BN or IN, not '
                f'{type(module.norm).__name__}: allocate the structure alone, and train it'
            )


def _within(
    budget: Budget,
    backbone: ScaleNet,
    scores: Scores,
    macs: Callable[[Kept], int],
    shape: Sequence[int],
    multiple: int,
) -> tuple[tuple[int, ...], str]:
    """Neurons of a block in each stage within a budget, and the budget in words."""
    if budget.width_factor is not None:
        neurons = stage_neurons(_of_width(budget.width_factor, backbone))
        return neurons, f'width factor {budget.width_factor}'
    if budget.gmacs is not None:
        check_positive('gmacs', budget.gmacs)
        sides = ' x '.join(map(str, shape))
        most = largest_within(macs, scores, round(budget.gmacs * 1e9), sides, multiple)
        return stage_neurons(most), f'{budget.gmacs} G multiply-adds at {sides}'
    assert budget.neurons is not None
    return stage_neurons(budget.neurons), ''


def _of_width(factor, backbone):
    planes = backbone.stage_channels(backbone.stem.conv.out_channels)[-1] // 4
    if not 0.5 <= factor * planes < float('inf'):
        raise UserError(
            f'width factor {factor} must be a number that leaves at least one of {planes} neurons'
        )
    return round(factor * planes)


def _write_weights(model, cfg, kept, structure, meta, out):
    """Write the small network's checkpoint, once it has been seen to fit."""
    state = slice_weights(model.cpu().state_dict(), kept)
    small = deepcopy(cfg)
    small.model.backbone.update(structure=structure.content(), init_cfg=None)
    _build(small).load_state_dict(state)
    meta = {key: meta[key] for key in ('dataset_meta',) if key in meta}  # the classes
    torch.save(dict(state_dict=state, meta=dict(meta, source=structure.source)), out)
