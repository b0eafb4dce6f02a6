"""Which neurons are kept within a budget, and what is left of the network then."""

from collections.abc import Callable, Sequence

import torch

from mmscale.allocation.scores import Scores
from mmscale.errors import UserError, check_whole
from mmscale.structures import Structure, stage_neurons

Kept = list[list[dict[int, torch.Tensor]]]  # indices of neurons, by stage, block and scale


def select(scores: Scores, neurons: int | Sequence[int], multiple: int = 1) -> Kept:
    """Keep the best neurons of each block, whatever their scale.

    Args:
        scores (list[list[dict]]): As :func:`gamma_scores` gives them.
        neurons (int | Sequence[int]): The budget, see :func:`mmscale.structures.stage_neurons`.
        multiple (int): Each scale keeps a multiple of it: a scale's neurons are taken so many at a
            time, best first, and a group counts by its sum. A block keeps as many as fit in its
            budget.

    Returns:
        list[list[dict]]: Indices (n,) of the neurons that are kept, ascending, by scale. Of equal
        scores the finer scale's and then the earlier neuron's count more.

    Raises:
        UserError: If a block has fewer neurons than its budget, or this fewer than `multiple`.
    """
    check_whole('multiple', multiple)
    stages = []
    for stage, (blocks, budget) in enumerate(zip(scores, stage_neurons(neurons)), 1):
        if budget < multiple:
            raise UserError(
                f'multiple_of={multiple} is more than the {budget} neurons of a block in stage '
                f'{stage}: choose a smaller multiple, or more neurons'
            )
        stages.append([_select_block(block, budget, multiple, stage) for block in blocks])
    return stages


def _select_block(scores, budget, multiple, stage):
    groups = budget // multiple
    orders = [part.argsort(descending=True, stable=True) for part in scores.values()]
    sums = [_group_sums(part[order], multiple) for part, order in zip(scores.values(), orders)]
    values = torch.cat(sums)
    if groups > len(values):
        multiples = f', in multiples of {multiple}' if multiple > 1 else ''
        remedy = 'ask for fewer, or train a wider seed'
        raise UserError(
            f'{groups * multiple} neurons are asked for in each block of stage {stage}, where one '
            f'of the network has {multiple * len(values)}{multiples}; '
            + (f'choose a smaller multiple, {remedy}' if multiple > 1 else remedy)
        )
    best = values.argsort(descending=True, stable=True)[:groups]
    keep = torch.zeros(len(values), dtype=torch.bool)
    keep[best] = True
    counts = [multiple * int(part.sum()) for part in keep.split([len(part) for part in sums])]
    chosen = zip(scores, orders, counts)
    return {scale: order[:count].sort().values for scale, order, count in chosen}


def _group_sums(ordered, multiple):
    """Sums of so many values at a time; what is left over is no group."""
    return ordered[: len(ordered) // multiple * multiple].view(-1, multiple).sum(1)


def structure_of(kept: Kept, scales: Sequence[int], name: str = '', source: str = '') -> Structure:
    """The :class:`Structure` of a selection."""
    stages = tuple(
        tuple(tuple(len(block.get(scale, ())) for scale in scales) for block in blocks)
        for blocks in kept
    )
    return Structure(name, tuple(scales), stages, source)


def largest_within(
    macs: Callable[[Kept], int], scores: Scores, target: int, sides: str, multiple: int = 1
) -> int:
    """The most neurons whose selection stays within a number of multiply-adds.

    Args:
        macs (Callable[[list], int]): The multiply-adds of a selection.
        scores (list[list[dict]]): As :func:`gamma_scores` gives them.
        target (int): Multiply-adds.
        sides (str): Of the image that they are counted for, for the message.
        multiple (int): See :func:`select`.

    Returns:
        int: n, the neurons of the last stage's blocks: that of n + 1 exceeds the target.

    Raises:
        UserError: If the fewest exceed it, or the most that there are stay below it.
    """

    def capacity(block):  # the largest budget that it can fill
        groups = sum(len(part) // multiple for part in block.values())
        return (groups + 1) * multiple - 1

    most = min(
        min(map(capacity, blocks)) * 2**halvings for blocks, halvings in zip(scores, (3, 2, 1, 0))
    )

    def cost(neurons):
        return macs(select(scores, neurons, multiple))

    fewest = 8 * (multiple - 1) + 1  # the first stage has an eighth, rounded up
    low, high = fewest, most  # a selection contains those of smaller budgets: counts are in order
    least, whole = cost(low), cost(high)
    if not least <= target <= whole:
        raise UserError(
            f'{target / 1e9:.9g} G multiply-adds are out of reach: from this network the whole '
            f'model can have {least / 1e9:.9g} to {whole / 1e9:.9g} G at {sides} px (another size: '
            '--shape); for more, train a wider seed'
        )
    if target == whole:
        return most
    while high - low > 1:
        middle = (low + high) // 2
        if cost(middle) <= target:
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
