"""ReXNet's blocks in C++."""

import ctypes
import threading
from typing import Any

import torch
from mmcv.cnn.bricks.wrappers import Conv2d
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
from mmscale.deploy.native.library import library

CONVS = (nn.Conv2d, Conv2d)  # mmcv's is for empty inputs
SIZES = ('in_', 'hidden', 'out', 'stride', 'dilation', 'gates', 'expands', 'silu', 'shortcut')
ARRAYS = (
    'expand', 'expand_bias', 'depthwise', 'depthwise_bias', 'project', 'project_bias',
    'reduce', 'reduce_bias', 'excite', 'excite_bias',
)  # fmt: skip


class _Block(ctypes.Structure):
    """The struct of that name in `bottleneck.cpp`."""

    _fields_ = [
        *((name, ctypes.c_long) for name in SIZES),
        *((name, ctypes.c_void_p) for name in ARRAYS),
    ]


class NativeBottleneck(nn.Module):
    """A ReXNet block that `bottleneck.cpp` computes, for float32 on a CPU without gradients.

    What traces, compiles or exports meets the block itself, and so do other devices and types.

    Args:
        block: In eval mode, with its norms folded; see :func:`can_be_native`.
    """

    scratch = threading.local()  # maps between two passes, for all blocks that a thread runs

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block
        self._convs: tuple[Any, ...] = tuple(m for m in block.modules() if isinstance(m, nn.Conv2d))
        self._packed = Packed()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Take (N, in_channels, H, W) to (N, out_channels, H / stride, W / stride)."""
        first = self._convs[0]
        tensors = [tensor for conv in self._convs for tensor in (conv.weight, conv.bias)]
        if not fits(x, tensors, first.in_channels):
            return self.block(x)
        described, _ = self._packed.get(tensors, lambda: _describe(self.block))
        x = x.contiguous(memory_format=torch.channels_last)
        count, _, height, width = x.shape
        sides = ((side - 1) // described.stride + 1 for side in (height, width))
        y = channels_last(count, described.out, *sides)
        block = ctypes.byref(described)
        sizes = longs((count, height, width, torch.get_num_threads()))
        scratch = self._scratch(library().bottleneck_scratch(block, *sizes))
        library().bottleneck(block, pointer(x), pointer(y), pointer(scratch), *sizes)
        return y

    def _scratch(self, size):
        """Memory of that many floats, which is kept: fresh pages take longer than the maps."""
        kept = getattr(self.scratch, 'floats', None)
        if kept is None or kept.numel() < size:
            kept = self.scratch.floats = torch.empty(size)
        return kept


def _describe(block):
    """A block as `bottleneck.cpp` takes it, and the arrays that this points to."""
    depthwise, project = block.depthwise.conv, block.project.conv
    arrays = dict(
        depthwise=padded(depthwise.weight.flatten(1).t()),
        depthwise_bias=padded(depthwise.bias),
        project=packed(padded(project.weight.flatten(1))),
        project_bias=padded(project.bias),
    )
    described = _Block(
        in_=depthwise.in_channels,
        hidden=depthwise.out_channels,
        out=project.out_channels,
        stride=depthwise.stride[0],
        dilation=depthwise.dilation[0],
        shortcut=block.shortcut,
    )
    if not isinstance(block.expand, nn.Identity):
        expand = block.expand.conv
        described.in_ = expand.in_channels
        described.expands, described.silu = True, isinstance(block.expand.act, nn.SiLU)
        arrays['expand'] = packed(expand.weight.flatten(1))
        arrays['expand_bias'] = padded(expand.bias)
    if not isinstance(block.se, nn.Identity):
        reduce, excite = block.se.reduce, block.se.expand
        described.gates = reduce.out_channels
        arrays['reduce'] = padded(reduce.weight.flatten(1))
        arrays['reduce_bias'] = reduce.bias.detach().clone()
        arrays['excite'] = padded(excite.weight.flatten(1).t())
        arrays['excite_bias'] = padded(excite.bias)
    for name, array in arrays.items():
        setattr(described, name, array.data_ptr())
    return described, arrays


def can_be_native(block: Any) -> bool:
    """Whether a block computes what `bottleneck.cpp` does: its norms folded, nothing exchanged."""
    depthwise, expands = block.depthwise.conv, not isinstance(block.expand, nn.Identity)
    squeezes = not isinstance(block.se, nn.Identity)
    acts: list[tuple] = [(block.act, nn.ReLU6)]
    pointwise = [block.project.conv]
    norms = [block.depthwise.norm, block.project.norm]
    if expands:
        pointwise.append(block.expand.conv)
        norms.append(block.expand.norm)
        kind = nn.SiLU if isinstance(block.expand.act, nn.SiLU) else nn.ReLU6
        acts.append((block.expand.act, kind))
    if squeezes:
        pointwise += [block.se.reduce, block.se.expand]
        norms.append(block.se.norm)
        acts.append((block.se.act, nn.ReLU))
    stride, dilation = depthwise.stride[0], depthwise.dilation[0]
    return (
        all(type(norm) is nn.Identity for norm in norms)
        and all(type(act) is kind for act, kind in acts)
        and all(conv.bias is not None and is_usual(conv, 1, 1, 0) for conv in pointwise)
        and depthwise.bias is not None
        and is_usual(depthwise, 3, stride, dilation, dilation, depthwise.out_channels)
        and stride in (1, 2)
    )


def is_usual(
    conv: Any, size: int, stride: int, padding: int, dilation: int = 1, groups: int = 1
) -> bool:
    """Whether it is a plain convolution of these, of the same in both directions."""
    return (
        type(conv) in CONVS
        and conv.padding_mode == 'zeros'
        and (conv.kernel_size, conv.stride) == ((size, size), (stride, stride))
        and (conv.padding, conv.dilation) == ((padding, padding), (dilation, dilation))
        and conv.groups == groups
    )
