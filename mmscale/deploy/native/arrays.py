"""Tensors as the C++ takes them."""

import ctypes
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch.autograd.forward_ad import unpack_dual

from mmscale.deploy.native.library import library
from mmscale.utils.following import is_followed


def fits(x: torch.Tensor, weights: Sequence[torch.Tensor], channels: int) -> bool:
    """Whether the C++ computes what is asked for, which gives no gradients.

    Args:
        x, weights, channels: As of :func:`suits`.
    """
    wanted = torch.is_grad_enabled() and any(t.requires_grad for t in (x, *weights))
    return not wanted and suits(x, weights, channels)


def suits(x: torch.Tensor, weights: Sequence[torch.Tensor], channels: int) -> bool:
    """Whether these are maps and weights for the C++: of float32, on a CPU.

    Nor may something trace, compile or export, which would not see what is computed.

    Args:
        x: The input.
        weights (Sequence[torch.Tensor]): Weights and biases.
        channels (int): That the input has to have.
    """
    given = (x, *weights)
    return (
        not is_followed()
        and not torch._C._are_functorch_transforms_active()
        and type(x) is torch.Tensor
        and all(t.dtype == torch.float32 and t.device.type == 'cpu' for t in given)
        and x.layout == torch.strided
        and x.dim() == 4
        and x.numel() > 0
        and x.size(1) == channels
        and unpack_dual(x).tangent is None
    )


def channels_last(*shape: int) -> torch.Tensor:
    """A new map (N, C, H, W) in channels-last memory."""
    return torch.empty(shape, memory_format=torch.channels_last)


def pointer(tensor: torch.Tensor | None) -> ctypes.c_void_p:
    """Where its numbers begin; nowhere if there is none."""
    return ctypes.c_void_p(None if tensor is None else tensor.data_ptr())


def longs(numbers: Iterable[int]) -> list[ctypes.c_long]:
    """Numbers as arguments."""
    return [ctypes.c_long(number) for number in numbers]


def padded(tensor: torch.Tensor) -> torch.Tensor:
    """A contiguous copy whose last dimension has whole vectors, by zeros."""
    missing = -tensor.size(-1) % library().lanes()
    return F.pad(tensor.detach().clone(memory_format=torch.contiguous_format), (0, missing))


def packed(matrix: torch.Tensor) -> torch.Tensor:
    """A matrix (out, in) as panels, see `vectors.h`."""
    out, depth = matrix.shape
    result = torch.empty((out + -out % library().lanes()) * depth)
    library().pack(pointer(matrix.contiguous()), *longs((out, depth)), pointer(result))
    return result


def _stored(tensor):
    """Numbers that lie in memory from its first on: fewer than its own if it is expanded."""
    there = tensor.untyped_storage().nbytes() // tensor.element_size() - tensor.storage_offset()
    return min(tensor.numel(), there)


class Packed:
    """What is made of weights for the C++: made anew when one of them is another.

    A weight is another if it lies elsewhere, if PyTorch counted a change, or if one of some of its
    numbers differs: what is written through ``.data`` or NumPy is not counted. Copies, and what is
    read from a file, make their own.
    """

    def __init__(self) -> None:
        self.key: tuple | None = None
        self.held: list[torch.Tensor] = []  # so that no other weight gets the place of one
        self.places: tuple = ()
        self.value: Any = None

    def get(self, tensors: Sequence[torch.Tensor], make: Callable[[], Any]) -> Any:
        """What `make` makes of the tensors; it is called without gradients."""
        where = [(t.data_ptr(), 0 if t.is_inference() else t._version) for t in tensors]
        if self.key is None or self.key[0] != where or self.key[1] != self._probe():
            with torch.no_grad():
                self.value = make()
            self.held = [t.detach() for t in tensors]
            count = len(tensors)
            self.places = (
                (ctypes.c_void_p * count)(*(t.data_ptr() for t in tensors)),
                (ctypes.c_long * count)(*map(_stored, tensors)),
                ctypes.c_long(count),
            )
            self.key = where, self._probe()
        return self.value

    def _probe(self):
        """A number of some of the weights' values."""
        return library().probe(*self.places)

    def __reduce__(self):
        return Packed, ()
