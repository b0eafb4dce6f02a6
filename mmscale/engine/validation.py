"""A validation that finds nothing has a figure too."""

from collections.abc import Sequence

from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner

from mmscale.registry import HOOKS


@HOOKS.register_module()
class EmptyValidationHook(Hook):
    """Gives AP 0 where no detection was found at all, for which mmdet's metric has no figure.

    A run that saves its best checkpoint by this figure would end there.

    Args:
        keys (Sequence[str]): The figures that the best checkpoint is saved by.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self.keys = tuple(keys)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Fill in the figures that are missing altogether."""
        if metrics is not None and not metrics:
            metrics.update(dict.fromkeys(self.keys, 0.0))
            print_log(f'no object was found in this validation: {self.keys} are 0', 'current')
