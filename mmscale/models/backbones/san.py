"""SAN: ResNets and MobileNetV2 whose weights are generated from the input's resolution.

Paper: Learning to Learn Parameterized Classification Networks for Scalable Input Images, ECCV 2020
(https://arxiv.org/abs/2007.06181). Authors' code: https://github.com/d-li14/SAN . Written from
the paper and the published network's facts. In detectors it is this project's extension: no result
was ever published.
"""

from copy import deepcopy
from math import isfinite
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmscale.errors import UserError
from mmscale.models.backbones.base import Backbone, Variant, check_out_indices
from mmscale.models.layers import Stage, norm

RESOLUTIONS = (224, 192, 160, 128, 96)
ENCODING_BASE = 320
INFERENCE = ('proxy', 'ideal', 'data-free')


class Scale(NamedTuple):
    """How a batch is computed.

    Attributes:
        encoding (float): What the weights are generated from: resolution / encoding_base.
        norm (int): Which of the resolutions' norms is used.
        other (int): Which is mixed in; the same as `norm` where nothing is.
        share (float): Of `other`, from 0 to 1.
    """

    encoding: float
    norm: int
    other: int
    share: float


def check_resolution(resolution):
    """Raises a UserError if it is no number of pixels."""
    _check_positive('resolution', resolution)


def _check_positive(name, value):
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not (number and value > 0 and isfinite(value)):
        raise UserError(f'{name}={value!r} must be a positive number')


def resized(images, resolution):
    """Square images (N, 3, H, W) at a resolution in pixels, antialiased as Pillow's are."""
    if images.shape[-2:] == (resolution, resolution):
        return images
    return F.interpolate(images, (resolution, resolution), mode='bilinear', antialias=True)


class GeneratedConv2d(nn.Module):
    """A convolution without bias whose weight is a linear function of the encoding (section 3.2).

    Args:
        in_channels, out_channels, kernel_size, stride, groups: As in ``nn.Conv2d``; padding keeps
            the size.
    """

    def __init__(self, in_channels, out_channels, kernel_size, *, stride=1, groups=1):
        super().__init__()
        self.shape = (out_channels, in_channels // groups, kernel_size, kernel_size)
        self.stride = stride
        self.groups = groups
        self.generator = nn.Linear(1, torch.Size(self.shape).numel())

    def generate(self, encoding):
        """The weight (out, in / groups, k, k) for an encoding (a number)."""
        flat = self.generator.weight[:, 0] * encoding + self.generator.bias
        return flat.view(self.shape)

    def forward(self, x, scale):
        """Take (N, in, H, W) to (N, out, H / stride, W / stride)."""
        weight = self.generate(scale.encoding)
        padding = self.shape[-1] // 2
        return F.conv2d(x, weight, None, self.stride, padding, groups=self.groups)

    def at(self, scale):
        """The ordinary convolution that this one is at a scale, in eval mode."""
        weight = self.generate(scale.encoding)
        out_channels, per_group, size, _ = self.shape
        conv = nn.Conv2d(
            per_group * self.groups,
            out_channels,
            size,
            self.stride,
            size // 2,
            groups=self.groups,
            bias=False,
            device='meta',
        )
        conv.weight = nn.Parameter(weight, requires_grad=False)
        return conv.eval()


class ResolutionNorm(nn.Module):
    """One norm for each trained resolution ("privatised" BN, section 3.3)."""

    def __init__(self, channels, count, norm_cfg=None):
        super().__init__()
        self.norms = nn.ModuleList(norm(channels, norm_cfg) for _ in range(count))

    def forward(self, x, scale):
        """Normalise (N, C, H, W) by one norm, or by a mixture of two."""
        if scale.share == 0:
            return self.norms[scale.norm](x)
        parts = self.mixed(scale)
        return F.batch_norm(
            x, parts['running_mean'], parts['running_var'], parts['weight'], parts['bias'],
            eps=self.norms[scale.norm].eps,
        )  # fmt: skip

    def at(self, scale):
        """The ordinary norm that this one is at a scale, in eval mode."""
        layer = deepcopy(self.norms[scale.norm]).eval()
        if scale.share != 0:
            layer.load_state_dict(self.mixed(scale), strict=False)
        return layer

    def mixed(self, scale):
        """The norm's parameters and statistics by name, interpolated where `scale` says so.

        Raises:
            UserError: If it has not all of these.
        """
        first, second = self.norms[scale.norm], self.norms[scale.other]
        affine = isinstance(first, _BatchNorm) and first.affine
        if not (affine and first.track_running_stats):
            raise UserError(
                f"{first}: plain() and inference='data-free' need batch norms with factors and "
                'statistics'
            )
        names = ('weight', 'bias', 'running_mean', 'running_var')
        if scale.share == 0:
            return {name: getattr(first, name) for name in names}
        return {
            name: torch.lerp(getattr(first, name), getattr(second, name), scale.share)
            for name in names
        }


class GeneratedConvNorm(nn.Module):
    """A generated convolution, its resolution's norm and, if given, an activation."""

    def __init__(
        self,
        in_channels,
        out_channels,
        *,
        kernel_size,
        count,
        stride=1,
        groups=1,
        norm_cfg=None,
        act=None,
    ):
        super().__init__()
        self.conv = GeneratedConv2d(
            in_channels, out_channels, kernel_size, stride=stride, groups=groups
        )
        self.norm = ResolutionNorm(out_channels, count, norm_cfg)
        self.act = act(inplace=True) if act else nn.Identity()

    def forward(self, x, scale):
        """Take (N, in, H, W) to (N, out, H / stride, W / stride)."""
        return self.act(self.norm(self.conv(x, scale), scale))


class ResNetStem(nn.Module):
    """The ResNet's stem: its convolution is an ordinary one, shared by all resolutions."""

    def __init__(self, channels, count, norm_cfg=None):
        super().__init__()
        self.conv = nn.Conv2d(3, channels, 7, 2, 3, bias=False)
        self.norm = ResolutionNorm(channels, count, norm_cfg)
        self.act = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool2d(3, 2, 1)

    def forward(self, x, scale):
        """Take (N, 3, H, W) to (N, channels, H / 4, W / 4)."""
        return self.pool(self.act(self.norm(self.conv(x), scale)))


class ResidualBlock(nn.Module):
    """ResNet's basic block or bottleneck, all convolutions generated, the shortcut's too.

    Args:
        in_channels (int): Input channels.
        planes (int): The stage's base width; a bottleneck's output has 4 times as many channels.
        bottleneck (bool): 1x1, 3x3 (with the stride and groups), 1x1; else two 3x3.
        stride (int): 1 or 2.
        groups, base_width (int): ResNeXt's, for bottlenecks.
        count (int): Trained resolutions.
    """

    def __init__(
        self, in_channels, planes, *, bottleneck, stride, groups, base_width, count, norm_cfg=None
    ):
        super().__init__()
        rest = dict(count=count, norm_cfg=norm_cfg)
        out_channels = planes * 4 if bottleneck else planes
        if bottleneck:
            width = planes * base_width // 64 * groups
            self.conv1 = GeneratedConvNorm(in_channels, width, kernel_size=1, act=nn.ReLU, **rest)
            self.conv2 = GeneratedConvNorm(
                width, width, kernel_size=3, stride=stride, groups=groups, act=nn.ReLU, **rest
            )
            self.conv3 = GeneratedConvNorm(width, out_channels, kernel_size=1, **rest)
        else:
            self.conv1 = GeneratedConvNorm(
                in_channels, planes, kernel_size=3, stride=stride, act=nn.ReLU, **rest
            )
            self.conv2 = GeneratedConvNorm(planes, planes, kernel_size=3, **rest)
            self.conv3 = None
        self.shortcut = None
        if stride != 1 or in_channels != out_channels:
            self.shortcut = GeneratedConvNorm(
                in_channels, out_channels, kernel_size=1, stride=stride, **rest
            )
        self.act = nn.ReLU(inplace=True)

    def forward(self, x, scale):
        """Take (N, in_channels, H, W) to (N, out_channels, H / stride, W / stride)."""
        y = self.conv2(self.conv1(x, scale), scale)
        if self.conv3 is not None:
            y = self.conv3(y, scale)
        y += x if self.shortcut is None else self.shortcut(x, scale)
        return self.act(y)


class InvertedResidual(nn.Module):
    """MobileNetV2's block: expand (unless the expansion is 1), depthwise, project."""

    def __init__(self, in_channels, out_channels, *, stride, expansion, count, norm_cfg=None):
        super().__init__()
        rest = dict(count=count, norm_cfg=norm_cfg)
        hidden = in_channels * expansion
        self.expand = None
        if expansion != 1:
            self.expand = GeneratedConvNorm(
                in_channels, hidden, kernel_size=1, act=nn.ReLU6, **rest
            )
        self.depthwise = GeneratedConvNorm(
            hidden, hidden, kernel_size=3, stride=stride, groups=hidden, act=nn.ReLU6, **rest
        )
        self.project = GeneratedConvNorm(hidden, out_channels, kernel_size=1, **rest)
        self.shortcut = stride == 1 and in_channels == out_channels

    def forward(self, x, scale):
        """Take (N, in_channels, H, W) to (N, out_channels, H / stride, W / stride)."""
        y = x if self.expand is None else self.expand(x, scale)
        y = self.project(self.depthwise(y, scale), scale)
        return x + y if self.shortcut else y


class SAN(Backbone):
    """What SAN's main networks share: which weights and norms a batch gets.

    Args:
        resolutions (Sequence[int]): The trained resolutions in pixels, in the order of the norms.
        encoding_base (float): The encoding is resolution / encoding_base, about 0.3 to 0.7.
        resolution (int, optional): Which one to compute for, if `forward` is not told. None: the
            shorter side of the images, so that every batch has its own.
        inference (str): What a resolution that was not trained gets. 'proxy': weights and norms of
            the nearest trained one; 'ideal': its own weights, the norms of the nearest (calibrate
            them); 'data-free': its own weights, norms interpolated between the two neighbours.
            Nearest: the larger of two that are as near; beyond the trained range, its end.
    """

    min_size = 16

    def __init__(self, channels, *, resolutions, encoding_base, resolution, inference, **kwargs):
        super().__init__(channels, **kwargs)
        given = list(resolutions) if isinstance(resolutions, (list, tuple)) else []
        if (
            not given
            or any(type(r) is not int or r < self.min_size for r in given)
            or len(set(given)) < len(given)
        ):
            raise UserError(
                f'resolutions={resolutions!r} must be different integers of at least '
                f'{self.min_size} px, such as {RESOLUTIONS}'
            )
        if inference not in INFERENCE:
            raise UserError(f'inference={inference!r} is unknown; choose from {INFERENCE}')
        _check_positive('encoding_base', encoding_base)
        if resolution is not None:
            check_resolution(resolution)
        self.resolutions = tuple(given)
        self.encoding_base = encoding_base
        self.resolution = resolution
        self.inference = inference

    def forward(self, x, resolution=None):
        """Extract features.

        Args:
            x (Tensor | list[Tensor]): Float images (N, 3, H, W); or, to train all resolutions at
                once, one such batch for each of `resolutions`.
            resolution (int, optional): Compute for this one, in pixels, whatever the images' size.

        Returns:
            tuple[Tensor] | list[tuple[Tensor]]: One map for each of `out_indices`; for a list of
            batches, a list of such tuples.

        Raises:
            ValueError: If a list has another length than `resolutions`, or `resolution` is no
                number of pixels.
        """
        if isinstance(x, (list, tuple)):
            if len(x) != len(self.resolutions):
                raise UserError(
                    f'{len(x)} batches do not fit resolutions={self.resolutions}: give one for each'
                )
            return [self.extract(batch, self.trained_scale(index)) for index, batch in enumerate(x)]
        return self.extract(x, self.scale_of(self.resolution_for(x, resolution)))

    def resolution_for(self, x, resolution=None):
        """The resolution that images are computed for: as told, the fixed one, or their own."""
        if resolution is not None:
            check_resolution(resolution)
            return resolution
        return self.resolution or min(x.shape[-2:])

    def trained_scale(self, index):
        """The :class:`Scale` of the trained resolution number `index`."""
        return Scale(self.resolutions[index] / self.encoding_base, index, index, 0.0)

    def nearest(self, resolution):
        """The index of the trained resolution next to `resolution`; of two as near, the larger."""
        known = self.resolutions
        return min(range(len(known)), key=lambda i: (abs(known[i] - resolution), -known[i]))

    def scale_of(self, resolution):
        """The :class:`Scale` for a resolution in pixels, as `inference` says."""
        known, nearest = self.resolutions, self.nearest(resolution)
        if self.inference == 'proxy' or known[nearest] == resolution:
            return self.trained_scale(nearest)
        encoding = resolution / self.encoding_base
        above = [i for i, r in enumerate(known) if r > resolution]
        below = [i for i, r in enumerate(known) if r < resolution]
        if self.inference == 'ideal' or not above or not below:
            return Scale(encoding, nearest, nearest, 0.0)
        upper = min(above, key=lambda i: known[i])
        lower = max(below, key=lambda i: known[i])
        share = (known[upper] - resolution) / (known[upper] - known[lower])
        return Scale(encoding, upper, lower, share)

    def plain(self, resolution):
        """The ordinary network that this one is at a resolution, its weights generated once.

        Args:
            resolution (int): In pixels; what was not trained gets what `inference` says.

        Returns:
            nn.Module: mmdet's ResNet, ResNeXt or MobileNetV2 in eval mode, with the same outputs.
            The names of its state dict are mmdet's and mmpretrain's, a ResNet's torchvision's too.

        Raises:
            ValueError: If `resolution` is no number of pixels, or the norms are no batch norms.
        """
        check_resolution(resolution)
        scale = self.scale_of(resolution)
        state = {}
        for name, module in self.named_modules():
            if isinstance(module, GeneratedConv2d):
                state[f'{self.plain_name(name)}.weight'] = module.generate(scale.encoding)
            elif isinstance(module, ResolutionNorm):
                plain = self.plain_name(name)
                state |= {f'{plain}.{key}': value for key, value in module.mixed(scale).items()}
            elif isinstance(module, nn.Conv2d):
                state[f'{self.plain_name(name)}.weight'] = module.weight
        network = self.plain_network().to(next(self.parameters()))
        missing, unexpected = network.load_state_dict(state, strict=False)
        assert not unexpected, unexpected[:3]
        assert all(key.endswith('num_batches_tracked') for key in missing), missing[:3]
        for name, module in self.named_modules():
            if isinstance(module, ResolutionNorm):
                network.get_submodule(self.plain_name(name)).eps = module.norms[0].eps
        network.eval()  # mmdet's returns None
        return network


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

    Raises:
        ValueError: If an argument is out of range.

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
        depth=50,
        *,
        resolutions=RESOLUTIONS,
        encoding_base=ENCODING_BASE,
        resolution=None,
        inference='proxy',
        groups=1,
        base_width=64,
        base_channels=64,
        out_indices=(0, 1, 2, 3),
        frozen_stages=-1,
        norm_cfg=None,
        norm_eval=False,
        with_cp=False,
        init_cfg=None,
    ):
        super().__init__(
            self.stage_channels(depth, groups, base_width, base_channels),
            resolutions=resolutions,
            encoding_base=encoding_base,
            resolution=resolution,
            inference=inference,
            out_indices=out_indices,
            frozen_stages=frozen_stages,
            norm_eval=norm_eval,
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
        self.stem = ResNetStem(base_channels, count, norm_cfg)
        bottleneck = depth >= 50
        in_channels = base_channels
        for index in range(self.last_stage + 1):
            planes = base_channels * 2**index
            blocks = []
            for position in range(self.BLOCKS[depth][index]):
                blocks.append(
                    ResidualBlock(
                        in_channels,
                        planes,
                        bottleneck=bottleneck,
                        stride=2 if index > 0 and position == 0 else 1,
                        groups=groups,
                        base_width=base_width,
                        count=count,
                        norm_cfg=norm_cfg,
                    )
                )
                in_channels = planes * (4 if bottleneck else 1)
            self.stages.append(Stage(*blocks, with_cp=with_cp))
        self.freeze()

    def plain_network(self):
        """mmdet's network without generators, with weights of its own."""
        from mmdet.models import ResNet, ResNeXt

        network = ResNeXt if 'groups' in self.arguments else ResNet
        stages = self.last_stage + 1
        return network(
            **self.arguments,
            stem_channels=self.arguments['base_channels'],
            num_stages=stages,
            strides=(1, 2, 2, 2)[:stages],
            dilations=(1, 1, 1, 1)[:stages],
            out_indices=self.out_indices,
            style='pytorch',
            norm_eval=False,
        )

    @staticmethod
    def plain_name(name):
        """A module's name in mmdet's network: ``stages.0.1.conv2.norm`` is ``layer1.1.bn2``."""
        if name.startswith('stem.'):
            return {'stem.conv': 'conv1', 'stem.norm': 'bn1'}[name]
        _, stage, block, part, kind = name.split('.')
        place = f'layer{int(stage) + 1}.{block}.'
        if part == 'shortcut':
            return place + {'conv': 'downsample.0', 'norm': 'downsample.1'}[kind]
        return place + {'conv': 'conv', 'norm': 'bn'}[kind] + part[-1]

    @classmethod
    def variants(cls):
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
    def stage_channels(cls, depth=50, groups=1, base_width=64, base_channels=64):
        """Channels of indices 0 to 3."""
        if type(depth) is not int or depth not in cls.BLOCKS:
            raise UserError(f'depth={depth!r} does not exist; choose from {tuple(cls.BLOCKS)}')
        for name, value in (('groups', groups), ('base_width', base_width)):
            if type(value) is not int or value < 1:
                raise UserError(f'{name}={value!r} must be a positive integer')
        if groups == 1 and base_width != 64:
            raise UserError(f'base_width={base_width} is for ResNeXts: it needs groups=32, say')
        if groups > 1 and depth < 50:
            raise UserError(f'groups={groups} needs a bottleneck: depth 50 or more, not {depth}')
        if type(base_channels) is not int or base_channels < 1:
            raise UserError(f'base_channels={base_channels!r} must be a positive integer, 64 say')
        if groups > 1 and base_channels != 64:
            raise UserError(f'base_channels={base_channels!r} is for ResNets; a ResNeXt has 64')
        return tuple(base_channels * 2**index * (4 if depth >= 50 else 1) for index in range(4))

    @classmethod
    def feature_channels(
        cls,
        depth=50,
        groups=1,
        base_width=64,
        base_channels=64,
        out_indices=(0, 1, 2, 3),
        **_,
    ):
        """See :func:`mmscale.feature_channels`."""
        channels = cls.stage_channels(depth, groups, base_width, base_channels)
        return tuple(channels[i] for i in check_out_indices(out_indices, len(channels)))


class SANMobileNetV2(SAN):
    """SAN's MobileNetV2: every convolution is generated, the stem's too.

    Args:
        resolutions, encoding_base, resolution, inference: See :class:`SAN`.
        out_indices (Sequence[int]): 0 to 3 are strides 4, 8, 16, 32 (24, 32, 96 and 320 channels);
            4 is the 1x1 convolution to 1280 channels before the classifier.
        frozen_stages, norm_cfg, norm_eval, with_cp, init_cfg: As in mmdet's backbones.

    Raises:
        ValueError: If an argument is out of range.

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
        resolutions=RESOLUTIONS,
        encoding_base=ENCODING_BASE,
        resolution=None,
        inference='proxy',
        out_indices=(0, 1, 2, 3),
        frozen_stages=-1,
        norm_cfg=None,
        norm_eval=False,
        with_cp=False,
        init_cfg=None,
    ):
        super().__init__(
            self.stage_channels(),
            resolutions=resolutions,
            encoding_base=encoding_base,
            resolution=resolution,
            inference=inference,
            out_indices=out_indices,
            frozen_stages=frozen_stages,
            norm_eval=norm_eval,
            init_cfg=init_cfg,
        )
        self.variant = 'SAN MobileNetV2'
        rest = dict(count=len(self.resolutions), norm_cfg=norm_cfg)
        self.stem = GeneratedConvNorm(3, self.STEM, kernel_size=3, stride=2, act=nn.ReLU6, **rest)
        in_channels = self.STEM
        for groups in self.STAGES[: self.last_stage + 1]:
            blocks = []
            for expansion, channels, count, stride in groups:
                for position in range(count):
                    blocks.append(
                        InvertedResidual(
                            in_channels,
                            channels,
                            stride=stride if position == 0 else 1,
                            expansion=expansion,
                            **rest,
                        )
                    )
                    in_channels = channels
            self.stages.append(Stage(*blocks, with_cp=with_cp))
        if self.last_stage == 4:
            last = GeneratedConvNorm(in_channels, self.LAST, kernel_size=1, act=nn.ReLU6, **rest)
            self.stages.append(Stage(last, with_cp=with_cp))
        self.freeze()

    def plain_network(self):
        """mmdet's network without generators, with weights of its own."""
        from mmdet.models import MobileNetV2

        taps = [self.PLAIN_TAPS[index] for index in self.out_indices]
        network = MobileNetV2(out_indices=taps, norm_eval=False)
        for name in network.layers[taps[-1] + 1 :]:  # what nothing is taken from
            delattr(network, name)
        network.layers = network.layers[: taps[-1] + 1]
        return network

    def plain_name(self, name):
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
    def variants(cls):
        """The published network, as :class:`Variant`."""
        yield Variant('SAN MobileNetV2', 'san-mobilenet-v2', cls, {})

    @classmethod
    def stage_channels(cls):
        """Channels of indices 0 to 4."""
        return (*(groups[-1][1] for groups in cls.STAGES), cls.LAST)

    @classmethod
    def feature_channels(cls, out_indices=(0, 1, 2, 3), **_):
        """See :func:`mmscale.feature_channels`."""
        channels = cls.stage_channels()
        return tuple(channels[i] for i in check_out_indices(out_indices, len(channels)))
