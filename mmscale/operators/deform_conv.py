"""Deformable convolutions, of both versions, forward and backward."""

from typing import NamedTuple

import torch
from torch import Tensor

from mmscale.operators.calling import call_torchvision, write


class Geometry(NamedTuple):
    """How a kernel goes over a map: pairs of heights and widths, and numbers of groups."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int
    offset_groups: int

    def output_size(self, x: Tensor) -> tuple[int, int]:
        """Height and width of the output for a map (N, C, H, W)."""
        height, width = (
            (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
            for size, kernel, stride, padding, dilation in zip(
                x.shape[2:], self.kernel, self.stride, self.padding, self.dilation
            )
        )
        return height, width

    def arguments(self) -> tuple[int, ...]:
        """As torchvision takes them."""
        lengths = *self.stride, *self.padding, *self.dilation
        return *lengths, self.groups, self.offset_groups


def deform_conv_forward(
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    output: Tensor,
    columns: Tensor,
    ones: Tensor,
    kW: int,
    kH: int,
    dW: int,
    dH: int,
    padW: int,
    padH: int,
    dilationW: int,
    dilationH: int,
    group: int,
    deformable_group: int,
    im2col_step: int,
) -> None:
    """A deformable convolution.

    Args:
        input (Tensor): (N, C, H, W).
        weight (Tensor): (D, C / group, kH, kW).
        offset (Tensor): (N, 2 * deformable_group * kH * kW, H', W'): how far each tap is moved,
            down and to the right in turn, in pixels.
        output (Tensor): The result, (N, D, H', W').
        columns, ones (Tensor): Unused: room for what mmcv computes between.
        kW, kH, dW, dH, padW, padH, dilationW, dilationH (int): Kernel, stride, padding, dilation.
        group (int): Groups of channels.
        deformable_group (int): Groups of channels with offsets of their own.
        im2col_step (int): Unused: how many images mmcv computes at once.
    """
    geometry = Geometry(
        (kH, kW), (dH, dW), (padH, padW), (dilationH, dilationW), group, deformable_group
    )
    write(output, _forward(geometry, input, weight, offset))


def deform_conv_backward_input(
    input: Tensor,
    offset: Tensor,
    gradOutput: Tensor,
    gradInput: Tensor,
    gradOffset: Tensor,
    weight: Tensor,
    columns: Tensor,
    kW: int,
    kH: int,
    dW: int,
    dH: int,
    padW: int,
    padH: int,
    dilationW: int,
    dilationH: int,
    group: int,
    deformable_group: int,
    im2col_step: int,
) -> None:
    """Add the map's gradient to `gradInput` and write the offsets' into `gradOffset`."""
    geometry = Geometry(
        (kH, kW), (dH, dW), (padH, padW), (dilationH, dilationW), group, deformable_group
    )
    grads = _backward(geometry, gradOutput, input, weight, offset)
    gradInput.add_(grads[0])
    write(gradOffset, grads[2])


def deform_conv_backward_parameters(
    input: Tensor,
    offset: Tensor,
    gradOutput: Tensor,
    gradWeight: Tensor,
    columns: Tensor,
    ones: Tensor,
    kW: int,
    kH: int,
    dW: int,
    dH: int,
    padW: int,
    padH: int,
    dilationW: int,
    dilationH: int,
    group: int,
    deformable_group: int,
    scale: float,
    im2col_step: int,
) -> None:
    """Add `scale` times the weights' gradient to `gradWeight`."""
    geometry = Geometry(
        (kH, kW), (dH, dW), (padH, padW), (dilationH, dilationW), group, deformable_group
    )
    grads = _backward(geometry, gradOutput, input, torch.zeros_like(gradWeight), offset)
    gradWeight.add_(grads[1], alpha=scale)


def modulated_deform_conv_forward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    output: Tensor,
    columns: Tensor,
    kernel_h: int,
    kernel_w: int,
    stride_h: int,
    stride_w: int,
    pad_h: int,
    pad_w: int,
    dilation_h: int,
    dilation_w: int,
    group: int,
    deformable_group: int,
    with_bias: bool,
) -> None:
    """A deformable convolution whose taps are weighted too (DCNv2).

    Args:
        input (Tensor): (N, C, H, W).
        weight (Tensor): (D, C / group, kernel_h, kernel_w).
        bias (Tensor): (D,), with `with_bias`.
        ones, columns (Tensor): Unused: room for what mmcv computes between.
        offset (Tensor): (N, 2 * deformable_group * kernel_h * kernel_w, H', W'). If it is higher
            or wider than the output (of DyHead it is), the first numbers in memory are meant.
        mask (Tensor): (N, deformable_group * kernel_h * kernel_w, H', W'), likewise.
        output (Tensor): The result, (N, D, H', W').
        kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w (int): How the
            kernel goes over the map.
        group (int): Groups of channels.
        deformable_group (int): Groups of channels with offsets of their own.
        with_bias (bool): Whether there is a bias.
    """
    kernel, stride, padding = (kernel_h, kernel_w), (stride_h, stride_w), (pad_h, pad_w)
    dilation = dilation_h, dilation_w
    geometry = Geometry(kernel, stride, padding, dilation, group, deformable_group)
    size = geometry.output_size(input)
    moved, weighted = _first(offset, size), _first(mask, size)
    write(output, _forward(geometry, input, weight, moved, weighted, bias if with_bias else None))


def modulated_deform_conv_backward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    columns: Tensor,
    grad_input: Tensor,
    grad_weight: Tensor,
    grad_bias: Tensor,
    grad_offset: Tensor,
    grad_mask: Tensor,
    grad_output: Tensor,
    kernel_h: int,
    kernel_w: int,
    stride_h: int,
    stride_w: int,
    pad_h: int,
    pad_w: int,
    dilation_h: int,
    dilation_w: int,
    group: int,
    deformable_group: int,
    with_bias: bool,
) -> None:
    """Add the gradients of map, weights and bias to theirs; write those of offsets and masks."""
    kernel, stride, padding = (kernel_h, kernel_w), (stride_h, stride_w), (pad_h, pad_w)
    dilation = dilation_h, dilation_w
    geometry = Geometry(kernel, stride, padding, dilation, group, deformable_group)
    size = geometry.output_size(input)
    moved, weighted = _first(offset, size), _first(mask, size)
    grads = _backward(geometry, grad_output, input, weight, moved, weighted)
    grad_input.add_(grads[0])
    grad_weight.add_(grads[1])
    write(_first(grad_offset, size), grads[2])
    write(_first(grad_mask, size), grads[3])
    if with_bias:
        grad_bias.add_(grads[4])


def _forward(geometry, x, weight, offset, mask=None, bias=None):
    rest = _rest(x, weight, mask, bias)
    arguments = x, weight, _numbers(offset), *rest, *geometry.arguments(), mask is not None
    return call_torchvision(torch.ops.torchvision.deform_conv2d, *arguments)


def _backward(geometry, grad, x, weight, offset, mask=None):
    """Gradients of map, weights, offsets, masks and bias."""
    rest = _rest(x, weight, mask, None)
    arguments = grad, x, weight, _numbers(offset), *rest, *geometry.arguments(), mask is not None
    grads = list(call_torchvision(torch.ops.torchvision._deform_conv2d_backward, *arguments))
    grads[2] = grads[2].where(_inside(geometry, x, offset), 0)
    return grads


def _numbers(offset):
    """Offsets that are no numbers point far outside, where nothing is read, as mmcv's forward does.

    torchvision's operators, and mmcv's backward, end the process.
    """
    return offset.nan_to_num(nan=torch.inf, posinf=torch.inf, neginf=-torch.inf)


def _rest(x, weight, mask, bias):
    """Masks and bias as torchvision takes them where there are none."""
    mask = x.new_zeros(len(x), 1) if mask is None else mask
    return mask, x.new_zeros(len(weight)) if bias is None else bias


def _first(numbers, size):
    """The first numbers of each image in memory, as (N, channels, *size)."""
    if numbers.shape[2:] == size:
        return numbers
    count = numbers.size(1) * size[0] * size[1]
    step = numbers[0].numel()
    if count > step:
        raise RuntimeError(f'offsets and masks of {tuple(numbers.shape[2:])} for outputs of {size}')
    numbers = numbers.contiguous()
    return numbers.as_strided(
        (len(numbers), numbers.size(1), *size), (step, size[0] * size[1], size[1], 1)
    )


def _inside(geometry, x, offset):
    """Which taps read the map: at exactly -1, torchvision's derivatives are one-sided, mmcv's 0.

    Returns:
        Tensor: Shaped as the offsets, True for both offsets of a tap.
    """
    grids = []
    for axis, size in enumerate(geometry.output_size(x)):
        starts = (
            torch.arange(size, device=x.device) * geometry.stride[axis] - geometry.padding[axis]
        )
        taps = torch.arange(geometry.kernel[axis], device=x.device) * geometry.dilation[axis]
        grids.append(taps[:, None] + starts)
    rows, columns = grids
    kernel, (height, width) = geometry.kernel, geometry.output_size(x)
    moved = offset.reshape(len(x), -1, *kernel, 2, height, width)
    y = moved[:, :, :, :, 0] + rows[:, None, :, None]
    at_x = moved[:, :, :, :, 1] + columns[None, :, None, :]
    inside = (y > -1) & (y < x.size(2)) & (at_x > -1) & (at_x < x.size(3))
    return inside.unsqueeze(4).expand_as(moved).reshape(offset.shape)
