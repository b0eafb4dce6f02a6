"""mmscale: ReXNet, ScaleNet and SAN backbones for OpenMMLab's MMDetection.

Importing registers every model under its bare name (``type='ReXNet'``); with the scope written out
(``type='mmscale.ReXNet'``) no import is needed at all. The models themselves are imported when the
first one is built, so this import costs next to nothing.
"""

from inspect import signature

from mmscale.environment import check_family

check_family()

from mmscale import registry  # noqa: E402  (after the environment was checked)
from mmscale.errors import UserError  # noqa: E402
from mmscale.version import __version__  # noqa: E402

__all__ = ['__version__', 'feature_channels', 'registry']


def feature_channels(type, **kwargs):
    """Channels of a backbone's outputs, without building it.

    Args:
        type (str): A backbone's name: ``'ReXNet'``, or with the scope, ``'mmscale.ReXNet'``.
        **kwargs: The backbone's own arguments. Those the channels do not depend on are accepted,
            so that a whole ``model.backbone`` dict can be handed over.

    Returns:
        tuple[int]: One number for each of ``out_indices`` (default 0 to 3: strides 4, 8, 16, 32).

    Raises:
        ValueError: If there is no such backbone or variant, or the backbone has no such argument.

    Example:
        >>> import mmscale
        >>> mmscale.feature_channels('ReXNet', width_mult=1.3)
        (50, 79, 167, 240)
    """
    name = str(type).removeprefix(f'{registry.SCOPE}.')
    if name not in registry.BACKBONES:
        raise UserError(f'backbone {type!r} is unknown; choose from {list(registry.BACKBONES)}')
    backbone = getattr(registry.models(), name)
    known = list(signature(backbone).parameters)
    # mmengine adds keys of its own to a config's dicts, such as _scope_.
    unknown = [key for key in kwargs if key not in known and not key.startswith('_')]
    if unknown:
        raise UserError(f'{name} has no argument {unknown[0]!r}; it takes {known}')
    return backbone.feature_channels(**kwargs)
