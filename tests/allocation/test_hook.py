"""The penalty on gammas draws them to zero and no further."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.optim import OptimWrapper
from small_scalenet import SMALL
from torch import nn

from mmscale.allocation.hook import GammaL1Hook
from mmscale.models import ScaleNet


def one_step(hook, model, accumulative_counts=1):
    optimiser = torch.optim.SGD(
        [dict(params=model[0].parameters(), lr=0.1), dict(params=model[1].parameters(), lr=0.5)]
    )
    wrapper = OptimWrapper(optimiser, accumulative_counts=accumulative_counts)
    wrapper.initialize_count_status(model, 0, 4)
    runner = SimpleNamespace(model=model, optim_wrapper=wrapper)
    hook.before_train(runner)
    wrapper.update_params(sum(p.sum() for p in model.parameters()) * 0)
    hook.after_train_iter(runner, 0)


def test_the_penalty_draws_factors_to_zero_and_no_further():
    model = nn.Sequential(
        ScaleNet(**{k: SMALL[k] for k in ('structure', 'base_channels')}),
        ScaleNet(**{k: SMALL[k] for k in ('structure', 'base_channels')}),
    )
    before = {name: value.clone() for name, value in model.state_dict().items()}
    for net in model:
        gamma = net.stages[0][0].aggregate.branches['1'].norm.weight
        with torch.no_grad():
            gamma[:4] = torch.tensor([0.3, -0.3, 0.001, -0.001])
    one_step(GammaL1Hook(0.1), model)
    for net, lr in zip(model, (0.1, 0.5), strict=True):
        gamma = net.stages[0][0].aggregate.branches['1'].norm.weight
        step = 0.1 * lr
        expected = torch.tensor([0.3 - step, step - 0.3, 0, 0])
        torch.testing.assert_close(gamma[:4].detach(), expected)
    for name, value in model.state_dict().items():
        if 'aggregate' not in name or not name.endswith('norm.weight'):
            assert torch.equal(value, before[name])


def test_the_penalty_waits_for_the_optimiser():
    model = nn.Sequential(
        ScaleNet(**{k: SMALL[k] for k in ('structure', 'base_channels')}), nn.Linear(1, 1)
    )
    gamma = model[0].stages[0][0].aggregate.branches['1'].norm.weight
    one_step(GammaL1Hook(0.1), model, accumulative_counts=2)
    assert torch.equal(gamma.detach(), torch.ones_like(gamma))


def test_the_penalty_leaves_frozen_stages_alone():
    model = nn.Sequential(
        ScaleNet(structure=SMALL['structure'], base_channels=8, frozen_stages=1), nn.Linear(1, 1)
    )
    one_step(GammaL1Hook(0.1), model)
    first, second = (
        model[0].stages[stage][0].aggregate.branches['1'].norm.weight for stage in (0, 1)
    )
    assert torch.equal(first.detach(), torch.ones_like(first))
    assert (second < 1).all()


def test_the_penalty_refuses_what_it_cannot_do():
    for wrong in (-1, float('nan'), float('inf'), '0.1', None):
        with pytest.raises(ValueError, match=f'strength={wrong!r}'):
            GammaL1Hook(wrong)
    with pytest.raises(ValueError, match='no SA blocks'):
        GammaL1Hook(1).before_train(SimpleNamespace(model=nn.Linear(1, 1)))
