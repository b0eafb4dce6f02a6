"""ScaleNet's SA blocks without norms."""

from collections.abc import Callable
from typing import Any

import torch
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

Pool = Callable[[torch.Tensor, int, int], torch.Tensor]  # like `pooled`


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
        size, maps = x.shape[2:], []
        for scale, conv, pooled_x in zip(self.scales, self.convs, self.inputs(x)):
            y = conv(pooled_x)
            if scale == 1:
                maps.append(y.relu_())
            elif resize_mode(y, size, self.resize) == 'nearest':
                maps.append(resize_to(y.relu_(), size, 'nearest'))
            else:
                maps.append(resize_to(y, size, 'bilinear').relu_())
        return torch.cat(maps, 1)

    def inputs(self, x: torch.Tensor, pool: Pool = pooled) -> list[torch.Tensor]:
        """What the convolution of each scale takes of (N, in_channels, H, W)."""
        found = {1: x}
        for scale in self.scales:
            if scale == 4 and 2 in found and min(x.shape[2:]) >= 4 * self.dilation:
                found[4] = pool(found[2], 2, 1)
            elif scale > 1:
                found[scale] = pool(x, scale, self.dilation)
        return [found[scale] for scale in self.scales]


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
