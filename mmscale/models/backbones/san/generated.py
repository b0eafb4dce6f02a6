"""Layers of a SAN: their weights are generated, and their norms chosen, for a scale."""

from collections import OrderedDict
from copy import deepcopy
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmscale.errors import UserError
from mmscale.models.layers import norm


class Scale(NamedTuple):
    """How a batch is computed.

    Attributes:
        encoding (float): What the weights are generated from: resolution / encoding_base.
        norm (int): Which of the resolutions' norms is used.
        other (int): Which one is mixed in; the same as `norm` if none is.
        share (float): Of `other`, from 0 to 1.
    """

    encoding: float
    norm: int
    other: int
    share: float


class AtScale(nn.Sequential):
    """What a module of a SAN is at one scale: ordinary layers, called as that module was."""

    def forward(self, x: torch.Tensor, scale: Scale | None = None) -> torch.Tensor:
        """Run the layers; `scale` is not needed any more."""
        return super().forward(x)


class GeneratedConv2d(nn.Module):
    """A convolution without bias whose weight is a linear function of the encoding (section 3.2).

    Args:
        in_channels, out_channels, kernel_size, stride, dilation, groups: As in ``nn.Conv2d``;
            padding keeps the size.
    """

    dilation = 1  # pickles of before have none

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
    ) -> None:
        super().__init__()
        self.shape = (out_channels, in_channels // groups, kernel_size, kernel_size)
        self.stride = stride
        self.dilation = dilation
        self.groups = groups
        self.generator = nn.Linear(1, torch.Size(self.shape).numel())

    @property
    def padding(self) -> int:
        """Pixels around the map, so that stride 1 keeps its size."""
        return self.shape[-1] // 2 * self.dilation

    def generate(self, encoding: float) -> torch.Tensor:
        """The weight (out, in / groups, k, k) for an encoding (a number)."""
        flat = self.generator.weight[:, 0] * encoding + self.generator.bias
        return flat.view(self.shape)

    def forward(self, x: torch.Tensor, scale: Scale) -> torch.Tensor:
        """Take (N, in, H, W) to (N, out, H / stride, W / stride)."""
        weight = self.generate(scale.encoding)
        return F.conv2d(
            x, weight, None, self.stride, self.padding, self.dilation, groups=self.groups
        )

    def at(self, scale: Scale) -> nn.Conv2d:
        """The ordinary convolution that this one is at a scale, in eval mode."""
        weight = self.generate(scale.encoding)
        out_channels, per_group, size, _ = self.shape
        conv = nn.Conv2d(
            per_group * self.groups,
            out_channels,
            size,
            self.stride,
            self.padding,
            self.dilation,
            groups=self.groups,
            bias=False,
            device='meta',
        )
        conv.weight = nn.Parameter(weight, requires_grad=False)
        return conv.eval()


class ResolutionNorm(nn.Module):
    """One norm for each trained resolution ("privatised" BN, section 3.3)."""

    def __init__(self, channels: int, count: int, norm_cfg: dict | None = None) -> None:
        super().__init__()
        self.norms: Any = nn.ModuleList(norm(channels, norm_cfg) for _ in range(count))

    def forward(self, x: torch.Tensor, scale: Scale) -> torch.Tensor:
        """Normalise (N, C, H, W) by one norm, or by a mixture of two."""
        if scale.share == 0:
            return self.norms[scale.norm](x)
        parts = self.mixed(scale)
        return F.batch_norm(
            x, parts['running_mean'], parts['running_var'], parts['weight'], parts['bias'],
            eps=self.norms[scale.norm].eps,
        )  # fmt: skip

    def at(self, scale: Scale) -> nn.Module:
        """The ordinary norm that this one is at a scale, in eval mode."""
        layer = deepcopy(self.norms[scale.norm]).eval()
        if scale.share != 0:
            layer.load_state_dict(self.mixed(scale), strict=False)
        return layer

    def check_plain(self) -> None:
        """Check that the norms are batch norms with factors and statistics.

        Raises:
            UserError: If they are not.
        """
        first = self.norms[0]
        affine = isinstance(first, _BatchNorm) and first.affine
        if not (affine and first.track_running_stats):
            raise UserError(
                f"{first}: plain() and inference='data-free' need batch norms with factors and "
                'statistics'
            )

    def mixed(self, scale: Scale) -> dict[str, torch.Tensor]:
        """The norm's parameters and statistics by name, interpolated between two.

        Raises:
            UserError: If it has not all of these.
        """
        first, second = self.norms[scale.norm], self.norms[scale.other]
        self.check_plain()
        return {
            name: torch.lerp(getattr(first, name), getattr(second, name), scale.share)
            for name in ('weight', 'bias', 'running_mean', 'running_var')
        }


class GeneratedConvNorm(nn.Module):
    """A generated convolution, its resolution's norm and, if given, an activation."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel_size: int,
        count: int,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        norm_cfg: dict | None = None,
        act: type[nn.Module] | None = None,
    ) -> None:
        super().__init__()
        self.conv = GeneratedConv2d(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            dilation=dilation,
            groups=groups,
        )
        self.norm = ResolutionNorm(out_channels, count, norm_cfg)
        self.act = act(inplace=True) if act else nn.Identity()

    def forward(self, x: torch.Tensor, scale: Scale) -> torch.Tensor:
        """Take (N, in, H, W) to (N, out, H / stride, W / stride)."""
        return self.act(self.norm(self.conv(x, scale), scale))

    def at(self, scale: Scale) -> nn.Module:
        """The ordinary layers that this module is at a scale, in eval mode."""
        layers = dict(conv=self.conv.at(scale), norm=self.norm.at(scale), act=self.act)
        return AtScale(OrderedDict(layers)).eval()
