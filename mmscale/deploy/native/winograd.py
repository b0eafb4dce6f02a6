"""3x3 convolutions in C++, by Winograd's algorithm."""

from typing import Any

import torch
from torch import nn

from mmscale.deploy.native.arrays import (
    Packed,
    channels_last,
    fits,
    longs,
    packed,
    padded,
    pointer,
)
from mmscale.deploy.native.bottleneck import is_usual
from mmscale.deploy.native.library import library

PARTS = 16  # values of a transformed tile
LEAST = 32  # channels, of inputs and outputs: the transforms take longer than they save with fewer


class WinogradConv2d(nn.Conv2d):
    """A 3x3 convolution that `winograd.cpp` computes, for float32 on a CPU without gradients.

    Elsewhere it is the convolution that it was. Made by :func:`to_winograd`.
    """

    _packed: Packed

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Take (N, in_channels, H, W) to (N, out_channels, H, W)."""
        tensors = [self.weight] if self.bias is None else [self.weight, self.bias]
        if not fits(x, tensors, self.in_channels):
            return super().forward(x)
        # As PyTorch's does; mmcv's operators read what is behind one as if it were contiguous.
        last = any(t.is_contiguous(memory_format=torch.channels_last) for t in (x, self.weight))
        y = channels_last(len(x), self.out_channels, *x.shape[2:])
        self.write(x, y)
        return y if last else y.contiguous()

    def write(self, x: torch.Tensor, y: torch.Tensor, *, relu: bool = False) -> None:
        """Compute into `y`, of channels-last memory or some channels of such a map.

        Args:
            x: That :func:`fits`.
            relu (bool): Rectified.
        """
        tensors = [self.weight] if self.bias is None else [self.weight, self.bias]
        weights, bias = self._packed.get(tensors, lambda: _describe(self))
        x = x.contiguous(memory_format=torch.channels_last)
        sizes = (len(x), *x.shape[2:], self.in_channels, self.out_channels, torch.get_num_threads())
        step = longs((y.stride(3),))
        library().winograd(
            pointer(x), pointer(y), *step, pointer(weights), pointer(bias), *longs((relu, *sizes))
        )


def _describe(conv):
    """The weights and biases as `winograd.cpp` takes them."""
    out, channels = conv.weight.shape[:2]
    given = conv.weight.detach().contiguous()
    transformed = torch.empty(PARTS, out, channels)
    library().winograd_weights(pointer(given), *longs((out, channels)), pointer(transformed))
    weights = torch.stack([packed(padded(matrix)) for matrix in transformed])
    bias = torch.zeros(out) if conv.bias is None else conv.bias
    return weights, padded(bias)


def to_winograd(conv: Any) -> bool:
    """Have a convolution computed so, if it is one that is faster for it; in place.

    Returns:
        bool: Whether it is.
    """
    if not is_usual(conv, 3, 1, 1) or min(conv.in_channels, conv.out_channels) < LEAST:
        return False
    conv.__class__ = WinogradConv2d  # the same object, whoever else refers to it
    conv._packed = Packed()
    return True
