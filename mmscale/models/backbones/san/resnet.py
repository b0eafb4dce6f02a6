"""SAN's ResNets and ResNeXts."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn

from mmscale.errors import UserError, check_whole
from mmscale.models.backbones.base import Variant, check_out_indices, samplings
from mmscale.models.backbones.san.base import ENCODING_BASE, RESOLUTIONS, SAN
from mmscale.models.backbones.san.generated import AtScale, GeneratedConvNorm, ResolutionNorm, Scale
from mmscale.models.init_cfg import InitCfg
from mmscale.models.layers import Stage

STAGE_STRIDES = (1, 2, 2, 2)


class ResNetStem(nn.Module):
    """The ResNet's stem: its convolution is an ordinary one, shared by all resolutions."""

    def __init__(
        self, in_channels: int, channels: int, count: int, norm_cfg: dict | None = None
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, channels, 7, 2, 3, bias=False)
        self.norm = ResolutionNorm(channels, count, norm_cfg)
        self.act = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool2d(3, 2, 1)

    def forward(self, x: torch.Tensor, scale: Scale) -> torch.Tensor:
        """Take (N, in_channels, H, W) to (N, channels, H / 4, W / 4)."""
        return self.pool(self.act(self.norm(self.conv(x), scale)))

    def at(self, scale: Scale) -> nn.Module:
        """The ordinary layers that the stem is at a scale, in eval mode."""
        layers = dict(self.named_children(), norm=self.norm.at(scale))
        return AtScale(OrderedDict(layers)).eval()


class ResidualBlock(nn.Module):
    """ResNet's basic block or bottleneck, all convolutions generated, the shortcut's too.

    Args:
        in_channels (int): Input channels.
        planes (int): The stage's base width; a bottleneck's output has 4 times as many channels.
        bottleneck (bool): 1x1, 3x3 (with the stride and groups), 1x1; else two 3x3.
        stride, dilation (int): Of the first 3x3 convolution.
        groups, base_width (int): ResNeXt's, for bottlenecks.
        count (int): Trained resolutions.
    """

    def __init__(
        self,
        in_channels: int,
        planes: int,
        *,
        bottleneck: bool,
        stride: int,
        dilation: int = 1,
        groups: int,
        base_width: int,
        count: int,
        norm_cfg: dict | None = None,
    ) -> None:
        super().__init__()
        rest: dict[str, Any] = dict(count=count, norm_cfg=norm_cfg)
        spatial: dict[str, Any] = dict(kernel_size=3, stride=stride, dilation=dilation, act=nn.ReLU)
        out_channels = planes * 4 if bottleneck else planes
        self.conv3: GeneratedConvNorm | None = None
        if bottleneck:
            width = planes * base_width // 64 * groups
            self.conv1 = GeneratedConvNorm(in_channels, width, kernel_size=1, act=nn.ReLU, **rest)
            self.conv2 = GeneratedConvNorm(width, width, groups=groups, **spatial, **rest)
            self.conv3 = GeneratedConvNorm(width, out_channels, kernel_size=1, **rest)
        else:
            self.conv1 = GeneratedConvNorm(in_channels, planes, **spatial, **rest)
            self.conv2 = GeneratedConvNorm(planes, planes, kernel_size=3, **rest)
        self.shortcut: GeneratedConvNorm | None = None
        if stride != 1 or in_channels != out_channels:
            self.shortcut = GeneratedConvNorm(
                in_channels, out_channels, kernel_size=1, stride=stride, **rest
            )
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor, scale: Scale) -> torch.Tensor:
        """Take (N, in_channels, H, W) to (N, out_channels, H / stride, W / stride)."""
        y = self.conv2(self.conv1(x, scale), scale)
        if self.conv3 is not None:
            y = self.conv3(y, scale)
        y += x if self.shortcut is None else self.shortcut(x, scale)
        return self.act(y)


class SANResNet(SAN):
    """SAN's ResNet-18, 34, 50, 101 and 152, and its ResNeXts.

    Args:
        depth (int): 18, 34, 50, 101 or 152.
        groups, base_width (int): 32 and 4 make ResNeXt-50 32x4d, 32 and 8 ResNeXt-101 32x8d.
        base_channels (int): Channels of the stem and of stage 1, as in mmdet's ResNet; 64 is
            published.
        resolutions, encoding_base, resolution, inference: See :class:`SAN`.
        out_indices (Sequence[int]): 0 to 3 are strides 4, 8, 16, 32.
        frozen_stages, norm_cfg, norm_eval, with_cp, init_cfg: As in mmdet's backbones.
        in_channels (int): Of the images; see :class:`Backbone`.
        output_stride (int): 8, 16 or 32, the largest stride of any map. Below 32 every block of a
            stage that is not strided is dilated, its first one too, as with mmdet's ``dilations``.

    Raises:
        UserError: If an argument is out of range.

    Example:
        >>> import torch
        >>> from mmscale.models import SANResNet
        >>> model = SANResNet(18, resolutions=(64, 32)).eval()
        >>> [tuple(x.shape) for x in model(torch.zeros(1, 3, 64, 64))]
        [(1, 64, 16, 16), (1, 128, 8, 8), (1, 256, 4, 4), (1, 512, 2, 2)]
    """

    BLOCKS = {
        18: (2, 2, 2, 2),
        34: (3, 4, 6, 3),
        50: (3, 4, 6, 3),
        101: (3, 4, 23, 3),
        152: (3, 8, 36, 3),
    }

    def __init__(
        self,
        depth: int = 50,
        *,
        resolutions: Sequence[int] = RESOLUTIONS,
        encoding_base: float = ENCODING_BASE,
        resolution: float | None = None,
        inference: str = 'proxy',
        groups: int = 1,
        base_width: int = 64,
        base_channels: int = 64,
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
            self.stage_channels(depth, groups, base_width, base_channels),
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
        self.arguments = dict(depth=depth, base_channels=base_channels)
        self.variant = f'SAN ResNet-{depth}'
        if base_channels != 64:
            self.variant += f' of {base_channels} base channels'
        if groups > 1:
            self.arguments.update(groups=groups, base_width=base_width)
            self.variant = f'SAN ResNeXt-{depth} {groups}x{base_width}d'
        count = len(self.resolutions)
        self.stem = ResNetStem(in_channels, base_channels, count, norm_cfg)
        bottleneck = depth >= 50
        inputs = base_channels
        for index, sampling in enumerate(samplings(STAGE_STRIDES, 4, output_stride)):
            if index > self.last_stage:
                break
            planes = base_channels * 2**index
            blocks = []
            for position in range(self.BLOCKS[depth][index]):
                blocks.append(
                    ResidualBlock(
                        inputs,
                        planes,
                        bottleneck=bottleneck,
                        stride=sampling.stride if position == 0 else 1,
                        dilation=sampling.after,
                        groups=groups,
                        base_width=base_width,
                        count=count,
                        norm_cfg=norm_cfg,
                    )
                )
                inputs = planes * (4 if bottleneck else 1)
            self.stages.append(Stage(*blocks, with_cp=with_cp))
        self.freeze()

    def plain_network(self) -> nn.Module:
        """mmdet's network without generators, with weights of its own."""
        from mmdet.models import ResNet, ResNeXt

        network = ResNeXt if 'groups' in self.arguments else ResNet
        stages = self.last_stage + 1
        return network(
            **self.arguments,
            in_channels=self.in_channels,
            stem_channels=self.arguments['base_channels'],
            num_stages=stages,
            strides=(1, 2, 2, 2)[:stages],
            dilations=(1, 1, 1, 1)[:stages],
            out_indices=self.out_indices,
            style='pytorch',
            norm_eval=False,
        )

    @staticmethod
    def plain_name(name: str) -> str:
        """A module's name in mmdet's network: ``stages.0.1.conv2.norm`` is ``layer1.1.bn2``."""
        if name.startswith('stem.'):
            return {'stem.conv': 'conv1', 'stem.norm': 'bn1'}[name]
        _, stage, block, part, kind = name.split('.')
        place = f'layer{int(stage) + 1}.{block}.'
        if part == 'shortcut':
            return place + {'conv': 'downsample.0', 'norm': 'downsample.1'}[kind]
        return place + {'conv': 'conv', 'norm': 'bn'}[kind] + part[-1]

    @classmethod
    def variants(cls) -> Iterator[Variant]:
        """The published networks, as :class:`Variant`."""
        for depth in cls.BLOCKS:
            arguments = dict(depth=depth)
            yield Variant(f'SAN ResNet-{depth}', f'san-resnet-{depth}', cls, arguments)
        for depth, width in ((50, 4), (101, 8)):
            arguments = dict(depth=depth, groups=32, base_width=width)
            name = f'{depth} 32x{width}d'
            config = f'san-resnext-{depth}-32x{width}d'
            yield Variant(f'SAN ResNeXt-{name}', config, cls, arguments)

    @classmethod
    def stage_channels(
        cls, depth: int = 50, groups: int = 1, base_width: int = 64, base_channels: int = 64
    ) -> tuple[int, ...]:
        """Channels of indices 0 to 3."""
        if type(depth) is not int or depth not in cls.BLOCKS:
            raise UserError(f'depth={depth!r} does not exist; choose from {tuple(cls.BLOCKS)}')
        for name, value in (
            ('groups', groups),
            ('base_width', base_width),
            ('base_channels', base_channels),
        ):
            check_whole(name, value)
        if groups == 1 and base_width != 64:
            raise UserError(f'base_width={base_width} is for ResNeXts: it needs groups=32, say')
        if groups > 1 and depth < 50:
            raise UserError(f'groups={groups} needs a bottleneck: depth 50 or more, not {depth}')
        if groups > 1 and base_channels != 64:
            raise UserError(f'base_channels={base_channels!r} is for ResNets; a ResNeXt has 64')
        return tuple(base_channels * 2**index * (4 if depth >= 50 else 1) for index in range(4))

    @classmethod
    def feature_channels(
        cls,
        depth: int = 50,
        groups: int = 1,
        base_width: int = 64,
        base_channels: int = 64,
        out_indices: Sequence[int] = (0, 1, 2, 3),
        **_: Any,
    ) -> tuple[int, ...]:
        """See :func:`mmscale.feature_channels`."""
        channels = cls.stage_channels(depth, groups, base_width, base_channels)
        return tuple(channels[i] for i in check_out_indices(out_indices, len(channels)))
