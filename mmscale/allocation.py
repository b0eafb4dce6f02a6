"""Neuron allocation: from a trained ScaleNet to a structure (paper, section 3.2).

In every block the scales compete: all of its neurons are ranked together, and the most important
ones are kept, as many as the stage's budget. That, and the budgets of
:func:`mmscale.structures.stage_neurons`, are published. The measures of importance, the search for
a number of multiply-adds and keeping weights are this project's decisions.

Scores and selections are nested lists: for each stage one list, in it for each block a dict by
scale.
"""

from contextlib import ExitStack
from copy import deepcopy
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import torch
from mmengine.runner import Runner, set_random_seed
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

from mmscale import checkpoints
from mmscale.checkpoints.reading import find_file, sha256
from mmscale.counting import backbone_macs, count
from mmscale.errors import UserError
from mmscale.files import check_out, written_aside
from mmscale.models.backbones.scalenet import ScaleBranch, ScaleNet
from mmscale.running import build_model, check, load_config
from mmscale.structure_plots import draw_allocation
from mmscale.structures import FOLDER, Structure, stage_neurons, write_structure
from mmscale.version import __version__

MEASURES = ('gamma', 'taylor', 'uniform')
BATCHES = 20
NEAR = 0.05  # of each other: factors that say little
PER_CHANNEL = (_BatchNorm, _InstanceNorm)


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
    shape: list
    remarks: list


def gamma_scores(backbone):
    """Importance of every neuron: ``|gamma|``, the factor by which its block's norm scales it.

    Args:
        backbone (ScaleNet): Trained, all four stages.

    Returns:
        list[list[dict]]: For each stage and block, scores (n,) in float64 by scale.
    """
    return _scores(backbone, torch.abs)


def taylor_scores(model, batches):
    """Importance by data: how much the loss changes, to first order, if a neuron's gamma is 0.

    That is ``|gamma * d loss / d gamma|``, averaged over batches. Norms and dropout are in eval
    mode.

    Args:
        model (BaseDetector | BaseClassifier): Trained, with a :class:`ScaleNet` as its backbone; on
            its device.
        batches (Iterable[dict]): As a loader of training images gives them; at least one.

    Returns:
        list[list[dict]]: As :func:`gamma_scores`.

    Raises:
        UserError: If there are no batches, or stages are frozen.
    """
    model.eval()
    sums: dict = {}
    number = 0
    for batch in batches:
        number += 1
        model.zero_grad()
        data = model.data_preprocessor(batch, training=True)
        loss, _ = model.parse_losses(model(**data, mode='loss'))
        loss.backward()
        for gamma in _gammas(model.backbone):
            if gamma.grad is None:
                raise UserError('frozen stages have no gradients to rank by; set frozen_stages=-1')
            change = (gamma * gamma.grad).detach().abs().double()
            sums[gamma] = sums.get(gamma, 0) + change
    if not sums:
        raise UserError('there are no batches to rank the neurons with')
    return _scores(model.backbone, lambda gamma: sums[gamma] / number)


def uniform_scores(backbone):
    """Scores by which the scales share as evenly as they can, to compare: minus the position."""
    return _scores(backbone, lambda gamma: -torch.arange(len(gamma)))


def _gammas(backbone):
    for module in backbone.modules():
        if isinstance(module, ScaleBranch):
            yield module.norm.weight


def _scores(backbone, score):
    """Apply `score` to the norms' factors of every block."""
    return [
        [
            {
                int(scale): score(branch.norm.weight).detach().double().cpu()
                for scale, branch in block.aggregate.branches.items()
            }
            for block in stage
        ]
        for stage in backbone.stages
    ]


def select(scores, neurons):
    """Keep the best neurons of each block, whatever their scale.

    Args:
        scores (list[list[dict]]): As :func:`gamma_scores` gives them.
        neurons (int | Sequence[int]): The budget, see :func:`mmscale.structures.stage_neurons`.

    Returns:
        list[list[dict]]: Indices (n,) of the neurons that are kept, ascending, by scale. Of equal
        scores the finer scale's and then the earlier neuron's count more.

    Raises:
        UserError: If a block has fewer neurons than its budget.
    """
    stages = []
    for stage, (blocks, budget) in enumerate(zip(scores, stage_neurons(neurons)), 1):
        stages.append([_select_block(block, budget, stage) for block in blocks])
    return stages


def _select_block(scores, budget, stage):
    values = torch.cat(list(scores.values()))
    if budget > len(values):
        raise UserError(
            f'{budget} neurons are asked for in each block of stage {stage}, where one of the '
            f'checkpoint has {len(values)}; ask for fewer, or train a wider seed'
        )
    best = values.argsort(descending=True, stable=True)[:budget]
    keep = torch.zeros(len(values), dtype=torch.bool)
    keep[best] = True
    parts = keep.split([len(part) for part in scores.values()])
    return {scale: part.nonzero().flatten() for scale, part in zip(scores, parts)}


def structure_of(kept, scales, name='', source=''):
    """The :class:`Structure` of a selection."""
    stages = tuple(
        tuple(tuple(len(block.get(scale, ())) for scale in scales) for block in blocks)
        for blocks in kept
    )
    return Structure(name, scales, stages, source)


def largest_within(macs, scores, target, sides):
    """The most neurons whose selection stays within a number of multiply-adds.

    Args:
        macs (Callable[[list], int]): The multiply-adds of a selection.
        scores (list[list[dict]]): As :func:`gamma_scores` gives them.
        target (int): Multiply-adds.
        sides (str): Of the image that they are counted for, for the message.

    Returns:
        int: n, the neurons of the last stage's blocks: that of n + 1 exceeds the target.

    Raises:
        UserError: If the fewest exceed it, or the most that there are stay below it.
    """
    most = min(
        min(sum(map(len, block.values())) for block in blocks) * 2**halvings
        for blocks, halvings in zip(scores, (3, 2, 1, 0))
    )
    low, high = 1, most  # a selection contains those of smaller budgets, so the counts are in order
    least, whole = macs(select(scores, low)), macs(select(scores, high))
    if not least <= target <= whole:
        raise UserError(
            f'{target / 1e9:.9g} G multiply-adds are out of reach: from this checkpoint the whole '
            f'model can have {least / 1e9:.9g} to {whole / 1e9:.9g} G at {sides} px (another size: '
            '--shape); for more, train a wider seed'
        )
    if target == whole:
        return most
    while high - low > 1:
        middle = (low + high) // 2
        if macs(select(scores, middle)) <= target:
            low = middle
        else:
            high = middle
    return low


def slice_weights(state_dict, kept, prefix='backbone.'):
    """The weights of the small network: those of the neurons that are kept, as they are.

    The small network computes what the large one does with all other neurons silenced (gamma and
    beta 0).

    Args:
        state_dict (dict): Of a model or, with `prefix` '', of a backbone.
        kept (list[list[dict]]): As :func:`select` gives it.

    Returns:
        dict: Fits the model with the structure of `kept`.
    """
    state = dict(state_dict)
    for stage, blocks in enumerate(kept):
        for number, block in enumerate(blocks):
            where = f'{prefix}stages.{stage}.{number}.'
            inputs, first = [], 0
            for scale, neurons in block.items():
                branch = f'{where}aggregate.branches.{scale}.'
                names = [name for name in state if name.startswith(branch)]
                inputs.append(neurons + first)
                first += len(state[f'{branch}conv.weight'])
                for name in names:
                    value = state.pop(name)
                    if len(neurons):
                        state[name] = value[neurons] if value.dim() else value
            expand = f'{where}expand.conv.weight'
            state[expand] = state[expand][:, torch.cat(inputs)]
    return state


def allocate(
    config,
    checkpoint,
    out,
    *,
    width_factor=None,
    neurons=None,
    gmacs=None,
    shape=None,
    measure='gamma',
    batches=BATCHES,
    keep_weights=None,
    plot=None,
    trust_checkpoint=False,
    overrides=None,
):
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
            :func:`mmscale.counting.count`.
        measure (str): 'gamma', 'taylor' (of the config's training images) or 'uniform' (no
            measure at all: the scales share evenly, to compare with).
        batches (int): Of training images, for 'taylor'.
        keep_weights (str, optional): A .pth file to write: the checkpoint without what was
            discarded.
        plot (str, optional): A PNG to write: shares of the scales, and the scores.
        trust_checkpoint, overrides: As in :func:`mmscale.running.test`.

    Returns:
        Allocation: What is in the file, and its cost.

    Raises:
        UserError: If config, checkpoint or budget do not fit; nothing is written, nor over what
            is read or a structure of the package.
    """
    cfg = load_config(config, overrides)
    _check(cfg, config, checkpoint, measure, batches, keep_weights)
    path = find_file(checkpoint) if checkpoint else None
    inputs = [*FOLDER.glob('*.json'), *([path] if path else []), *_structure_file(cfg)]
    outs = {out: '.json', keep_weights: '.pth', plot: '.png'}
    for name, suffix in outs.items():
        if name is not None:
            check_out(name, (suffix,), inputs)
    if sum(budget is not None for budget in (width_factor, neurons, gmacs)) != 1:
        raise UserError('give one budget: a width factor, neurons, or multiply-adds')
    model = _model(cfg)
    backbone = model.backbone
    if keep_weights:
        _check_slices(backbone)
    meta = {}
    if path:
        content, _ = checkpoints.read_weights(path, trust=trust_checkpoint)
        meta = content.get('meta') or {}
        checkpoints.load(model, path, trust=trust_checkpoint, whole=True)
    scores, said = _measure(model, cfg, measure, batches)
    seed = backbone.structure
    budget = ''
    counts = count(cfg, shape)
    rest = counts['macs'] - counts['parts']['backbone']['macs']

    def macs(kept):
        return rest + backbone_macs(_config_of(cfg.model.backbone, kept, seed), counts['shape'])

    if width_factor is not None:
        neurons = _of_width(width_factor, backbone)
        budget = f'width factor {width_factor}'
    elif gmacs is not None:
        if not 0 < gmacs < float('inf'):
            raise UserError(f'{gmacs} G multiply-adds must be a positive number')
        sides = ' x '.join(map(str, counts['shape']))
        budget = f'{gmacs} G multiply-adds at {sides}'
        neurons = largest_within(macs, scores, round(gmacs * 1e9), sides)
    neurons = stage_neurons(neurons)
    kept = select(scores, neurons)
    source = [f'mmscale {__version__}: {neurons} neurons of a block', budget]
    source += [f'by {said}', f'of {Path(config).stem}']
    source += [f'with {overrides}' if overrides else '']
    source += [f'from {path.name} (sha256 {sha256(path)})' if path else '']
    structure = structure_of(kept, seed.scales, Path(out).stem, ', '.join(filter(None, source)))
    with ExitStack() as files:  # all of them or none
        aside = {name: files.enter_context(written_aside(name)) for name in outs if name}
        if keep_weights:
            _write_weights(model, cfg, kept, structure, meta, aside[keep_weights])
        if plot:
            draw_allocation(structure, scores, kept, measure, aside[plot])
        write_structure(structure, aside[out])
    remarks = _remarks(backbone, scores, kept, neurons)
    if measure == 'gamma':
        remarks += _told_apart(scores)
    return Allocation(structure, macs(kept), counts['shape'], remarks)


def _structure_file(cfg):
    structure = cfg.model.backbone.get('structure')
    return [structure] if isinstance(structure, (str, Path)) else []


def _check(cfg, config, checkpoint, measure, batches, keep_weights):
    if 'backbone' not in cfg.get('model', {}):
        raise UserError(f'{config} has no model with a backbone')
    if measure not in MEASURES:
        raise UserError(f'measure {measure!r} is unknown; choose from {MEASURES}')
    if not checkpoint and measure != 'uniform':
        raise UserError(
            f'measure {measure!r} needs a checkpoint after the config; without one: uniform'
        )
    if keep_weights and not checkpoint:
        raise UserError(f'{keep_weights!r} needs a checkpoint whose weights are kept')
    if batches < 1:
        raise UserError(f'batches {batches} must be 1 or more')
    if measure == 'taylor':
        check(cfg, ('train',))


def _model(cfg):
    """The config's model, with a whole ScaleNet whose neurons can be ranked."""
    model = build_model(cfg)
    backbone = model.backbone
    if not isinstance(backbone, ScaleNet):
        raise UserError(f'the backbone is {type(backbone).__name__}; neurons are for a ScaleNet')
    if len(backbone.stages) < len(backbone.structure.stages):
        raise UserError(f'out_indices={backbone.out_indices} leave stages out; neurons are for all')
    for gamma in _gammas(backbone):
        if gamma is None:
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


def _measure(model, cfg, measure, batches):
    """The scores, and the measure in words."""
    said = measure
    if measure == 'gamma':
        scores = gamma_scores(model.backbone)
    elif measure == 'taylor':
        model.to('cuda' if torch.cuda.is_available() else 'cpu')
        set_random_seed(0)  # of augmentation and of a detector's sampling
        loader = Runner.build_dataloader(deepcopy(cfg.train_dataloader), seed=0)
        scores = taylor_scores(model, islice(loader, batches))
        said += f' of {min(batches, len(loader))} batches'
    else:
        scores = uniform_scores(model.backbone)
    if not all(s.isfinite().all() for stage in scores for block in stage for s in block.values()):
        raise UserError('not all scores are finite numbers; has the training failed?')
    return scores, said


def _of_width(factor, backbone):
    planes = backbone.stage_channels(backbone.stem.conv.out_channels)[-1] // 4
    if not 0.5 <= factor * planes < float('inf'):
        raise UserError(
            f'width factor {factor} must be a number that leaves at least one of {planes} neurons'
        )
    return round(factor * planes)


def _config_of(backbone_cfg, kept, seed):
    """The backbone's config with the structure of a selection, and without weights."""
    structure = structure_of(kept, seed.scales).content()
    return {**backbone_cfg, 'structure': structure, 'init_cfg': None}


def _remarks(backbone, scores, kept, neurons):
    """What the user should know of a result."""
    remarks = []
    seed = backbone.structure
    lacking = [row for rows, count in zip(seed.stages, neurons) for row in rows if min(row) < count]
    if lacking:
        remarks.append(
            f'{seed.name} is no seed for this budget: in {len(lacking)} of {sum(seed.depths)} '
            'blocks some scale has fewer neurons than the budget, so this is pruning, not a free '
            'choice'
        )
    blocks = [pair for stage in zip(scores, kept) for pair in zip(*stage)]
    dead = [1 for block, best in blocks if any((block[k][i] == 0).any() for k, i in best.items())]
    if dead:
        remarks.append(
            f'in {len(dead)} of {len(blocks)} blocks neurons of score 0 are kept to fill the '
            'budget, finer scales first: a smaller budget or a weaker penalty would be a choice'
        )
    if backbone.frozen_stages > 0:
        remarks.append(
            f'frozen_stages={backbone.frozen_stages}: the factors of these stages were not trained '
            'with this config'
        )
    return remarks


def _told_apart(scores):
    """A remark on blocks in which the factors are nearly equal."""
    blocks = [torch.cat(list(block.values())) for stage in scores for block in stage]
    near = [
        number
        for number, block in enumerate(blocks)
        if block.quantile(0.95) - block.quantile(0.05) < NEAR * block.quantile(0.95)
    ]
    if not near:
        return []
    return [
        f'in {len(near)} of {len(blocks)} blocks (from 0: {near[:9]}) nine of ten gammas are '
        f'within {NEAR:.0%} of each other: the training has hardly told their neurons apart; '
        'train longer, or take --measure taylor'
    ]


def _write_weights(model, cfg, kept, structure, meta, out):
    """Write the small network's checkpoint, once it has been seen to fit."""
    state = slice_weights(model.cpu().state_dict(), kept)
    small = deepcopy(cfg)
    small.model.backbone.update(structure=structure.content(), init_cfg=None)
    _model(small).load_state_dict(state)
    meta = {key: meta[key] for key in ('dataset_meta',) if key in meta}  # the classes
    torch.save(dict(state_dict=state, meta=dict(meta, source=structure.source)), out)
