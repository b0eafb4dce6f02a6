"""ScaleNet's SA blocks without norms."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from mmscale.deploy.blocks import inference_form
from mmscale.deploy.folding import foldable, folded
from mmscale.models.backbones.scalenet import (
    ScaleAggregation,
    ScaleBranch,
    pooled,
    resize_mode,
    resize_to,
)


class FusedAggregation(nn.Module):
    """An SA block without norms, which are folded.

    Pooling by 4 is pooling by 2 twice, and what a nearest resize copies is rectified before.

    Args:
        block (ScaleAggregation): In eval mode. Its norms go into the convolutions: they come after
            a resize, whose weights sum to one.
    """

    def __init__(self, block: ScaleAggregation) -> None:
        super().__init__()
        branches: Any = block.branches.values()
        self.scales: list[int] = [branch.scale for branch in branches]
        self.convs = nn.ModuleList(_conv(branch) for branch in branches)
        self.resize = next(iter(branches)).resize
        self.dilation = next(iter(branches)).dilation

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Take (N, in_channels, H, W) to (N, sum(neurons), H, W)."""
        size = x.shape[2:]
        inputs, maps = {1: x}, []
        for scale, conv in zip(self.scales, self.convs):
            if scale == 4 and 2 in inputs and min(size) >= 4 * self.dilation:
                inputs[4] = F.max_pool2d(inputs[2], 2)
            elif scale > 1:
                inputs[scale] = pooled(x, scale, self.dilation)
            y = conv(inputs[scale])
            if scale == 1:
                maps.append(y.relu_())
            elif resize_mode(y, size, self.resize) == 'nearest':
                maps.append(resize_to(y.relu_(), size, 'nearest'))
            else:
                maps.append(resize_to(y, size, 'bilinear').relu_())
        return torch.cat(maps, 1)


@inference_form(ScaleAggregation)
def fuse_aggregation(block: ScaleAggregation) -> nn.Module:
    """The block without norms, or the block itself if a norm cannot be folded."""
    branches: Any = block.branches.values()
    as_built = type(block.act) is nn.ReLU and len({branch.resize for branch in branches}) == 1
    for branch in branches:
        done = isinstance(branch.norm, nn.Identity)
        as_built &= type(branch) is ScaleBranch and (done or foldable(branch.conv, branch.norm))
    if not as_built:
        return block
    return FusedAggregation(block).eval()


def _conv(branch):
    """The convolution of a branch with its norm, which was folded before if nothing is resized."""
    if isinstance(branch.norm, nn.Identity):
        return branch.conv
    return folded(branch.conv, branch.norm)
