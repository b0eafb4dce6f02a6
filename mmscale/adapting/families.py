"""What the adapter has to know of this package's backbones: arguments that a model needs."""

from collections.abc import Mapping
from inspect import signature
from typing import Any

from mmscale.errors import UserError
from mmscale.families import feature_channels
from mmscale.registry import MODELS

SAN_RESOLUTION = 224


def complete(
    name: str, arguments: Mapping[str, Any], *, detector: bool = True
) -> tuple[dict[str, Any], dict[str, str]]:
    """A backbone's arguments with those that a model needs, and why it does.

    Args:
        name (str): Of the backbone.
        arguments (dict): As the user gave them; `init_cfg` may be a checkpoint's name.
        detector (bool): The model is one.

    Raises:
        UserError: If the backbone has no such argument, or it does not fit.
    """
    cls = MODELS.get(name)
    known = signature(cls).parameters
    if 'out_indices' in arguments:
        raise UserError('out_indices cannot be chosen: they follow from what the model reads')
    if 'type' in arguments:
        raise UserError(f'type={arguments["type"]!r} is no argument: the type is {name}')
    arguments, why = dict(arguments), {}
    if isinstance(arguments.get('init_cfg'), str):
        arguments['init_cfg'] = dict(type='Pretrained', checkpoint=arguments['init_cfg'])
    if 'width_mult' in known:
        arguments.setdefault('width_mult', 1.0)
    elif 'depth' in known and 'structure' not in arguments:
        arguments.setdefault('depth', 50)
    if 'resolutions' in known:
        arguments.setdefault('resolutions', (SAN_RESOLUTION,))
        if not isinstance(arguments['resolutions'], (list, tuple)):
            given = arguments['resolutions']
            raise UserError(f'resolutions={given!r} must be several, or ({given},)')
    # Checks names and values without building anything.
    feature_channels(name, **arguments)
    if 'resolutions' in known:
        arguments.setdefault('resolution', max(arguments['resolutions']))
        why['resolution'] = 'all pictures get the weights and norms of this resolution'
        if detector:
            why['resolution'] = (
                "a detector's pictures are larger than anything SAN is trained at: they all get "
                'the weights and norms of this resolution'
            )
    return arguments, why


def count_indices(name: str, arguments: Mapping[str, Any]) -> int:
    """How many maps a backbone can hand out."""
    for count in (5, 4):
        try:
            feature_channels(name, **{**arguments, 'out_indices': (count - 1,)})
        except UserError:
            continue
        return count
    raise AssertionError(f'{name} has neither 4 nor 5 indices')
