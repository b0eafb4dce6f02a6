"""How an operator is run just as mmcv's compiled one is."""

import struct
from collections.abc import Callable
from typing import Any

import torch
import torchvision  # noqa: F401  (registers torch.ops.torchvision)
from torch import Tensor


def call(operator: Callable, *arguments: Any) -> Any:
    """Run an operator in the precision of its arguments and in every mode of determinism.

    mmcv's operators know no autocast, and say nothing where the order of sums is left to a GPU.

    Args:
        operator (Callable): For example ``torch.ops.torchvision.nms``.
        arguments: The first is a tensor.

    Returns:
        Any: What the operator returns.
    """
    device = arguments[0].device.type
    with torch.autocast(device, enabled=False):
        if device == 'cpu' or not torch.are_deterministic_algorithms_enabled():
            return operator(*arguments)
        warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
        torch.use_deterministic_algorithms(False)
        try:
            return operator(*arguments)
        finally:
            torch.use_deterministic_algorithms(True, warn_only=warn_only)


def write(output: Tensor, values: Tensor) -> None:
    """Write values into a tensor that was given for them.

    As an assignment: after ``copy_`` in the forward pass of a ``torch.autograd.Function``,
    torch.compile (2.11) takes the gradient of the output for that of ``copy_``'s and loses it.
    """
    output[...] = values


def single(number: float) -> float:
    """A number rounded to single precision, in which mmcv takes its thresholds and scales."""
    return struct.unpack('f', struct.pack('f', number))[0]
