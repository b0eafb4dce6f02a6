"""Backbones by one short name, for plain PyTorch: no config, no registry."""

from fnmatch import fnmatch
from typing import Any

from mmscale.errors import UserError
from mmscale.families import feature_channels
from mmscale.models import BACKBONES
from mmscale.models.backbones.base import Backbone, Variant
from mmscale.utils.logs import warnings_only


def variants() -> dict[str, Variant]:
    """The published networks by their short names, such as ``rexnet_100``."""
    return {variant.name: variant for family in BACKBONES for variant in family.variants()}


def list_backbones(pattern: str = '*', *, pretrained: bool = False) -> list[str]:
    """The names that :func:`create` takes.

    Args:
        pattern (str): Which of them, with ``*`` and ``?`` as in file names.
        pretrained (bool): Only those whose weights are on the hub.

    Example:
        >>> import mmscale
        >>> mmscale.list_backbones('scalenet*')
        ['scalenet_101', 'scalenet_152', 'scalenet_50', 'scalenet_50_light']
    """
    return sorted(
        name
        for name, variant in variants().items()
        if fnmatch(name, pattern) and (variant.weights or not pretrained)
    )


def create(name: str, *, pretrained: bool | str = False, **arguments: Any) -> Backbone:
    """Build a published network as a backbone, with its weights or initialised.

    Args:
        name (str): One of :func:`list_backbones`; a hyphen is as good as an underscore.
        pretrained (bool | str): True takes the weights on the hub; a text is a file, URL or
            ``timm://NAME`` (see ``docs/weights.md``).
        **arguments: The class's own, such as ``out_indices=(1, 2, 3)``, ``output_stride=16``,
            ``in_channels=1``.

    Returns:
        Backbone: In training mode; ``backbone(images)`` is a tuple of maps, which ``feature_info``
        describes.

    Raises:
        UserError: If there is no such network, it has no such argument, its weights are not on the
            hub, or the file is another network's.

    Example:
        >>> import mmscale
        >>> backbone = mmscale.create('rexnet_100', out_indices=(1, 2, 3))
        >>> backbone.feature_info.channels(), backbone.feature_info.reduction()
        ([61, 128, 185], [8, 16, 32])
    """
    known = variants()
    variant = known.get(str(name).replace('-', '_'))
    if variant is None:
        raise UserError(f'backbone {name!r} is unknown; choose from {sorted(known)}')
    fixed = variant.arguments.keys() & arguments.keys()
    if fixed:
        raise UserError(f'{name} fixes {sorted(fixed)[0]}: leave it out, or choose another name')
    feature_channels(variant.backbone.__name__, **variant.arguments, **arguments)  # checks them
    if pretrained == '':
        raise UserError("pretrained='' names no weights; True takes those on the hub")
    if pretrained:
        if 'init_cfg' in arguments:
            raise UserError('give pretrained or init_cfg, not both')
        source = _weights(variant) if pretrained is True else pretrained
        arguments['init_cfg'] = dict(type='Pretrained', checkpoint=source)
    backbone: Backbone = variant.backbone(**variant.arguments, **arguments)
    with warnings_only():
        backbone.init_weights()
    return backbone


def _weights(variant):
    if variant.weights is None:
        raise UserError(
            f'the weights of {variant.label} are not on the hub; give pretrained=FILE, or take '
            f'one of {list_backbones(pretrained=True)}'
        )
    return variant.weights
