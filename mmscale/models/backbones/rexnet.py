"""ReXNet and ReXNet-lite.

Paper: Rethinking Channel Dimensions for Efficient Model Design, CVPR 2021
(https://arxiv.org/abs/2007.00992). Authors' code: https://github.com/clovaai/rexnet (MIT).
Written anew from the paper and the published network's facts. Two things differ from the authors'
program: it returns detection taps, and a training batch of one image works (see SqueezeExcite).
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from mmcv.cnn.bricks import DropPath
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmscale.errors import UserError, check_number
from mmscale.models.backbones.base import Backbone, Variant, check_out_indices, samplings
from mmscale.models.init_cfg import InitCfg
from mmscale.models.layers import Stage, conv_norm, norm

STAGE_BLOCKS = (1, 2, 2, 3, 3, 5)  # blocks of the paper's six stages
STAGE_STRIDES = (1, 2, 2, 2, 1, 2)
FIRST_SE_STAGE = 2  # squeeze-excite from the third stage on
SE_REDUCTION = 12
EXPANSION = 6
# The paper's stages that end at one stride, as one stage here: strides 4, 8, 16, 32.
TAP_STAGES = ((0, 1), (2,), (3, 4), (5,))


class Widths(NamedTuple):
    """Channels of the stem, of every block and of the last 1x1 convolution."""

    stem: int
    blocks: tuple
    last: int


def rexnet_widths(width_mult: float) -> Widths:
    """ReXNet's linear channel growth (paper, section 4.2; numbers as in the published networks)."""
    count = sum(STAGE_BLOCKS)
    base = 16 / width_mult if width_mult < 1 else 16
    stem = 32 / width_mult if width_mult < 1 else 32
    blocks = [round(base * width_mult)]
    for _ in range(count - 1):
        base += 180 / count  # summed up: the closed form rounds differently at some widths
        blocks.append(round(base * width_mult))
    return Widths(round(stem * width_mult), tuple(blocks), int(1280 * width_mult))


def rexnet_lite_widths(width_mult: float) -> Widths:
    """ReXNet-lite's channel growth: slower, and in multiples of 8."""
    count = sum(STAGE_BLOCKS)
    base = 16 / width_mult if width_mult < 1 else 16
    stem = 32 / width_mult if width_mult < 1 else 32
    blocks = [divisible_by_8(round(base * width_mult))]
    for _ in range(count - 1):
        base += 164 / (count - 1)
        blocks.append(divisible_by_8(round(base * width_mult)))
    last = int(1280 * width_mult) if width_mult > 1 else 1280
    return Widths(divisible_by_8(round(stem * width_mult)), tuple(blocks), last)


def divisible_by_8(value: int) -> int:
    """The nearest multiple of 8, at least 8 and never below 90 % of `value`."""
    multiple = max(8, (value + 4) // 8 * 8)
    return multiple + 8 if multiple < 0.9 * value else multiple


def block_table(widths: Widths, output_stride: int = 32) -> list[list[dict[str, Any]]]:
    """The arguments of every block, as four lists: one for each stride 4, 8, 16, 32."""
    strides = [
        stride if position == 0 else 1
        for stride, count in zip(STAGE_STRIDES, STAGE_BLOCKS)
        for position in range(count)
    ]
    sampled = list(samplings(strides, 2, output_stride))
    table: list[list[dict[str, Any]]] = []
    index, in_channels = 0, widths.stem
    for stages in TAP_STAGES:
        table.append([])
        for stage in stages:
            for _ in range(STAGE_BLOCKS[stage]):
                row = dict(
                    in_channels=in_channels,
                    out_channels=widths.blocks[index],
                    stride=sampled[index].stride,
                    dilation=sampled[index].dilation,
                    shortcut=strides[index] == 1,
                    expansion=1 if stage == 0 else EXPANSION,
                    squeeze_excite=stage >= FIRST_SE_STAGE,
                )
                table[-1].append(row)
                in_channels = widths.blocks[index]
                index += 1
    return table


class SqueezeExcite(nn.Module):
    """Squeeze-excite with a norm between its two convolutions."""

    def __init__(self, channels: int, *, norm_cfg: dict | None = None) -> None:
        super().__init__()
        hidden = channels // SE_REDUCTION
        self.reduce = nn.Conv2d(channels, hidden, 1)
        self.norm = norm(hidden, norm_cfg)
        self.act = nn.ReLU(inplace=True)
        self.expand = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scale the channels of (N, C, H, W), each by a number from 0 to 1."""
        return x * self.factors(x.mean((2, 3), keepdim=True))

    def factors(self, means: torch.Tensor) -> torch.Tensor:
        """What the channels are scaled by, from their means (N, C, 1, 1)."""
        return self.expand(self.act(self._normalise(self.reduce(means)))).sigmoid()

    def _normalise(self, gate):
        # One value per channel has no variance: BN would refuse a training batch of one image.
        if isinstance(self.norm, _BatchNorm) and self.norm.training and gate.size(0) == 1:
            bn = self.norm
            return F.batch_norm(
                gate, bn.running_mean, bn.running_var, bn.weight, bn.bias, eps=bn.eps
            )
        return self.norm(gate)


class LinearBottleneck(nn.Module):
    """Inverted bottleneck whose shortcut adds the input to the first of the output's channels.

    Args:
        in_channels (int): Input channels.
        out_channels (int): Output channels.
        stride, dilation (int): Of the depthwise convolution.
        shortcut (bool): Whether there may be one: only with stride 1 and no fewer channels after.
        expansion (int): Hidden channels per input channel; 1 leaves the first convolution out.
        squeeze_excite (bool): Whether the depthwise convolution is followed by squeeze-excite.
        act (type): Activation after the expansion.
        drop_path (float): Probability in [0, 1) that an image's whole branch is dropped in
            training; only where there is a shortcut.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        shortcut: bool = True,
        expansion: int = EXPANSION,
        squeeze_excite: bool = True,
        act: type[nn.Module] = nn.SiLU,
        drop_path: float = 0.0,
        norm_cfg: dict | None = None,
    ) -> None:
        super().__init__()
        hidden = in_channels * expansion
        self.shortcut = shortcut and stride == 1 and in_channels <= out_channels
        self.extra_channels = out_channels - in_channels
        self.expand: nn.Module = nn.Identity()
        if expansion != 1:
            self.expand = conv_norm(in_channels, hidden, norm_cfg=norm_cfg, act=act)
        self.depthwise = conv_norm(
            hidden,
            hidden,
            kernel_size=3,
            stride=stride,
            dilation=dilation,
            groups=hidden,
            norm_cfg=norm_cfg,
        )
        self.se = SqueezeExcite(hidden, norm_cfg=norm_cfg) if squeeze_excite else nn.Identity()
        self.act = nn.ReLU6(inplace=True)
        self.project = conv_norm(hidden, out_channels, norm_cfg=norm_cfg)
        use_drop_path = self.shortcut and drop_path > 0
        self.drop_path = DropPath(drop_path) if use_drop_path else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Take (N, in_channels, H, W) to (N, out_channels, H / stride, W / stride)."""
        y = self.project(self.act(self.se(self.depthwise(self.expand(x)))))
        return self.with_shortcut(y, x)

    def with_shortcut(self, y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """The branch's output (N, out_channels, H, W) and, if there is one, the shortcut of `x`."""
        if not self.shortcut:
            return y
        y = self.drop_path(y)
        y += F.pad(x, (0, 0, 0, 0, 0, self.extra_channels)) if self.extra_channels else x
        return y


class ReXNet(Backbone):
    """ReXNet (CVPR 2021), ready for FPN.

    Args:
        width_mult (float): A published width: 0.6, 0.9, 1.0, 1.3, 1.5, 2.0, 2.2 or 3.0.
        out_indices (Sequence[int]): 0 to 3 are strides 4, 8, 16, 32; 4 is the wide 1x1 convolution
            before the classifier.
        frozen_stages (int): -1 none, 0 the stem, n the stem and everything up to tap n - 1.
        norm_cfg (dict, optional): Norm layers, as in mmcv. Default: ``dict(type='BN')``.
        norm_eval (bool | str): Keep BN in eval mode while training; 'auto' if there are weights.
        with_cp (bool | str): Save memory in training by recomputing each block's activations;
            'cheap' recomputes all but the convolutions.
        in_channels (int): Of the images; see :class:`Backbone`.
        output_stride (int): 8, 16 or 32, the largest stride of any map; see :class:`Backbone`.
        drop_path_rate (float): Stochastic depth of the last block, in [0, 1); the rate grows
            linearly from 0 at the first.
        init_cfg (dict, optional): ``dict(type='Pretrained', checkpoint=X)`` loads the authors'
            file, timm's (or ``timm://rexnet_100``) or this package's. Without it PyTorch's defaults
            stay, as in the authors' program.

    Raises:
        UserError: If an argument is out of range.

    Example:
        >>> import torch
        >>> from mmscale.models import ReXNet
        >>> [tuple(x.shape) for x in ReXNet(width_mult=1.0)(torch.zeros(1, 3, 64, 64))]
        [(1, 38, 16, 16), (1, 61, 8, 8), (1, 128, 4, 4), (1, 185, 2, 2)]
    """

    PUBLISHED_WIDTHS: tuple[float, ...] = (0.6, 0.9, 1.0, 1.3, 1.5, 2.0, 2.2, 3.0)
    # On the Hugging Face hub (docs/weights.md).
    HUB_WIDTHS: tuple[float, ...] = (1.0, 1.3, 1.5, 2.0, 3.0)
    name = 'ReXNet'
    widths = staticmethod(rexnet_widths)
    act: type[nn.Module] = nn.SiLU
    squeeze_excite = True

    def __init__(
        self,
        width_mult: float = 1.0,
        *,
        out_indices: Sequence[int] = (0, 1, 2, 3),
        frozen_stages: int = -1,
        norm_cfg: dict | None = None,
        norm_eval: bool | str = False,
        with_cp: bool | str = False,
        drop_path_rate: float = 0.0,
        in_channels: int = 3,
        output_stride: int = 32,
        init_cfg: InitCfg = None,
    ) -> None:
        super().__init__(
            self.stage_channels(width_mult),
            out_indices=out_indices,
            frozen_stages=frozen_stages,
            norm_eval=norm_eval,
            in_channels=in_channels,
            output_stride=output_stride,
            init_cfg=init_cfg,
        )
        check_number('drop_path_rate', drop_path_rate, 0, below=1)
        self.variant = f'{self.name} {float(width_mult)}'
        widths = self.widths(width_mult)
        self.stem = conv_norm(
            in_channels, widths.stem, kernel_size=3, stride=2, norm_cfg=norm_cfg, act=self.act
        )
        index = 0
        for rows in block_table(widths, output_stride)[: self.last_stage + 1]:
            blocks = []
            for row in rows:
                row['squeeze_excite'] &= self.squeeze_excite
                rate = drop_path_rate * index / (len(widths.blocks) - 1)
                blocks.append(
                    LinearBottleneck(**row, act=self.act, drop_path=rate, norm_cfg=norm_cfg)
                )
                index += 1
            self.stages.append(Stage(*blocks, with_cp=with_cp))
        if self.last_stage == 4:
            last = conv_norm(widths.blocks[-1], widths.last, norm_cfg=norm_cfg, act=self.act)
            self.stages.append(Stage(last, with_cp=with_cp))
        self.freeze()

    @classmethod
    def variants(cls) -> Iterator[Variant]:
        """The published networks, as :class:`Variant`."""
        for width in cls.PUBLISHED_WIDTHS:
            number = f'{round(100 * width):03}'
            weights = f'timm://rexnet_{number}.nav_in1k' if width in cls.HUB_WIDTHS else None
            config = f'{cls.name.lower()}-{number}'
            yield Variant(f'{cls.name} {width}', config, cls, dict(width_mult=width), weights)

    @classmethod
    def stage_channels(cls, width_mult: float = 1.0) -> tuple[int, ...]:
        """Channels of indices 0 to 4 (see :func:`mmscale.feature_channels` for the public way)."""
        if width_mult not in cls.PUBLISHED_WIDTHS or isinstance(width_mult, bool):
            raise UserError(
                f'width_mult={width_mult!r} of {cls.__name__} does not exist; '
                f'choose from {cls.PUBLISHED_WIDTHS}'
            )
        widths = cls.widths(width_mult)
        ends = [sum(STAGE_BLOCKS[: stages[-1] + 1]) for stages in TAP_STAGES]
        return (*(widths.blocks[end - 1] for end in ends), widths.last)

    @classmethod
    def feature_channels(
        cls, width_mult: float = 1.0, out_indices: Sequence[int] = (0, 1, 2, 3), **_: Any
    ) -> tuple[int, ...]:
        """See :func:`mmscale.feature_channels`."""
        channels = cls.stage_channels(width_mult)
        return tuple(channels[i] for i in check_out_indices(out_indices, len(channels)))


class ReXNetLite(ReXNet):
    """ReXNet-lite: no squeeze-excite, ReLU6 everywhere, channels in multiples of 8.

    Arguments, outputs and errors are :class:`ReXNet`'s; the published widths are 1.0, 1.3, 1.5 and
    2.0.
    """

    PUBLISHED_WIDTHS = (1.0, 1.3, 1.5, 2.0)
    HUB_WIDTHS = ()
    name = 'ReXNet-lite'
    widths = staticmethod(rexnet_lite_widths)
    act = nn.ReLU6
    squeeze_excite = False
