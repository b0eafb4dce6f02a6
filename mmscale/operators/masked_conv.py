"""What a convolution at some places alone is made of: taking its inputs, putting its outputs."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mmscale.operators.calling import write


def masked_im2col_forward(
    im: Tensor,
    mask_h_idx: Tensor,
    mask_w_idx: Tensor,
    col: Tensor,
    kernel_h: int,
    kernel_w: int,
    pad_h: int,
    pad_w: int,
) -> None:
    """Take the inputs of a convolution with stride 1 at some places.

    Args:
        im (Tensor): (1, C, H, W).
        mask_h_idx, mask_w_idx (Tensor): The rows and columns of the places, (M,) int64.
        col (Tensor): The result, (C * kernel_h * kernel_w, M).
        kernel_h, kernel_w, pad_h, pad_w (int): Kernel and padding.
    """
    after_h, after_w = max(kernel_h - 1 - pad_h, 0), max(kernel_w - 1 - pad_w, 0)
    padded = F.pad(im[0], (pad_w, after_w, pad_h, after_h))
    rows = mask_h_idx + torch.arange(kernel_h, device=im.device)[:, None, None]
    columns = mask_w_idx + torch.arange(kernel_w, device=im.device)[:, None]
    write(col, padded[:, rows, columns].flatten(0, 2))


def masked_col2im_forward(
    col: Tensor,
    mask_h_idx: Tensor,
    mask_w_idx: Tensor,
    im: Tensor,
    height: int,
    width: int,
    channels: int,
) -> None:
    """Put the columns of `col`, (C, M), to their places in `im`, (1, C, height, width)."""
    im[0, :, mask_h_idx, mask_w_idx] = col.to(im.dtype)  # autocast has lowered it
