"""Memory with channels last, which convolutions on CPUs are faster in."""

from typing import Any

import torch
from torch import nn

BLOCK = 16  # channels that oneDNN computes at once with AVX-512


def to_channels_last(model: nn.Module) -> nn.Module:
    """Have a model's convolutions run in channels-last memory.

    Two kinds of modules get contiguous copies of their inputs instead, by a hook:

    - mmcv's own operators, RoIAlign among them. They read any tensor as if it were contiguous, and
      their results would be wrong without a word.
    - 1x1 convolutions with a stride and few channels. oneDNN writes beyond its memory for them
      (https://github.com/uxlfoundation/oneDNN/issues/6035).

    mmcv's operators called as functions, such as ``mmcv.ops.roi_align``, cannot be hooked: give
    them ``x.contiguous()``.

    Args:
        model: It is changed in place.

    Returns:
        nn.Module: The same model.
    """
    _to(model, torch.channels_last)
    for module in model.modules():
        of_mmcv = any(kind.__module__.startswith('mmcv.ops') for kind in type(module).__mro__)
        if of_mmcv or _overruns(module):
            # Its own convolutions too: those of deformable ones compute the offsets.
            _to(module, torch.contiguous_format)
            if make_contiguous not in module._forward_pre_hooks.values():
                module.register_forward_pre_hook(make_contiguous, with_kwargs=True)
    return model


def _to(module: Any, memory: torch.memory_format) -> None:
    module.to(memory_format=memory)  # which torch's own annotations do not know


def _overruns(module):
    """Whether a convolution, also one that SAN generates, is of that kind."""
    shape, stride = getattr(module, 'shape', None), getattr(module, 'stride', 1)
    if isinstance(module, nn.Conv2d):
        shape, stride = module.weight.shape, max(module.stride)
    if not isinstance(shape, tuple) or len(shape) != 4 or shape[2:] != (1, 1):
        return False
    return shape[1] < BLOCK and stride != 1


def make_contiguous(
    module: nn.Module, args: tuple, kwargs: dict[str, Any]
) -> tuple[tuple, dict[str, Any]]:
    """A forward pre-hook that gives a module contiguous copies of its inputs."""

    def contiguous(x):
        return x.contiguous() if isinstance(x, torch.Tensor) else x

    return tuple(map(contiguous, args)), {key: contiguous(x) for key, x in kwargs.items()}
