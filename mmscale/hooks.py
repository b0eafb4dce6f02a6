"""Hooks for mmengine's Runner."""

import torch
from mmengine.hooks import Hook

from mmscale.registry import HOOKS


@HOOKS.register_module()
class ChannelsLastHook(Hook):
    """Runs the model's convolutions in channels-last memory, which is faster on CPUs.

    mmcv's own operators (RoIAlign among them) read such tensors as if they were contiguous, without
    a word and with wrong results; they are given contiguous copies.
    """

    def before_run(self, runner):
        """Convert the model before it is trained or tested."""
        runner.model.to(memory_format=torch.channels_last)
        for module in runner.model.modules():
            if type(module).__module__.startswith('mmcv.ops'):
                module.register_forward_pre_hook(_make_contiguous)


def _make_contiguous(module, inputs):
    return tuple(x.contiguous() if isinstance(x, torch.Tensor) else x for x in inputs)
