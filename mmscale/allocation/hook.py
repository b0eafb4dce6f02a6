"""The L1 penalty that a seed is trained with."""

from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.nn.functional import softshrink

from mmscale.errors import UserError, check_number
from mmscale.models.backbones.scalenet import ScaleBranch
from mmscale.registry import HOOKS


@HOOKS.register_module()
class GammaL1Hook(Hook):
    """Draws the factors (gamma) of all SA blocks' norms towards 0, while a seed is trained.

    After every step of the optimiser they are soft-thresholded by ``strength`` times the learning
    rate: the proximal step of an L1 penalty. Unlike a penalty in the loss it means the same for
    every optimiser and precision, and factors do reach 0.

    Args:
        strength (float): Of the penalty, 0 or more. What nothing in the loss holds shrinks by
            `strength` times the sum of the learning rates; the factors begin at 1. An SGD with
            momentum m follows the loss with steps 1 / (1 - m) as long, and is not slowed by this.

    Raises:
        UserError: If `strength` is not such a number.
    """

    def __init__(self, strength: float) -> None:
        check_number('strength', strength, 0)
        self.strength = strength

    def before_train(self, runner: Runner) -> None:
        """Find the norms."""
        self.gammas = {
            module.norm.weight
            for module in runner.model.modules()
            if type(module) is ScaleBranch and module.norm.weight.requires_grad
        }
        if not self.gammas:
            raise UserError('GammaL1Hook: the model has no SA blocks that train: is it a ScaleNet?')

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Take the step if the optimiser has taken one."""
        if not runner.optim_wrapper.should_update():
            return  # gradients are being accumulated
        with torch.no_grad():
            for group in runner.optim_wrapper.param_groups:
                for gamma in self.gammas.intersection(group['params']):
                    gamma.copy_(softshrink(gamma, self.strength * group['lr']))
