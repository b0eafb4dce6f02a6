"""What the user should know of an allocation beside its numbers."""

from collections.abc import Sequence

import torch

from mmscale.allocation.scores import Scores
from mmscale.allocation.selection import Kept
from mmscale.models.backbones.scalenet import ScaleNet

NEAR = 0.05  # of each other: factors that say little


def remarks_on(backbone: ScaleNet, scores: Scores, kept: Kept, neurons: Sequence[int]) -> list[str]:
    """What the user should know of a result."""
    remarks = []
    seed = backbone.structure
    lacking = [row for rows, count in zip(seed.stages, neurons) for row in rows if min(row) < count]
    if lacking:
        remarks.append(
            f'{seed.name} is too narrow to be a seed for this budget: in {len(lacking)} of '
            f'{sum(seed.depths)} blocks some scale has fewer neurons than the budget, so this is '
            'pruning, not a free choice'
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


def remarks_on_gammas(scores: Scores) -> list[str]:
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
