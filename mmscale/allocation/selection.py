"""Which neurons are kept within a budget, and what is left of the network then."""

from collections.abc import Callable, Sequence

import torch

from mmscale.allocation.scores import Scores
from mmscale.errors import UserError
from mmscale.structures import Structure, stage_neurons

Kept = list[list[dict[int, torch.Tensor]]]  # indices of neurons, by stage, block and scale


def select(scores: Scores, neurons: int | Sequence[int]) -> Kept:
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


def structure_of(kept: Kept, scales: Sequence[int], name: str = '', source: str = '') -> Structure:
    """The :class:`Structure` of a selection."""
    stages = tuple(
        tuple(tuple(len(block.get(scale, ())) for scale in scales) for block in blocks)
        for blocks in kept
    )
    return Structure(name, tuple(scales), stages, source)


def largest_within(macs: Callable[[Kept], int], scores: Scores, target: int, sides: str) -> int:
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


def slice_weights(
    state_dict: dict[str, torch.Tensor], kept: Kept, prefix: str = 'backbone.'
) -> dict[str, torch.Tensor]:
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
