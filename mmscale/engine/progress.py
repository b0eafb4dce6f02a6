"""How far a run is, from its first step on."""

from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmscale.utils.progress import Bar, Bars


class ProgressHook(Hook):
    """Says how far training, validation and test are: losses, speed, time left.

    Args:
        bars (Bars): Whose block the run is in.
    """

    priority = 'VERY_LOW'  # after the log's own lines

    def __init__(self, bars: Bars) -> None:
        self.bars = bars
        self.training: Bar | None = None
        self.evaluating: Bar | None = None

    def before_train(self, runner: Runner) -> None:
        """Begin with the steps that an earlier run has done."""
        if runner.rank == 0:
            self.training = self.bars.start('training', runner.max_iters, runner.iter)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict[str, Any] | None = None,
    ) -> None:
        """Say what the losses are."""
        if self.training:
            self.training.step(lambda: _losses(outputs))

    def before_val_epoch(self, runner: Runner) -> None:
        """Begin a line of its own."""
        self._begin(runner, 'validation', runner.val_dataloader)

    def before_test_epoch(self, runner: Runner) -> None:
        """Begin a line of its own."""
        self._begin(runner, 'test', runner.test_dataloader)

    def _begin(self, runner, what, loader):
        if runner.rank == 0:
            self.evaluating = self.bars.start(what, len(loader))

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Go on; after the last batch come the metrics."""
        if self.evaluating:
            self.evaluating.step()
            if self.evaluating.done == self.evaluating.total:
                self.evaluating.wait('computing the metrics')

    after_test_iter = after_val_iter

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """End the line."""
        if self.evaluating:
            self.evaluating.end()
            self.evaluating = None

    after_test_epoch = after_val_epoch


def _losses(outputs):
    """Losses of a step in words, the sum first."""
    values = {
        name: float(value)
        for name, value in (outputs or {}).items()
        if isinstance(value, (int, float)) or (torch.is_tensor(value) and value.numel() == 1)
    }
    losses = {name: value for name, value in values.items() if 'loss' in name}
    names = sorted(losses, key=lambda name: name != 'loss')
    return ', '.join(f'{name} {losses[name]:.3g}' for name in names[:4])
