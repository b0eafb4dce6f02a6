"""Which neurons are kept: the published structures come back."""

from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmengine.registry import MODELS
from networks import randomise_norms
from small_scalenet import SCALES, SMALL
from torch import nn

from mmscale.allocation.scores import gamma_scores
from mmscale.allocation.selection import select, slice_weights, structure_of
from mmscale.errors import UserError
from mmscale.models import ScaleNet
from mmscale.structures import PUBLISHED, load_structure, seed


@pytest.mark.parametrize('name', PUBLISHED)
def test_published_ranks_give_published_structures(name):
    published = load_structure(name)
    neurons = [sum(rows[0]) for rows in published.stages]
    with torch.device('meta'):
        backbone = ScaleNet(structure=seed(neurons, published.depths), out_indices=(3,))
    torch.manual_seed(0)
    for blocks, rows in zip(backbone.stages, published.stages, strict=True):
        for block, row in zip(blocks, rows, strict=True):
            branches = block.aggregate.branches.values()
            for branch, chosen in zip(branches, row, strict=True):
                size = len(branch.norm.weight)
                gamma = torch.rand(size)
                gamma[torch.randperm(size)[:chosen]] += 1
                sign = torch.randint(0, 2, (size,)) * 2 - 1
                branch.norm.weight = nn.Parameter(gamma * sign)
    kept = select(gamma_scores(backbone), neurons[-1])
    assert structure_of(kept, published.scales).stages == published.stages


def test_of_equal_scores_the_finer_scale_and_earlier_neuron_are_kept():
    scores = [[{1: torch.tensor([1.0, 2, 1]), 4: torch.tensor([2.0, 1])}]] * 4
    first = select(scores, [1, 2, 3, 4])
    kept = [{scale: best.tolist() for scale, best in stage[0].items()} for stage in first]
    assert kept == [{1: [1], 4: []}, {1: [1], 4: [0]}, {1: [0, 1], 4: [0]}, {1: [0, 1, 2], 4: [0]}]


@given(
    sizes=st.lists(st.integers(0, 17), min_size=2, max_size=3).filter(lambda n: max(n) >= 4),
    multiple=st.integers(1, 4),
    budget=st.integers(1, 60),
    seed=st.integers(0, 99),
)
def test_multiples_are_the_best_that_fit(sizes, multiple, budget, seed):
    torch.manual_seed(seed)
    block = {scale: torch.rand(size, dtype=torch.float64) for scale, size in enumerate(sizes)}
    groups, most = budget // multiple, sum(size // multiple for size in sizes)
    if not groups:
        with pytest.raises(UserError, match=f'={multiple} is more than the {budget} neurons'):
            select([[block]] * 4, [budget] * 4, multiple)
        return
    if groups > most:
        with pytest.raises(UserError, match=f'{groups * multiple} neurons .* {most * multiple}'):
            select([[block]] * 4, [budget] * 4, multiple)
        return
    kept = select([[block]] * 4, [budget] * 4, multiple)[0][0]
    assert all(len(best) % multiple == 0 for best in kept.values())
    assert sum(len(best) for best in kept.values()) == groups * multiple
    ordered = [part.sort(descending=True).values for part in block.values()]
    choices = product(*(range(0, size + 1, multiple) for size in sizes))
    sums = [
        sum(float(part[:count].sum()) for part, count in zip(ordered, counts))
        for counts in choices
        if sum(counts) == groups * multiple
    ]
    assert sum(float(block[k][best].sum()) for k, best in kept.items()) == pytest.approx(max(sums))


def test_a_scale_that_nobody_chose_is_gone():
    torch.manual_seed(0)
    backbone = randomise_norms(MODELS.build(SMALL), signed=True).eval()
    for stage in backbone.stages:
        for block in stage:
            nn.init.constant_(block.aggregate.branches['2'].norm.weight, 1e-3)
    kept = select(gamma_scores(backbone), 20)
    structure = structure_of(kept, SCALES)
    assert {row[1] for rows in structure.stages for row in rows} == {0}
    small = ScaleNet(structure=structure.content(), base_channels=8)
    small.load_state_dict(slice_weights(backbone.state_dict(), kept, prefix=''))
