"""What all backbones share: taps, weights, freezing, norm_eval and forward, written once."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from mmengine.model import BaseModule
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmscale.errors import UserError, check_choice, check_whole
from mmscale.models.init_cfg import InitCfg, load_pretrained, other_rules, pretrained_cfg

STRIDES = (4, 8, 16, 32, 32)
OUTPUT_STRIDES = (8, 16, 32)


class Sampling(NamedTuple):
    """How a layer moves over its input.

    Attributes:
        stride (int): Its own, or 1 where the network's output stride is reached.
        dilation (int): Of a layer that had the stride: pixels between its samples, before it.
        after (int): The same for the layers that follow.
    """

    stride: int
    dilation: int
    after: int


def samplings(strides: Iterable[int], start: int, output_stride: int) -> Iterator[Sampling]:
    """Strides that become dilation where the stride of all layers would exceed `output_stride`.

    Every second pixel of a map that is not subsampled is then what the strided layer gives, with
    the same weights.

    Args:
        strides (Iterable[int]): Of layers in a row.
        start (int): The stride of the map that goes into the first.
        output_stride (int): The largest stride of any map.
    """
    reached, dilation = start, 1
    for stride in strides:
        before = dilation
        if reached * stride > output_stride:
            dilation *= stride
            stride = 1
        reached *= stride
        yield Sampling(stride, before, dilation)


class Variant(NamedTuple):
    """A published network.

    Attributes:
        label (str): Its name in messages: ``ReXNet 1.0``.
        config (str): In the names of configs: ``rexnet-100``.
        backbone (type): Its class.
        arguments (dict): What makes the class this network.
        weights (str | None): Those on the hub, if they were published there.
    """

    label: str
    config: str
    backbone: Any
    arguments: dict
    weights: str | None = None

    @property
    def name(self) -> str:
        """In :func:`mmscale.create`: ``rexnet_100``."""
        return self.config.replace('-', '_')

    def build(self) -> 'Backbone':
        """The backbone with all of its stages."""
        last = len(self.backbone.stage_channels(**self.arguments)) - 1
        return self.backbone(**self.arguments, out_indices=(last,))


class FeatureInfo(list[dict[str, Any]]):
    """What a backbone hands out, as in timm: a dict for each map.

    Each has ``num_chs`` (channels), ``reduction`` (stride in pixels), ``module`` (the name of the
    stage whose output it is) and ``index`` (as in `out_indices`).
    """

    def channels(self) -> list[int]:
        """Of every map."""
        return [info['num_chs'] for info in self]

    def reduction(self) -> list[int]:
        """Of every map: image pixels per pixel of it."""
        return [info['reduction'] for info in self]

    def module_name(self) -> list[str]:
        """Of every map: the stage, for :meth:`torch.nn.Module.get_submodule`."""
        return [info['module'] for info in self]


def check_out_indices(out_indices: Sequence[int], num_stages: int) -> tuple[int, ...]:
    """Return `out_indices` as a tuple, or say what is wrong with them.

    Raises:
        UserError: If they are not ascending integers from 0 to ``num_stages - 1``.
    """
    indices = tuple(out_indices) if isinstance(out_indices, (tuple, list)) else ()
    if (
        not indices
        or any(type(i) is not int or not 0 <= i < num_stages for i in indices)
        or list(indices) != sorted(set(indices))
    ):
        raise UserError(
            f'out_indices={out_indices!r} must be ascending integers from 0 to {num_stages - 1}, '
            'such as (0, 1, 2, 3)'
        )
    return indices


class Backbone(BaseModule):
    """A stem and stages, one for each index that can be tapped.

    A subclass sets `stem` and appends to `stages` (no further than ``last_stage``), then calls
    :meth:`freeze`.

    Args:
        channels (Sequence[int]): Output channels of every stage the family has.
        out_indices (Sequence[int]): Which stages' outputs are returned, ascending.
        frozen_stages (int): -1 none, 0 the stem, n the stem and everything up to tap n - 1. Frozen
            parts get no gradient and stay in eval mode.
        norm_eval (bool | str): Keep all BN layers in eval mode (their parameters still train).
            'auto' does so exactly when `init_cfg` names a checkpoint: without weights, BN has no
            statistics to keep.
        in_channels (int): Of the images: 3, or what grey or multispectral ones have. Weights for
            RGB are summed over the colours for one channel, else repeated (see
            :mod:`mmscale.checkpoints.stems`).
        output_stride (int): 8, 16 or 32: the largest stride of any map. Below 32 the layers that
            would go beyond it are not strided but dilate all that follow, with the same weights.
        init_cfg (dict | list[dict], optional): As in mmengine. ``dict(type='Pretrained',
            checkpoint=X)`` takes any file of the architecture (see :mod:`mmscale.checkpoints`); X
            None, or no init_cfg, starts from the family's own initialisation.

    Attributes:
        out_channels (tuple[int]): Channels of each output.
        out_strides (tuple[int]): Input pixels per output pixel of each output.
        variant (str): The name of the architecture, for messages: ``ReXNet 1.0``.
    """

    # mmengine's rules for the layers of a network without weights; none are PyTorch's defaults.
    scratch_cfg: list = []
    min_size = 32  # of an image's sides, in pixels
    in_channels = 3
    init_cfg: Any
    is_init: bool

    def __init__(
        self,
        channels: Sequence[int],
        *,
        out_indices: Sequence[int],
        frozen_stages: int,
        norm_eval: bool | str,
        in_channels: int = 3,
        output_stride: int = 32,
        init_cfg: InitCfg,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        pretrained = pretrained_cfg(init_cfg)
        if norm_eval == 'auto':
            norm_eval = bool(pretrained and pretrained['checkpoint'])
        if not isinstance(norm_eval, bool):
            raise UserError(f"norm_eval={norm_eval!r} must be True, False or 'auto'")
        if type(frozen_stages) is not int or not -1 <= frozen_stages <= len(channels):
            raise UserError(
                f'frozen_stages={frozen_stages!r} must be an integer from -1 (nothing is frozen) '
                f'to {len(channels)} (everything is)'
            )
        self.out_indices = check_out_indices(out_indices, len(channels))
        self.out_channels = tuple(channels[i] for i in self.out_indices)
        check_whole('in_channels', in_channels)
        check_choice('output_stride', output_stride, OUTPUT_STRIDES)
        self.in_channels = in_channels
        self.output_stride = output_stride
        self.out_strides = tuple(min(STRIDES[i], output_stride) for i in self.out_indices)
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval
        self.stages = nn.ModuleList()

    @property
    def feature_info(self) -> FeatureInfo:
        """Channels, strides and modules of the outputs, as timm gives them."""
        rows = zip(self.out_indices, self.out_channels, self.out_strides)
        return FeatureInfo(
            dict(num_chs=channels, reduction=stride, module=f'stages.{index}', index=index)
            for index, channels, stride in rows
        )

    @property
    def last_stage(self) -> int:
        """Index of the last stage that is needed; later ones are not built."""
        return self.out_indices[-1]

    def init_weights(self) -> None:
        """Load the checkpoint that `init_cfg` names, or initialise.

        Raises:
            UserError: If it cannot be read, or is another network's.
        """
        if self.is_init:
            return
        if load_pretrained(self):
            self.is_init = True
            return
        given = self.init_cfg
        self.init_cfg = other_rules(given) or self.scratch_cfg
        super().init_weights()
        self.init_cfg = given

    def frozen_modules(self) -> list[nn.Module]:
        """The modules that `frozen_stages` covers."""
        return [self.stem, *self.stages[: self.frozen_stages]] if self.frozen_stages >= 0 else []

    def freeze(self) -> None:
        """Take the gradients of what `frozen_stages` covers, once all modules are there."""
        for module in self.frozen_modules():
            module.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> 'Backbone':
        """Switch the mode, but keep frozen parts (and BN under `norm_eval`) in eval mode."""
        super().train(mode)
        for module in self.frozen_modules():
            module.eval()
        if self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Extract features.

        Args:
            x (Tensor): Float images (N, in_channels, H, W), H and W at least ``min_size``.

        Returns:
            tuple[Tensor]: One map (N, C, h, w) for each of `out_indices`.

        Raises:
            UserError: If an image is smaller, or has other channels.
        """
        return self.extract(x)

    def extract(self, x: torch.Tensor, *extra: Any) -> tuple[torch.Tensor, ...]:
        """The forward pass; the stem and every block get `extra` beside their input."""
        check_size(x, self.min_size, self.in_channels)
        x = self.stem(x, *extra)
        outputs = []
        for index, stage in enumerate(self.stages):
            x = stage(x, *extra)
            if index in self.out_indices:
                outputs.append(x)
        return tuple(outputs)


def check_size(x: torch.Tensor, min_size: int, channels: int = 3) -> None:
    """Refuse what is not a batch of images; not while tracing, where sizes are symbols."""
    if torch.jit.is_tracing():
        return
    if x.dim() != 4 or x.size(1) != channels or min(x.shape[2:]) < min_size:
        raise UserError(
            f'images of shape {tuple(x.shape)} do not fit: expected (N, {channels}, H, W) with '
            f'H and W of at least {min_size} px; resize or pad smaller images, and give the '
            'backbone in_channels= for other channels'
        )
