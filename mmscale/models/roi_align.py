"""RoIAlign for CPUs, where mmcv's runs on one core and reads one channel at a time."""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd.function import Function, once_differentiable

from mmscale.errors import UserError

AT_ONCE = 2**22  # weights of one call: 50 MB with their indices


class RowRoIAlign(nn.Module):
    """RoIAlign by averages, each bin as a weighted sum of the pixels' rows of channels.

    The same outputs and gradients as mmcv's within rounding, from a channels-last map without
    copying it. What is not float32 or float64 on a CPU goes to mmcv's.

    Args:
        layer (mmcv.ops.RoIAlign): With ``pool_mode='avg'``.
    """

    pool_mode = 'avg'

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.layer = layer
        self.output_size = layer.output_size
        self.spatial_scale = layer.spatial_scale
        self.sampling_ratio = layer.sampling_ratio
        self.aligned = layer.aligned

    @torch.compiler.disable  # how often each pixel is sampled depends on the boxes
    def forward(self, x: torch.Tensor, rois: torch.Tensor) -> torch.Tensor:
        """Take maps (N, C, H, W) and boxes (K, 5) to (K, C, *output_size).

        Args:
            x (Tensor): Maps.
            rois (Tensor): Rows of image, x1, y1, x2, y2, in pixels of the image.

        Raises:
            UserError: If a box ends before it begins, is not finite or of no image.
        """
        if x.device.type != 'cpu' or x.dtype not in (torch.float32, torch.float64):
            return self.layer(x, rois)
        shift = 0.5 if self.aligned else 0
        x1, y1, x2, y2 = (rois[:, 1:].to(x.dtype) * self.spatial_scale - shift).unbind(1)
        heights, widths = y2 - y1, x2 - x1
        if not self.aligned:
            heights, widths = heights.clamp(min=1), widths.clamp(min=1)
        elif rois.numel() and min(heights.min(), widths.min()) < 0:
            raise UserError('RoIAlign got a box whose x2 or y2 is smaller than its x1 or y1')
        if not rois.isfinite().all():
            raise UserError(
                'RoIAlign got a box with coordinates that are not finite: has training diverged?'
            )
        if rois.numel() and not 0 <= rois[:, 0].min() <= rois[:, 0].max() < len(x):
            raise UserError(f'RoIAlign got a box of an image that is not one of 0 to {len(x) - 1}')

        axes = ((y1, heights), (x1, widths))
        parts = self._parts(axes, rois[:, 0].long(), tuple(x.shape[2:]))
        return _RowSums.apply(x, parts, (len(rois), *self.output_size))

    def _parts(self, axes, images, shape) -> Iterator[tuple[torch.Tensor, ...]]:
        """Some boxes at a time, and for each of their bins the rows that it sums, with weights."""
        (y1, heights), (x1, widths) = axes
        bins = self.output_size[0] * self.output_size[1]
        for (down, across), boxes in self._groups(heights, widths):
            for some in boxes.split(max(1, AT_ONCE // (4 * bins * down * across))):
                ys, y_weights = _taps(y1[some], heights[some], self.output_size[0], down, shape[0])
                xs, x_weights = _taps(x1[some], widths[some], self.output_size[1], across, shape[1])
                ys += images[some, None, None] * shape[0]
                indices = ys[:, :, None, :, None] * shape[1] + xs[:, None, :, None, :]
                weights = y_weights[:, :, None, :, None] * x_weights[:, None, :, None, :]
                rows = (len(some) * bins, -1)
                yield some, indices.view(rows), weights.view(rows)

    def _groups(self, heights, widths):
        """Boxes with the same samples per bin, down and across; those without any are left out."""
        if self.sampling_ratio > 0:
            every = torch.arange(len(heights))
            return [((self.sampling_ratio, self.sampling_ratio), every)] if len(every) else []
        sides = [heights / self.output_size[0], widths / self.output_size[1]]
        samples = torch.stack(sides, 1).float().ceil()  # single precision, as mmcv
        pairs, group = samples.long().unique(dim=0, return_inverse=True)
        return [
            (pair, (group == i).nonzero()[:, 0])
            for i, pair in enumerate(pairs.tolist())
            if min(pair) > 0
        ]


class _RowSums(Function):
    """Weighted sums of a map's rows of channels, and the same sums turned round as the gradient."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, parts: Iterable, size: tuple) -> torch.Tensor:
        """Take a map (N, C, H, W) and what `_parts` gives to (K, C, *bins), `size` but for C."""
        if ctx.needs_input_grad[0]:
            parts = ctx.parts = list(parts)
            ctx.shape = x.shape
        count, *bins = size
        channels = x.shape[1]
        rows = x.permute(0, 2, 3, 1).reshape(-1, channels)
        output = x.new_zeros(count, channels, *bins)
        for some, indices, weights in parts:
            sums = F.embedding_bag(indices, rows, mode='sum', per_sample_weights=weights)
            output[some] = sums.view(len(some), *bins, channels).permute(0, 3, 1, 2)
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, output: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        """For each pixel that was read, sum the gradients of the bins that read it."""
        count, channels, height, width = ctx.shape
        rows = output.new_zeros(count * height * width, channels)
        for some, indices, weights in ctx.parts:
            bins = output[some].permute(0, 2, 3, 1).reshape(-1, channels)
            pixels, order = indices.view(-1).sort(stable=True)
            read, often = pixels.unique_consecutive(return_counts=True)
            rows[read] += F.embedding_bag(
                order // indices.shape[1],
                bins,
                often.cumsum(0) - often,
                mode='sum',
                per_sample_weights=weights.view(-1)[order],
            )
        return rows.view(count, height, width, channels).permute(0, 3, 1, 2), None, None


def _taps(starts, lengths, bins, samples, size):
    """Where an axis of `size` pixels is read for each bin, and with which weights.

    Args:
        starts, lengths (Tensor): (K,), in pixels of the map.
        bins, samples (int): Bins, and samples of each.
        size (int): Pixels of the map.

    Returns:
        tuple[Tensor, Tensor]: Pixels and weights, (K, bins, 2 * samples).
    """
    side = (lengths / bins)[:, None, None]
    steps = torch.arange(samples, dtype=starts.dtype) + 0.5
    at = starts[:, None, None] + torch.arange(bins)[:, None] * side + steps * side / samples
    counted = (at >= -1) & (at <= size)
    at = at.clamp(0, size - 1)
    low = at.floor()
    fraction = at - low
    weights = torch.stack([1 - fraction, fraction], -1) * counted[..., None] / samples
    pixels = torch.stack([low, (low + 1).clamp(max=size - 1)], -1).long()
    return pixels.flatten(2), weights.flatten(2)
