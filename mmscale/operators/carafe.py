"""CARAFE: upsampling, with a kernel predicted for every pixel of the output."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mmscale.operators.calling import call, write


def carafe_forward(
    features: Tensor,
    masks: Tensor,
    rfeatures: Tensor,
    routput: Tensor,
    rmasks: Tensor,
    output: Tensor,
    kernel_size: int,
    group_size: int,
    scale_factor: int,
) -> None:
    """Weighted sums of the pixels around each pixel of the output.

    Args:
        features (Tensor): (N, C, H, W).
        masks (Tensor): Weights, (N, group_size * kernel_size^2, H * scale, W * scale).
        rfeatures (Tensor): Shaped as the features, which are kept there for the backward pass.
        routput, rmasks (Tensor): Unused: room for what mmcv computes between.
        output (Tensor): The result, (N, C, H * scale, W * scale).
        kernel_size (int): Side of the kernel, odd.
        group_size (int): Groups of channels with weights of their own.
        scale_factor (int): How many times higher and wider the output is.
    """
    write(rfeatures, features)
    carafe_naive_forward(features, masks, output, kernel_size, group_size, scale_factor)


def carafe_backward(
    top_grad: Tensor,
    rfeatures: Tensor,
    masks: Tensor,
    rtop_grad: Tensor,
    rbottom_grad_hs: Tensor,
    rbottom_grad: Tensor,
    rmask_grad: Tensor,
    bottom_grad: Tensor,
    mask_grad: Tensor,
    kernel_size: int,
    group_size: int,
    scale_factor: int,
) -> None:
    """Add the gradients of features and masks to `bottom_grad` and `mask_grad`."""
    sizes = kernel_size, group_size, scale_factor
    carafe_naive_backward(top_grad, rfeatures, masks, bottom_grad, mask_grad, *sizes)


def carafe_naive_forward(
    features: Tensor,
    masks: Tensor,
    output: Tensor,
    kernel_size: int,
    group_size: int,
    scale_factor: int,
) -> None:
    """See :func:`carafe_forward`."""
    write(output, call(_upsample, features, masks, kernel_size, group_size, scale_factor))


def carafe_naive_backward(
    top_grad: Tensor,
    features: Tensor,
    masks: Tensor,
    bottom_grad: Tensor,
    mask_grad: Tensor,
    kernel_size: int,
    group_size: int,
    scale_factor: int,
) -> None:
    """See :func:`carafe_backward`."""
    sizes = kernel_size, group_size, scale_factor
    features, masks = features.detach().requires_grad_(), masks.detach().requires_grad_()
    with torch.enable_grad():
        output = call(_upsample, features, masks, *sizes)
        grads = call(lambda grad: torch.autograd.grad(output, (features, masks), grad), top_grad)
    bottom_grad.add_(grads[0])
    mask_grad.add_(grads[1])


def _upsample(features, masks, kernel, groups, scale):
    batch, channels, height, width = features.shape
    padded = F.pad(features, [kernel // 2] * 4)
    masks = masks.reshape(batch, groups, 1, kernel**2, height, scale, width, scale)
    total = features.new_zeros(())
    for tap in range(kernel**2):
        down, right = divmod(tap, kernel)
        moved = padded[:, :, down : down + height, right : right + width]
        moved = moved.reshape(batch, groups, -1, height, 1, width, 1)
        total = total + moved * masks[:, :, :, tap]
    return total.reshape(batch, channels, height * scale, width * scale)
