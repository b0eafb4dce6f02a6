"""How important each neuron is: the measures that an allocation can rank by.

A new measure is a function and a row of `MEASURES`.
"""

from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from itertools import islice
from typing import Any, NamedTuple

import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.runner import Runner, set_random_seed

from mmscale.errors import UserError, check_choice
from mmscale.models.backbones.scalenet import ScaleBranch, ScaleNet
from mmscale.utils.progress import track

Scores = list[list[dict[int, torch.Tensor]]]  # by stage, block and scale


def gamma_scores(backbone: ScaleNet) -> Scores:
    """Importance of every neuron: ``|gamma|``, the factor by which its block's norm scales it.

    Args:
        backbone (ScaleNet): Trained, all four stages.

    Returns:
        list[list[dict]]: For each stage and block, scores (n,) in float64 by scale.
    """
    return _scores(backbone, torch.abs)


def taylor_scores(model: BaseModel, batches: Iterable[dict]) -> Scores:
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
    for batch in track(batches, 'scoring neurons'):
        number += 1
        model.zero_grad()
        data = model.data_preprocessor(batch, training=True)
        loss, _ = model.parse_losses(model(**data, mode='loss'))
        loss.backward()
        for gamma in gammas_of(model.backbone):
            if gamma.grad is None:
                raise UserError('frozen stages have no gradients to rank by; set frozen_stages=-1')
            change = (gamma * gamma.grad).detach().abs().double()
            sums[gamma] = sums.get(gamma, 0) + change
    if not sums:
        raise UserError('there are no batches to rank the neurons with')
    return _scores(model.backbone, lambda gamma: sums[gamma] / number)


def uniform_scores(backbone: ScaleNet) -> Scores:
    """Scores by which the scales share as evenly as they can, to compare: -1, -2, ..."""
    return _scores(backbone, lambda gamma: -torch.arange(1, len(gamma) + 1))


def gammas_of(backbone: ScaleNet) -> Iterator[torch.nn.Parameter]:
    """The norms' factors of every SA block, scale by scale."""
    for module in backbone.modules():
        if isinstance(module, ScaleBranch):
            yield module.norm.weight


def _scores(backbone: Any, score: Callable) -> Scores:
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


class Measure(NamedTuple):
    """A measure of importance.

    Attributes:
        score (Callable): ``score(model, cfg, batches)`` gives the scores and the measure in words.
        trained (bool): It needs a checkpoint.
        data (bool): It needs the config's training images.
    """

    score: Callable[[BaseModel, Config, int], tuple[Scores, str]]
    trained: bool
    data: bool


def _by_gamma(model, cfg, batches):
    return gamma_scores(model.backbone), 'gamma'


def _by_taylor(model, cfg, batches):
    model.to('cuda' if torch.cuda.is_available() else 'cpu')
    set_random_seed(0)  # of augmentation and of a detector's sampling
    loader = Runner.build_dataloader(deepcopy(cfg.train_dataloader), seed=0)
    scores = taylor_scores(model, islice(loader, batches))
    return scores, f'taylor of {min(batches, len(loader))} batches'


def _by_position(model, cfg, batches):
    return uniform_scores(model.backbone), 'uniform'


MEASURES = {
    'gamma': Measure(_by_gamma, trained=True, data=False),
    'taylor': Measure(_by_taylor, trained=True, data=True),
    'uniform': Measure(_by_position, trained=False, data=False),
}


def measure_of(name: str) -> Measure:
    """The row of `MEASURES` with this name.

    Raises:
        UserError: If there is none.
    """
    check_choice('measure', name, MEASURES)
    return MEASURES[name]


def scores_of(model: BaseModel, cfg: Config, measure: str, batches: int) -> tuple[Scores, str]:
    """Rank a model's neurons.

    Args:
        model (BaseModel): With a :class:`ScaleNet` as its backbone.
        cfg (mmengine.Config): Of the model, with the training images that a measure may need.
        measure (str): A name in `MEASURES`.
        batches (int): Of training images.

    Returns:
        tuple[Scores, str]: The scores, and the measure in words.

    Raises:
        UserError: If a score is not finite.
    """
    scores, words = measure_of(measure).score(model, cfg, batches)
    if not all(s.isfinite().all() for stage in scores for block in stage for s in block.values()):
        raise UserError('not all scores are finite numbers; has the training failed?')
    return scores, words
