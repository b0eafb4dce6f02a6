"""How an operator is run just as mmcv's compiled one is."""

import struct
from collections.abc import Callable
from typing import Any

import torch
import torchvision  # noqa: F401  (registers torch.ops.torchvision)
from torch import Tensor
from torch.utils._pytree import tree_map_only


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


def call_torchvision(operator: Callable, *arguments: Any) -> Any:
    """Run one of torchvision's operators; they have no bfloat16, which goes by way of float32.

    Args:
        operator (Callable): For example ``torch.ops.torchvision.roi_align``.
        arguments: The first is a tensor.

    Returns:
        Any: What the operator returns, in the precision of the first argument.
    """
    if arguments[0].dtype != torch.bfloat16:
        return call(operator, *arguments)
    result = call(operator, *_cast(arguments, torch.bfloat16, torch.float32))
    return _cast(result, torch.float32, torch.bfloat16)


def _cast(values, from_, to):
    return tree_map_only(Tensor, lambda x: x.to(to) if x.dtype == from_ else x, values)


def at_least_single(x: Tensor) -> Tensor:
    """In single precision what is in half, for sums and areas that are beyond it."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def write(output: Tensor, values: Tensor) -> None:
    """Write values into a tensor that was given for them.

    As an assignment: after ``copy_`` in the forward pass of a ``torch.autograd.Function``,
    torch.compile (2.11) takes the gradient of the output for that of ``copy_``'s and loses it.
    """
    output[...] = values


def single(number: float) -> float:
    """A number rounded to single precision, in which mmcv takes its thresholds and scales."""
    return struct.unpack('f', struct.pack('f', number))[0]
