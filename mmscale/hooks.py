"""Hooks for mmengine's Runner."""

import torch
from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel, is_model_wrapper

from mmscale import checkpoints
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


@HOOKS.register_module()
class CheckpointFitHook(Hook):
    """Ends a run whose checkpoint does not fit the model, where mmengine would only warn.

    Args:
        whole (bool): Every tensor of the model has to be in the checkpoint, as for testing and
            resuming; else only the backbone's, as for fine-tuning on other classes.
    """

    priority = 'VERY_HIGH'

    def __init__(self, whole):
        self.whole = whole

    def after_load_checkpoint(self, runner, checkpoint):
        """Compare the checkpoint with the model before it is loaded."""
        model = runner.model
        if is_model_wrapper(model) or isinstance(model, BaseTTAModel):
            model = model.module  # mmengine loads into this too
        state_dict = checkpoint.get('state_dict', checkpoint)
        result = checkpoints.fit(model, state_dict)
        named = str(runner._load_from).removeprefix(checkpoints.SCHEME)
        required = '' if self.whole else 'backbone.'
        checkpoints.report(model, result, state_dict, named, required=required)
