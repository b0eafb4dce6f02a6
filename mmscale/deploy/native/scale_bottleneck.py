"""ScaleNet's blocks in C++."""

from typing import Any

import torch
import torch.nn.functional as F
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
from mmscale.deploy.native.winograd import WinogradConv2d
from mmscale.deploy.scalenet import FusedAggregation
from mmscale.models.backbones.scalenet import ScaleBottleneck, pooled, resize_mode


class NativeScaleBottleneck(ScaleBottleneck):
    """A ScaleNet block whose maps are rectified, joined and summed up where they are computed.

    The branches write into their part of the joined map, and 1x1 convolutions take the shortcut and
    ReLU with them. For float32 on a CPU without gradients; elsewhere it is the block that it was.
    Made by :func:`to_native_block`.
    """

    reduce: Any
    _packed: dict[str, Packed]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See :class:`ScaleBottleneck`."""
        if not fits(x, [*self.parameters()], self.reduce.conv.in_channels):
            return super().forward(x)
        if _is_halving(self.pool) and min(x.shape[2:]) > 1:
            x = _pooled(x.contiguous(memory_format=torch.channels_last), 2)
        else:
            x = self.pool(x).contiguous(memory_format=torch.channels_last)
        shortcut = x
        if not isinstance(self.shortcut, nn.Identity):
            shortcut = self._pointwise('shortcut', x, relu=False)
        joined = _joined(self.aggregate, self._pointwise('reduce', x))
        return self._pointwise('expand', joined, shortcut)

    def _pointwise(self, name, x, shortcut=None, relu=True):
        """A 1x1 convolution of the block, with the shortcut, and rectified."""
        conv = getattr(self, name).conv
        tensors = [conv.weight, conv.bias]
        weights, bias = self._packed[name].get(tensors, lambda: _describe(conv))
        count, channels, height, width = x.shape
        y = channels_last(count, conv.out_channels, height, width)
        arrays = map(pointer, (x, y, shortcut, weights, bias))
        sizes = relu, count * height * width, channels, conv.out_channels, torch.get_num_threads()
        library().pointwise(*arrays, *longs(sizes))
        return y


def _joined(aggregation, x):
    """What a :class:`FusedAggregation` computes of `x`, in channels-last memory."""
    convs = aggregation.convs
    counts = [conv.out_channels for conv in convs]
    y = channels_last(len(x), sum(counts), *x.shape[2:])
    inputs = aggregation.inputs(x, _pooled)
    for scale, conv, of_scale, part in zip(aggregation.scales, convs, inputs, y.split(counts, 1)):
        if scale == 1 and isinstance(conv, WinogradConv2d):
            conv.write(of_scale, part, relu=True)
        else:
            _resize(conv(of_scale), part, aggregation.resize)
    return y


def _pooled(x, scale, dilation=1):
    """As :func:`mmscale.models.backbones.scalenet.pooled`, of and in channels-last memory."""
    if dilation > 1:
        return pooled(x, scale, dilation).contiguous(memory_format=torch.channels_last)
    count, channels, height, width = x.shape
    window = [min(scale, side) for side in (height, width)]
    y = channels_last(count, channels, height // window[0], width // window[1])
    sizes = (count, height, width, channels, *window, torch.get_num_threads())
    library().pool(pointer(x), pointer(y), *longs(sizes))
    return y


def _resize(x, y, mode):
    """Resize a map to `y`, some channels of a channels-last map, and rectify it."""
    size, mode = y.shape[2:], resize_mode(x, y.shape[2:], mode)
    x = x.contiguous(memory_format=torch.channels_last)
    count, channels, height, width = x.shape
    if mode == 'nearest' and any(whole % side for whole, side in zip(size, x.shape[2:])):
        torch.clamp(F.interpolate(x, size=size, mode='nearest'), min=0, out=y)
        return
    resize = library().resize_nearest if mode == 'nearest' else library().resize_bilinear
    sizes = (y.stride(3), count, height, width, channels, *size, torch.get_num_threads())
    resize(pointer(x), pointer(y), *longs(sizes))


def _is_halving(pool: nn.Module) -> bool:
    """Whether it is a 2x2 max pool, as at the beginning of a stage."""
    usual: bool = type(pool) is nn.MaxPool2d and not pool.ceil_mode and not pool.return_indices
    return usual and (pool.kernel_size, pool.stride, pool.padding, pool.dilation) == (2, 2, 0, 1)


def _describe(conv):
    """Weights and biases as `pointwise.cpp` takes them."""
    return packed(conv.weight.flatten(1)), padded(conv.bias)


def to_native_block(block: Any) -> bool:
    """Have a ScaleNet block computed so, if its norms are folded and nothing is exchanged.

    Returns:
        bool: Whether it is.
    """
    kinds = type(block), type(getattr(block, 'aggregate', None))
    if kinds != (ScaleBottleneck, FusedAggregation):
        return False
    parts = {name: getattr(block, name) for name in ('reduce', 'expand', 'shortcut')}
    if isinstance(block.shortcut, nn.Identity):
        del parts['shortcut']
    usual = all(
        type(part.norm) is nn.Identity
        and part.conv.bias is not None
        and is_usual(part.conv, 1, 1, 0)
        for part in parts.values()
    )
    if not usual or type(block.reduce.act) is not nn.ReLU or type(block.act) is not nn.ReLU:
        return False
    block.__class__ = NativeScaleBottleneck  # the same object, with the names of its weights
    block._packed = {name: Packed() for name in parts}
    return True
