"""RoIAlign, forward and backward, by averages and by maxima."""

import torch
from torch import Tensor

from mmscale.operators.calling import call, call_torchvision, single, write
from mmscale.utils.following import is_compiling

MAXIMUM = 0  # the pool_mode; 1 is the average
NOTHING = -10000  # mmcv's maximum of no samples at all
AT_ONCE = 2**24  # numbers of the samples that maxima are taken of


def roi_align_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Sample boxes of a map.

    Args:
        input (Tensor): (N, C, H, W).
        rois (Tensor): (K, 5): image, x1, y1, x2, y2, in pixels of the image.
        output (Tensor): The result, (K, C, aligned_height, aligned_width).
        argmax_y, argmax_x (Tensor): Where the maxima were found, in pixels of the map, shaped as
            the output; -1 where there is none. Unused by averages.
        aligned_height, aligned_width (int): Bins.
        spatial_scale (float): Pixels of the map per pixel of the image.
        sampling_ratio (int): Samples per bin and side; 0 for as many as the box's size asks for.
        pool_mode (int): 0 for the maximum of a bin's samples, 1 for their average.
        aligned (bool): Whether pixel centres are at half.

    Raises:
        RuntimeError: On a CPU, if a box is not a number, of no image or, with `aligned`, ends
            before it begins. mmcv checks the last alone, and reads foreign memory for the others.
    """
    scale = single(spatial_scale)
    if input.device.type == 'cpu' and not is_compiling():
        _check(rois, len(input), aligned)
    if pool_mode == MAXIMUM:
        grid = aligned_height, aligned_width, sampling_ratio
        _maxima(input, rois, output, argmax_y, argmax_x, scale, grid, aligned)
    else:
        size = aligned_height, aligned_width
        arguments = input, rois, scale, *size, sampling_ratio, aligned
        write(output, call_torchvision(torch.ops.torchvision.roi_align, *arguments))


def roi_align_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    grad_input: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Add the gradient of the map to `grad_input`; the other arguments are those of the forward."""
    if pool_mode == MAXIMUM:
        _maxima_backward(grad_output, rois, argmax_y, argmax_x, grad_input)
        return
    grad = call_torchvision(
        torch.ops.torchvision._roi_align_backward,
        grad_output,
        rois,
        single(spatial_scale),
        aligned_height,
        aligned_width,
        *grad_input.shape,
        sampling_ratio,
        aligned,
    )
    grad_input.zero_().add_(grad)


def _check(rois, images, aligned):
    if not len(rois):
        return
    if aligned and not bool((rois[:, 3:] >= rois[:, 1:3]).all()):
        raise RuntimeError('RoIAlign got a box whose x2 or y2 is smaller than its x1 or y1, or NaN')
    if bool(rois.isnan().any()):
        raise RuntimeError('RoIAlign got a box that is not a number')
    if not bool(((rois[:, 0] >= 0) & (rois[:, 0] < images)).all()):
        raise RuntimeError(f'RoIAlign got a box of an image that is not one of 0 to {images - 1}')


def _maxima(input, rois, output, argmax_y, argmax_x, scale, grid, aligned):
    bins_y, bins_x, ratio = grid
    starts, sides = _in_the_map(rois, scale, aligned)
    sides /= sides.new_tensor([bins_x, bins_y])  # of a bin
    samples = torch.full_like(sides, ratio) if ratio > 0 else sides.float().ceil()
    output.fill_(NOTHING)
    argmax_y.fill_(-1)
    argmax_x.fill_(-1)
    pairs, group = samples.long().unique(dim=0, return_inverse=True)
    for number, (across, down) in enumerate(pairs.tolist()):
        if min(across, down) <= 0:
            continue
        # Averages of one sample each, as fine as the samples of these boxes.
        size = bins_y * down, bins_x * across
        at_once = max(1, AT_ONCE // (input.size(1) * size[0] * size[1]))
        for some in (group == number).nonzero()[:, 0].split(at_once):
            arguments = input, rois[some], scale, *size, 1, aligned
            values = call_torchvision(torch.ops.torchvision.roi_align, *arguments)
            values = values.view(*values.shape[:2], bins_y, down, bins_x, across).transpose(3, 4)
            output[some], at = values.flatten(4).max(4)
            y = _positions(starts[some, 1], sides[some, 1], at // across, down, 2)
            x = _positions(starts[some, 0], sides[some, 0], at % across, across, 3)
            argmax_y[some], argmax_x[some] = y.to(output), x.to(output)


def _in_the_map(rois, scale, aligned):
    """Left upper corners and sides of the boxes, (K, 2) each, in pixels of the map."""
    corners = rois[:, 1:] * scale - (0.5 if aligned else 0)
    sides = corners[:, 2:] - corners[:, :2]
    return corners[:, :2], sides if aligned else sides.clamp(min=1)


def _positions(starts, sides, sample, samples, axis):
    """Where samples lie, of each bin the one with this number."""
    shape = [1, 1, 1, 1]
    shape[axis] = sample.size(axis)
    bins = torch.arange(sample.size(axis), device=sides.device, dtype=sides.dtype).view(shape)
    starts, sides = starts.view(-1, 1, 1, 1), sides.view(-1, 1, 1, 1)
    return starts + bins * sides + (sample + 0.5).to(sides) * sides / samples


def _maxima_backward(grad_output, rois, argmax_y, argmax_x, grad_input):
    """Each maximum's gradient goes to the four pixels around it."""
    images, channels, height, width = grad_input.shape
    planes = rois[:, :1].long() * channels + torch.arange(channels, device=rois.device)
    inside = (argmax_y >= -1) & (argmax_y <= height) & (argmax_x >= -1) & (argmax_x <= width)
    grad = torch.where(inside & (argmax_y != -1), grad_output, 0)
    flat = grad_input.view(-1)
    for y, y_weight in _taps(argmax_y, height):
        for x, x_weight in _taps(argmax_x, width):
            pixels = (planes[:, :, None, None] * height + y) * width + x
            weighted = grad * y_weight * x_weight
            call(torch.Tensor.index_add_, flat, 0, pixels.flatten(), weighted.flatten())


def _taps(at, size):
    """The two pixels that a place lies between, and their weights."""
    at = at.clamp(0, size - 1)
    low = at.floor()
    fraction = at - low
    return (low.long(), 1 - fraction), ((low.long() + 1).clamp(max=size - 1), fraction)
