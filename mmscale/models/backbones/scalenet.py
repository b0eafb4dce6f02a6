"""ScaleNet: a ResNet whose 3x3 convolutions aggregate several scales.

Paper: Data-Driven Neuron Allocation for Scale Aggregation Networks, CVPR 2019
(https://arxiv.org/abs/1904.09460). Authors' code: https://github.com/Eli-YiLi/ScaleNet (it has no
licence: nothing of it is here; this is written from the paper and the published network's facts).
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from mmscale.errors import check_choice, check_whole
from mmscale.models.backbones.base import (
    Backbone,
    Variant,
    check_out_indices,
    pretrained_cfg,
    samplings,
)
from mmscale.models.init_cfg import InitCfg
from mmscale.models.layers import Stage, conv_norm, norm
from mmscale.structures import PUBLISHED, STAGE_SIDES, StructureLike, load_structure

EXPANSION = 4
STAGE_STRIDES = (1, 2, 2, 2)
RESIZE_MODES = ('auto', 'nearest', 'bilinear')


class ScaleBranch(nn.Module):
    """One scale of an SA block: pool by `scale`, convolve, resize back, normalise (section 3.1).

    The norm comes after the resize, so that the norms' factors compare across scales. In a dilated
    network the convolution of scale 1 is dilated; a larger scale pools the same part of the image
    as in the strided one, from every `dilation`-th pixel.
    """

    dilation = 1  # pickles of before have none

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        scale: int,
        *,
        kernel_size: int,
        resize: str,
        dilation: int = 1,
        norm_cfg: dict | None = None,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.resize = resize
        self.dilation = dilation
        spread = dilation if scale == 1 else 1  # a pooled map is as small as it was
        self.conv = nn.Conv2d(
            in_channels,
            out_channels,
            kernel_size,
            padding=kernel_size // 2 * spread,
            dilation=spread,
            bias=False,
        )
        self.norm: Any = norm(out_channels, norm_cfg)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Take (N, in_channels, H, W) to (N, out_channels, H, W)."""
        y = self.convolved(x)
        if self.scale > 1:
            y = resize_to(y, x.shape[2:], self.resize)
        return self.norm(y)

    def convolved(self, x: torch.Tensor) -> torch.Tensor:
        """The convolution of (N, in_channels, H, W), pooled: (N, out_channels, h, w)."""
        if self.scale > 1:
            x = pooled(x, self.scale, self.dilation)
        return self.conv(x)


def pooled(x: torch.Tensor, scale: int, dilation: int = 1) -> torch.Tensor:
    """Maxima of (N, C, H, W) over windows side by side.

    Args:
        scale (int): A window's side, or the map's where that is smaller, in pixels that are
            `dilation` apart.
    """
    windows = [max(1, min(scale, side // dilation)) for side in x.shape[2:]]
    if dilation == 1:
        return F.max_pool2d(x, windows)
    steps = [window * dilation for window in windows]
    return F.max_pool2d(x, windows, steps, dilation=dilation)


class DilatedPool(nn.Module):
    """The 2x2 max pool of a stage without its stride: a maximum for every pixel.

    Args:
        dilation (int): Pixels between the samples of a window.
    """

    def __init__(self, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Take (N, C, H, W), rectified, to the same shape."""
        reach = self.dilation
        return F.max_pool2d(F.pad(x, (0, reach, 0, reach)), 2, 1, dilation=reach)


def resize_mode(x: torch.Tensor, size: Sequence[int], mode: str) -> str:
    """'nearest' or 'bilinear'; `auto` is nearest where the sides of `x` divide the size."""
    if mode != 'auto':
        return mode
    fits = all(side % pooled == 0 for side, pooled in zip(size, x.shape[2:]))
    return 'nearest' if fits else 'bilinear'


def resize_to(x: torch.Tensor, size: Sequence[int], mode: str) -> torch.Tensor:
    """Resize (N, C, h, w) to (N, C, *size), with the mode of :func:`resize_mode`."""
    if resize_mode(x, size, mode) == 'nearest':
        return F.interpolate(x, size=size, mode='nearest')
    return F.interpolate(x, size=size, mode='bilinear', align_corners=False)


class ScaleAggregation(nn.Module):
    """The SA block: a :class:`ScaleBranch` for each scale with neurons, concatenated and rectified.

    Args:
        in_channels (int): Input channels.
        neurons (Sequence[int]): Output channels of each scale; a scale with 0 is left out.
        scales (Sequence[int]): The scales, as pooling factors.
        side (int): Side of the stage's maps for a 224 px image. A scale smaller than it has a 3x3
            kernel, another 1x1, whatever the image.
        resize (str): 'auto', 'nearest' or 'bilinear'.
    """

    def __init__(
        self,
        in_channels: int,
        neurons: Sequence[int],
        scales: Sequence[int],
        *,
        side: int,
        resize: str,
        dilation: int = 1,
        norm_cfg: dict | None = None,
    ) -> None:
        super().__init__()
        self.branches = nn.ModuleDict()
        for scale, count in zip(scales, neurons):
            if count > 0:
                self.branches[str(scale)] = ScaleBranch(
                    in_channels,
                    count,
                    scale,
                    kernel_size=3 if side > scale else 1,
                    resize=resize,
                    dilation=dilation,
                    norm_cfg=norm_cfg,
                )
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Take (N, in_channels, H, W) to (N, sum(neurons), H, W)."""
        return self.act(torch.cat([branch(x) for branch in self.branches.values()], 1))


class ScaleBottleneck(nn.Module):
    """ResNet's bottleneck with an SA block in its middle.

    Args:
        in_channels (int): Input channels.
        planes (int): Channels between the first 1x1 convolution and the SA block; the output has
            four times as many.
        pool (nn.Module, optional): On the block's input, shortcut included.
        neurons, scales, side, resize, dilation: As in :class:`ScaleAggregation`.
    """

    def __init__(
        self,
        in_channels: int,
        planes: int,
        *,
        pool: nn.Module | None = None,
        neurons: Sequence[int],
        scales: Sequence[int],
        side: int,
        resize: str,
        dilation: int = 1,
        norm_cfg: dict | None = None,
    ) -> None:
        super().__init__()
        out_channels = planes * EXPANSION
        self.pool = pool or nn.Identity()
        self.reduce = conv_norm(in_channels, planes, norm_cfg=norm_cfg, act=nn.ReLU)
        self.aggregate = ScaleAggregation(
            planes,
            neurons,
            scales,
            side=side,
            resize=resize,
            dilation=dilation,
            norm_cfg=norm_cfg,
        )
        self.expand: Any = conv_norm(sum(neurons), out_channels, norm_cfg=norm_cfg)
        self.shortcut: nn.Module = nn.Identity()
        if in_channels != out_channels:
            self.shortcut = conv_norm(in_channels, out_channels, norm_cfg=norm_cfg)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Take (N, in_channels, H, W) to (N, 4 * planes, H', W') of the pooled map."""
        x = self.pool(x)
        y = self.expand(self.aggregate(self.reduce(x)))
        y += self.shortcut(x)
        return self.act(y)


class ScaleNet(Backbone):
    """ScaleNet (CVPR 2019), ready for FPN.

    Args:
        depth (int | Sequence[int], optional): 50, 101, 152, or the blocks of each stage. Default:
            the structure's own.
        structure (str | dict | list, optional): A name in ``structures/``, a path to a .json file,
            such a file's content, or the rows alone (see :mod:`mmscale.structures`). Default: the
            published structure of `depth` (50 if that is not given either).
        base_channels (int): Channels of the stem; stage s has ``4 * base_channels * 2 ** (s - 1)``.
            64 is published.
        resize (str): How a scale's map is brought back to full size: 'auto' as published (nearest
            where both sides divide evenly, else bilinear), or always 'nearest' or 'bilinear'.
        out_indices (Sequence[int]): 0 to 3 are strides 4, 8, 16, 32.
        frozen_stages (int): -1 none, 0 the stem, n the stem and everything up to tap n - 1.
        norm_cfg (dict, optional): Norm layers, as in mmcv. Default: ``dict(type='BN')``.
        norm_eval (bool | str): Keep BN in eval mode while training; 'auto' if there are weights.
        with_cp (bool | str): Save memory in training by recomputing each block's activations;
            'cheap' recomputes all but the convolutions.
        in_channels (int): Of the images; see :class:`Backbone`.
        output_stride (int): 8, 16 or 32, the largest stride of any map; see :class:`Backbone`.
        zero_init_residual (bool): Begin, without weights, with blocks that add nothing to their
            shortcuts (the last norm's factors are 0), as mmdet's ResNets do. The authors do not,
            and then gradients are some 90 times larger at first; short warm-ups need it.
        init_cfg (dict, optional): ``dict(type='Pretrained', checkpoint=X)`` loads the authors' file
            or this package's. Without it: the authors' normal initialisation with std
            ``sqrt(2 / (k * k * out_channels))``.

    Raises:
        UserError: If an argument is out of range or the structure does not fit the depth.

    Example:
        >>> import torch
        >>> from mmscale.models import ScaleNet
        >>> [tuple(x.shape) for x in ScaleNet(depth=50)(torch.zeros(1, 3, 64, 64))]
        [(1, 256, 16, 16), (1, 512, 8, 8), (1, 1024, 4, 4), (1, 2048, 2, 2)]
    """

    scratch_cfg = [
        dict(type='Kaiming', layer='Conv2d', mode='fan_out', nonlinearity='relu'),
        dict(type='Constant', layer='_BatchNorm', val=1),
    ]

    def __init__(
        self,
        depth: int | Sequence[int] | None = None,
        structure: StructureLike = None,
        *,
        base_channels: int = 64,
        resize: str = 'auto',
        out_indices: Sequence[int] = (0, 1, 2, 3),
        frozen_stages: int = -1,
        norm_cfg: dict | None = None,
        norm_eval: bool | str = False,
        with_cp: bool | str = False,
        zero_init_residual: bool = False,
        in_channels: int = 3,
        output_stride: int = 32,
        init_cfg: InitCfg = None,
    ) -> None:
        super().__init__(
            self.stage_channels(base_channels),
            out_indices=out_indices,
            frozen_stages=frozen_stages,
            norm_eval=norm_eval,
            in_channels=in_channels,
            output_stride=output_stride,
            init_cfg=init_cfg,
        )
        check_choice('resize', resize, RESIZE_MODES)
        self.structure = load_structure(structure, depth)
        self.zero_init_residual = zero_init_residual
        self.variant = f'ScaleNet {self.structure.name}'
        if base_channels != 64:
            self.variant += f' of {base_channels} base channels'
        self.stem = conv_norm(
            in_channels, base_channels, kernel_size=7, stride=2, norm_cfg=norm_cfg, act=nn.ReLU
        )
        self.stem.add_module('pool', nn.MaxPool2d(3, stride=2, padding=1))
        width = base_channels
        for index, sampling in enumerate(samplings(STAGE_STRIDES, 4, output_stride)):
            if index > self.last_stage:
                break
            planes = base_channels * 2**index
            pool = None
            if STAGE_STRIDES[index] > 1:
                strided = sampling.stride > 1
                pool = nn.MaxPool2d(2) if strided else DilatedPool(sampling.dilation)
            blocks = []
            for position, neurons in enumerate(self.structure.stages[index]):
                blocks.append(
                    ScaleBottleneck(
                        width,
                        planes,
                        pool=pool if position == 0 else None,
                        neurons=neurons,
                        scales=self.structure.scales,
                        side=STAGE_SIDES[index],
                        resize=resize,
                        dilation=sampling.after,
                        norm_cfg=norm_cfg,
                    )
                )
                width = planes * EXPANSION
            self.stages.append(Stage(*blocks, with_cp=with_cp))
        self.freeze()

    def init_weights(self) -> None:
        """See :meth:`Backbone.init_weights`."""
        pretrained = pretrained_cfg(self.init_cfg)
        fresh = not self.is_init and not (pretrained and pretrained['checkpoint'])
        super().init_weights()
        if fresh and self.zero_init_residual:
            for module in self.modules():
                if isinstance(module, ScaleBottleneck):
                    nn.init.zeros_(module.expand.norm.weight)

    @classmethod
    def variants(cls) -> Iterator[Variant]:
        """The published networks, as :class:`Variant`."""
        for name in PUBLISHED:
            config = name.replace('scalenet', 'scalenet-').replace('_', '-')
            yield Variant(f'ScaleNet {name}', config, cls, dict(structure=name))

    @staticmethod
    def stage_channels(base_channels: int = 64, **_: Any) -> tuple[int, ...]:
        """Channels of indices 0 to 3, the same for every depth and structure.

        Raises:
            UserError: If `base_channels` is not a positive integer.
        """
        check_whole('base_channels', base_channels)
        return tuple(base_channels * 2**index * EXPANSION for index in range(len(STAGE_SIDES)))

    @classmethod
    def feature_channels(
        cls,
        depth: int | Sequence[int] | None = None,
        structure: StructureLike = None,
        base_channels: int = 64,
        out_indices: Sequence[int] = (0, 1, 2, 3),
        **_: Any,
    ) -> tuple[int, ...]:
        """See :func:`mmscale.feature_channels`."""
        load_structure(structure, depth)  # says what is wrong with them
        channels = cls.stage_channels(base_channels)
        return tuple(channels[i] for i in check_out_indices(out_indices, len(channels)))
