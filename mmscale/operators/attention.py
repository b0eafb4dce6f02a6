"""Multi-scale deformable attention. mmcv has it for GPUs alone, in a faster and smaller form."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mmscale.operators.calling import call


def ms_deform_attn_forward(
    value: Tensor,
    value_spatial_shapes: Tensor,
    value_level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    im2col_step: int,
) -> Tensor:
    """Weighted sums of samples of several maps.

    Args:
        value (Tensor): (N, sum of H * W, heads, C): the pixels of all maps, one after the other.
        value_spatial_shapes (Tensor): (maps, 2) int64: their heights and widths.
        value_level_start_index (Tensor): Unused: where each map begins, which follows from these.
        sampling_locations (Tensor): (N, queries, heads, maps, points, 2): x and y, from 0 to 1.
        attention_weights (Tensor): (N, queries, heads, maps, points).
        im2col_step (int): Unused: how many images mmcv computes at once.

    Returns:
        Tensor: (N, queries, heads * C).
    """
    shapes = value_spatial_shapes.tolist()
    return call(_attend, value, sampling_locations, attention_weights, shapes)


def ms_deform_attn_backward(
    value: Tensor,
    value_spatial_shapes: Tensor,
    value_level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    grad_output: Tensor,
    grad_value: Tensor,
    grad_sampling_loc: Tensor,
    grad_attn_weight: Tensor,
    im2col_step: int,
) -> None:
    """Add the gradients of values, locations and weights to the tensors given for them."""
    given = value, sampling_locations, attention_weights
    inputs = [tensor.detach().requires_grad_() for tensor in given]
    with torch.enable_grad():
        output = call(_attend, *inputs, value_spatial_shapes.tolist())
        grads = call(lambda grad: torch.autograd.grad(output, inputs, grad), grad_output)
    for total, grad in zip((grad_value, grad_sampling_loc, grad_attn_weight), grads):
        total.add_(grad)


def _attend(value, locations, weights, shapes):
    batch, _, heads, channels = value.shape
    queries, points = locations.size(1), locations.size(4)
    maps = value.permute(0, 2, 3, 1).flatten(0, 1)  # (N * heads, C, pixels)
    # (maps, N * heads, queries, points, 2), from -1 to 1 as grid_sample takes them
    places = (2 * locations - 1).permute(3, 0, 2, 1, 4, 5).flatten(1, 2)
    weights = weights.permute(3, 0, 2, 1, 4).reshape(-1, batch * heads, 1, queries, points)
    total, start = value.new_zeros(()), 0
    for level, (height, width) in enumerate(shapes):
        x = maps[:, :, start : start + height * width].unflatten(2, (height, width))
        total = total + (F.grid_sample(x, places[level], align_corners=False) * weights[level]).sum(
            3
        )
        start += height * width
    return total.view(batch, heads * channels, queries).transpose(1, 2).contiguous()
