"""SAN's MobileNetV2."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import torch
from torch import nn

from mmscale.models.backbones.base import Variant, check_out_indices, samplings
from mmscale.models.backbones.san.base import ENCODING_BASE, RESOLUTIONS, SAN
from mmscale.models.backbones.san.generated import GeneratedConvNorm, Scale
from mmscale.models.init_cfg import InitCfg
from mmscale.models.layers import Stage


class InvertedResidual(nn.Module):
    """MobileNetV2's block: expand (unless the expansion is 1), depthwise, project."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        stride: int,
        dilation: int,
        expansion: int,
        count: int,
        norm_cfg: dict | None = None,
    ) -> None:
        super().__init__()
        rest: dict[str, Any] = dict(count=count, norm_cfg=norm_cfg)
        hidden = in_channels * expansion
        self.expand = None
        if expansion != 1:
            self.expand = GeneratedConvNorm(
                in_channels, hidden, kernel_size=1, act=nn.ReLU6, **rest
            )
        self.depthwise = GeneratedConvNorm(
            hidden,
            hidden,
            kernel_size=3,
            stride=stride,
            dilation=dilation,
            groups=hidden,
            act=nn.ReLU6,
            **rest,
        )
        self.project = GeneratedConvNorm(hidden, out_channels, kernel_size=1, **rest)
        self.shortcut = stride == 1 and in_channels == out_channels

    def forward(self, x: torch.Tensor, scale: Scale) -> torch.Tensor:
        """Take (N, in_channels, H, W) to (N, out_channels, H / stride, W / stride)."""
        y = x if self.expand is None else self.expand(x, scale)
        y = self.project(self.depthwise(y, scale), scale)
        return x + y if self.shortcut else y


class SANMobileNetV2(SAN):
    """SAN's MobileNetV2: every convolution is generated, the stem's too.

    Args:
        resolutions, encoding_base, resolution, inference: See :class:`SAN`.
        out_indices (Sequence[int]): 0 to 3 are strides 4, 8, 16, 32 (24, 32, 96 and 320 channels);
            4 is the 1x1 convolution to 1280 channels before the classifier.
        frozen_stages, norm_cfg, norm_eval, with_cp, init_cfg: As in mmdet's backbones.
        in_channels (int): Of the images; see :class:`Backbone`.
        output_stride (int): 8, 16 or 32, the largest stride of any map; see :class:`Backbone`.

    Raises:
        UserError: If an argument is out of range.

    Example:
        >>> import torch
        >>> from mmscale.models import SANMobileNetV2
        >>> model = SANMobileNetV2(resolutions=(64, 32)).eval()
        >>> [tuple(x.shape) for x in model(torch.zeros(1, 3, 64, 64))]
        [(1, 24, 16, 16), (1, 32, 8, 8), (1, 96, 4, 4), (1, 320, 2, 2)]
    """

    scratch_cfg = [dict(type='Normal', layer='Linear', std=0.01)]  # the generators
    STEM = 32
    # Expansion, channels, blocks and stride of each group; the groups of one stride are a stage.
    STAGES = (
        ((1, 16, 1, 1), (6, 24, 2, 2)),
        ((6, 32, 3, 2),),
        ((6, 64, 4, 2), (6, 96, 3, 1)),
        ((6, 160, 3, 2), (6, 320, 1, 1)),
    )
    LAST = 1280
    PLAIN_TAPS = (1, 2, 4, 6, 7)  # where mmdet's MobileNetV2 has the same maps

    def __init__(
        self,
        *,
        resolutions: Sequence[int] = RESOLUTIONS,
        encoding_base: float = ENCODING_BASE,
        resolution: float | None = None,
        inference: str = 'proxy',
        out_indices: Sequence[int] = (0, 1, 2, 3),
        frozen_stages: int = -1,
        norm_cfg: dict | None = None,
        norm_eval: bool | str = False,
        with_cp: bool | str = False,
        in_channels: int = 3,
        output_stride: int = 32,
        init_cfg: InitCfg = None,
    ) -> None:
        super().__init__(
            self.stage_channels(),
            resolutions=resolutions,
            encoding_base=encoding_base,
            resolution=resolution,
            inference=inference,
            out_indices=out_indices,
            frozen_stages=frozen_stages,
            norm_eval=norm_eval,
            in_channels=in_channels,
            output_stride=output_stride,
            init_cfg=init_cfg,
        )
        self.variant = 'SAN MobileNetV2'
        rest: dict[str, Any] = dict(count=len(self.resolutions), norm_cfg=norm_cfg)
        self.stem = GeneratedConvNorm(
            in_channels, self.STEM, kernel_size=3, stride=2, act=nn.ReLU6, **rest
        )
        inputs = self.STEM
        strides = [
            stride if position == 0 else 1
            for groups in self.STAGES
            for _, _, count, stride in groups
            for position in range(count)
        ]
        sampled = samplings(strides, 2, output_stride)
        for groups in self.STAGES[: self.last_stage + 1]:
            blocks = []
            for expansion, channels, count, _ in groups:
                for sampling in islice(sampled, count):
                    blocks.append(
                        InvertedResidual(
                            inputs,
                            channels,
                            stride=sampling.stride,
                            dilation=sampling.dilation,
                            expansion=expansion,
                            **rest,
                        )
                    )
                    inputs = channels
            self.stages.append(Stage(*blocks, with_cp=with_cp))
        if self.last_stage == 4:
            last = GeneratedConvNorm(inputs, self.LAST, kernel_size=1, act=nn.ReLU6, **rest)
            self.stages.append(Stage(last, with_cp=with_cp))
        self.freeze()

    def plain_network(self) -> nn.Module:
        """mmdet's network without generators, with weights of its own."""
        from mmdet.models import MobileNetV2

        taps = [self.PLAIN_TAPS[index] for index in self.out_indices]
        network = MobileNetV2(out_indices=taps, norm_eval=False)
        network.conv1.conv = nn.Conv2d(self.in_channels, self.STEM, 3, 2, 1, bias=False)
        for name in network.layers[taps[-1] + 1 :]:  # what nothing is taken from
            delattr(network, name)
        network.layers = network.layers[: taps[-1] + 1]
        return network

    def plain_name(self, name: str) -> str:
        """A module's name in mmdet's network."""
        kind = name.rpartition('.')[2].replace('norm', 'bn')
        if name.startswith('stem.'):
            return f'conv1.{kind}'
        if name.startswith('stages.4.'):
            return f'conv2.{kind}'
        _, stage, block, part, _ = name.split('.')
        layer, position = int(stage), int(block)
        layers = [count for groups in self.STAGES for _, _, count, _ in groups]
        number = sum(len(groups) for groups in self.STAGES[:layer])
        while position >= layers[number]:
            position -= layers[number]
            number += 1
        part = {'expand': 'expand', 'depthwise': 'depthwise', 'project': 'linear'}[part]
        return f'layer{number + 1}.{position}.{part}_conv.{kind}'

    @classmethod
    def variants(cls) -> Iterator[Variant]:
        """The published network, as :class:`Variant`."""
        yield Variant('SAN MobileNetV2', 'san-mobilenet-v2', cls, {})

    @classmethod
    def stage_channels(cls) -> tuple[int, ...]:
        """Channels of indices 0 to 4."""
        return (*(groups[-1][1] for groups in cls.STAGES), cls.LAST)

    @classmethod
    def feature_channels(
        cls, out_indices: Sequence[int] = (0, 1, 2, 3), **_: Any
    ) -> tuple[int, ...]:
        """See :func:`mmscale.feature_channels`."""
        channels = cls.stage_channels()
        return tuple(channels[i] for i in check_out_indices(out_indices, len(channels)))
