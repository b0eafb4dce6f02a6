"""The backbones by name, without importing them (mmengine.model takes a second)."""

from collections.abc import Mapping
from inspect import signature
from typing import Any

from mmscale.errors import UserError
from mmscale.registry import MODELS, ROOT, SCOPE, stand_in, type_name

BACKBONES = ('ReXNet', 'ReXNetLite', 'ScaleNet', 'SANResNet', 'SANMobileNetV2')

# What pictures the published weights have seen, in RGB: mean and standard deviation.
IMAGENET = ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375])
ZERO_TO_ONE = ([0.0, 0.0, 0.0], [255.0, 255.0, 255.0])

# In mmengine's root registry, from where mmdet's and mmpretrain's find them without the scope too.
for _name in BACKBONES:
    if _name not in ROOT.module_dict:
        ROOT.register_module(name=_name, module=stand_in(_name, 'mmscale.models'))


def is_backbone(cfg: dict) -> bool:
    """Whether a config, `model.backbone` as a rule, is that of a backbone of this package."""
    return type_name(cfg.get('type', '')) in BACKBONES


def backbone_class(cfg: dict) -> Any:
    """The class of a model's backbone; `object` if the backbone comes from another package.

    Args:
        cfg (mmengine.Config): The whole config.
    """
    backbone = cfg.get('model', {}).get('backbone') or {}
    return MODELS.get(type_name(backbone['type'])) if is_backbone(backbone) else object


def backbone_name(kind: Any) -> str:
    """A backbone's name without the scope, of its name or its class.

    Raises:
        UserError: If there is no such backbone.
    """
    name = getattr(kind, '__name__', str(kind)).removeprefix(f'{SCOPE}.')
    if name not in BACKBONES:
        raise UserError(f'backbone {kind!r} is unknown; choose from {list(BACKBONES)}')
    return name


def feature_channels(type: Any, **kwargs: Any) -> tuple[int, ...]:
    """Channels of a backbone's outputs, without building it.

    Args:
        type (str | type): A backbone's name: ``'ReXNet'``, or with the scope,
            ``'mmscale.ReXNet'``; or its class.
        **kwargs: The backbone's own arguments. Those the channels do not depend on are accepted,
            so that a whole ``model.backbone`` dict can be handed over.

    Returns:
        tuple[int]: One number for each of ``out_indices`` (default 0 to 3: strides 4, 8, 16, 32).

    Raises:
        UserError: If there is no such backbone or variant, or the backbone has no such argument.

    Example:
        >>> import mmscale
        >>> mmscale.feature_channels('ReXNet', width_mult=1.3)
        (50, 79, 167, 240)
    """
    name = backbone_name(type)
    backbone = MODELS.get(name)
    known = list(signature(backbone).parameters)
    # mmengine adds keys of its own to a config's dicts, such as _scope_.
    unknown = [key for key in kwargs if key not in known and not key.startswith('_')]
    if unknown:
        raise UserError(f'{name} has no argument {unknown[0]!r}; it takes {known}')
    return backbone.feature_channels(**kwargs)


def published(name: str, arguments: Mapping[str, Any]) -> str | None:
    """The weights on the hub, if there are any for exactly this network."""
    for variant in MODELS.get(name).variants():
        if variant.weights and variant.arguments.items() <= arguments.items():
            return variant.weights
    return None


def pixels(name: str) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of the pictures, in RGB, that a backbone's weights expect."""
    return ZERO_TO_ONE if name.startswith('SAN') else IMAGENET
