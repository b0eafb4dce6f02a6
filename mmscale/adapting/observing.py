"""What a backbone hands out, seen by running it: there is no table of other networks."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, NamedTuple

import torch
from mmengine.registry import MODELS, DefaultScope
from torch import nn

from mmscale.errors import UserError, first_line
from mmscale.registry import type_name
from mmscale.utils.environment import require

SIDE = 256  # pixels of the picture: a map of stride 64 still has 4 x 4
# They change no shape, and their operators run on real tensors alone.
WITHOUT = ('init_cfg', 'pretrained', 'dcn', 'stage_with_dcn', 'plugins')
# What makes a dilated network of a backbone's class; its defaults make the plain one.
DILATING = ('strides', 'dilations', 'output_stride')
SETTINGS = ('frozen_stages', 'norm_eval', 'with_cp')


class Observed(NamedTuple):
    """A backbone as it was seen.

    Attributes:
        channels, strides (tuple[int]): Of every map it hands out, in its own order.
        levels (tuple[int]): The strides that these maps would have without dilation.
        parameters (tuple[str]): Names of its parameters.
        kinds (tuple[str]): Names of its class and of those that it is derived from.
        settings (dict): Its `frozen_stages`, `norm_eval` and `with_cp`, defaults included; those
            that it does not have are missing.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    levels: tuple[int, ...]
    parameters: tuple[str, ...]
    kinds: tuple[str, ...]
    settings: dict[str, Any]


def observe(backbone: Mapping[str, Any], scope: str) -> Observed:
    """Run a backbone without weights on one empty picture.

    Args:
        backbone (dict): Its config.
        scope (str): The package whose names the config uses.

    Raises:
        UserError: If it cannot be built or run, or hands out anything but maps.
    """
    cfg = {key: deepcopy(value) for key, value in backbone.items() if key not in WITHOUT}
    network, maps = _maps(cfg, scope)
    strides = _strides(maps)
    levels = strides
    if any(module.dilation != (1, 1) for module in _convolutions(network)):
        levels = _without_dilation(cfg, scope, strides)
    return Observed(
        tuple(x.size(1) for x in maps),
        strides,
        levels,
        tuple(name for name, _ in network.named_parameters()),
        tuple(kind.__name__ for kind in type(network).__mro__),
        {key: getattr(network, key) for key in SETTINGS if hasattr(network, key)},
    )


def _strides(maps):
    return tuple(round(SIDE / x.size(3)) for x in maps)


def _convolutions(network):
    return [module for module in network.modules() if isinstance(module, nn.Conv2d)]


def _without_dilation(cfg, scope, strides):
    """The strides of the maps if the backbone kept to the strides and dilations of its class."""
    try:
        plain = {key: value for key, value in cfg.items() if key not in DILATING}
        found = _strides(_maps(plain, scope)[1])
    except UserError:  # they belong to a number of stages of the config's own
        return strides
    return found if len(found) == len(strides) else strides


def _maps(cfg, scope):
    """A backbone, and what it makes of an empty picture.

    Raises:
        UserError: If it cannot be built or run, or hands out anything but maps.
    """
    if isinstance(cfg.get('norm_cfg'), dict):
        cfg['norm_cfg'].pop('eps', None)  # newer versions of torch refuse the 0 of some configs
    name = type_name(cfg['type'])
    require(scope)
    try:
        network, maps = _run(cfg, scope, 'meta')
    except Exception:
        # Some are built from numbers, which the meta device has none of; what is wrong with the
        # config ends the second try too.
        try:
            network, maps = _run(cfg, scope, 'cpu')
        except Exception as error:  # anyone's backbone may end with anything
            raise UserError(
                f'the backbone {name} of the config cannot be run, so what it hands out is not '
                f'known: {first_line(error)}'
            ) from error
    if not maps or not all(isinstance(x, torch.Tensor) and x.dim() == 4 for x in maps):
        raise UserError(
            f'the backbone {name} of the config hands out no maps (N, C, H, W): what reads them '
            'cannot read those of another backbone'
        )
    return network, maps


def _run(cfg, scope, device):
    with torch.device(device), DefaultScope.overwrite_default_scope(scope), torch.no_grad():
        network = MODELS.build(deepcopy(cfg))
        network.eval()
        maps = network(torch.zeros(1, cfg.get('in_channels', 3), SIDE, SIDE))
    return network, [maps] if isinstance(maps, torch.Tensor) else list(maps)
