"""Pieces that more than one family of models uses."""

from collections import OrderedDict
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
import torch.utils.checkpoint as checkpointing
from mmcv.cnn import build_norm_layer
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmscale.errors import UserError

CHEAP = 'cheap'
SELECTIVE = 'create_selective_checkpoint_contexts'


def conv_norm(
    in_channels: int,
    out_channels: int,
    *,
    kernel_size: int = 1,
    stride: int = 1,
    dilation: int = 1,
    groups: int = 1,
    norm_cfg: dict | None = None,
    act: type[nn.Module] | None = None,
) -> nn.Sequential:
    """A convolution without bias, its norm and, if given, an activation, in the order they run.

    Args:
        norm_cfg (dict, optional): As in mmcv. Default: ``dict(type='BN')``.
        act (type, optional): An activation's class, ``nn.SiLU`` say. It works in place, but for
            SiLU, of which autograd would first copy the input that it needs.

    Returns:
        nn.Sequential: With members ``conv``, ``norm`` and, if asked for, ``act``.
    """
    layers = OrderedDict(
        conv=nn.Conv2d(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding=kernel_size // 2 * dilation,
            dilation=dilation,
            groups=groups,
            bias=False,
        ),
        norm=norm(out_channels, norm_cfg),
    )
    if act is not None:
        layers['act'] = act(inplace=act is not nn.SiLU)
    return nn.Sequential(layers)


def norm(channels: int, norm_cfg: dict | None = None) -> nn.Module:
    """The norm layer that mmcv builds from `norm_cfg` (default: ``dict(type='BN')``).

    Raises:
        UserError: If it is not a dict with a type.
    """
    if norm_cfg is not None and not (isinstance(norm_cfg, dict) and 'type' in norm_cfg):
        raise UserError(f"norm_cfg={norm_cfg!r} must be a dict such as dict(type='BN')")
    return build_norm_layer(norm_cfg or dict(type='BN'), channels)[1]


@contextmanager
def _untracked(module):
    """Keeps BN layers from updating their running statistics, which the first pass did already."""
    layers: list = [
        m for m in module.modules() if isinstance(m, _BatchNorm) and m.track_running_stats
    ]
    # Not by track_running_stats=False: the same tensors must be saved as in the first pass.
    before = [(layer, layer.momentum, layer.num_batches_tracked.clone()) for layer in layers]
    for layer in layers:
        layer.momentum = 0.0
    try:
        yield
    finally:
        for layer, momentum, count in before:
            layer.momentum = momentum
            layer.num_batches_tracked.copy_(count)


class Stage(nn.Sequential):
    """Blocks in a row; activations may be recomputed in the backward pass instead of kept.

    Gradients and running statistics are the same either way.

    Args:
        *blocks (nn.Module): From (N, C, H, W) to another such map.
        with_cp (bool | str): True recomputes whole blocks; 'cheap' (torch 2.4) keeps what their
            convolutions put out, and recomputes norms, activations, pooling and resizing.

    Raises:
        UserError: If `with_cp` is something else, or torch is too old for it.
    """

    def __init__(self, *blocks: nn.Module, with_cp: bool | str = False) -> None:
        super().__init__(*blocks)
        if with_cp not in (False, True, CHEAP):
            raise UserError(f'with_cp={with_cp!r} must be True, False or {CHEAP!r}')
        if with_cp == CHEAP and not hasattr(checkpointing, SELECTIVE):
            raise UserError(f'with_cp={CHEAP!r} needs torch 2.4 or later, not {torch.__version__}')
        self.with_cp = with_cp

    def forward(self, x: torch.Tensor, *extra: Any) -> torch.Tensor:
        """Take (N, C_in, H, W) to (N, C_out, H', W'); every block gets `extra` too."""
        for block in self:
            if self.with_cp and torch.is_grad_enabled():
                x = _recomputed(block, x, *extra, cheap=self.with_cp == CHEAP)
            else:
                x = block(x, *extra)
        return x


def _recomputed(block, *inputs, cheap):
    """``block(*inputs)``; activations are not kept but computed again in the backward pass."""

    def contexts():
        first, again = nullcontext(), nullcontext()
        if cheap:
            convolution = torch.ops.aten.convolution.default
            first, again = getattr(checkpointing, SELECTIVE)([convolution])
        # torch 2.14 refuses operators of its own in `again` that the first pass did not have.
        return first, _both(_untracked(block), again)

    return checkpointing.checkpoint(block, *inputs, use_reentrant=False, context_fn=contexts)


@contextmanager
def _both(first, second):
    with first, second:
        yield
