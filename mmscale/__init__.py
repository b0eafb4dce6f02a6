"""mmscale: ReXNet, ScaleNet and SAN backbones for OpenMMLab's MMDetection.

Importing registers every model under its bare name (``type='ReXNet'``); with the scope written out
(``type='mmscale.ReXNet'``) no import is needed at all. The models themselves are imported when the
first one is built, so this import costs next to nothing.
"""

from importlib import import_module
from typing import Any

from mmscale.utils.environment import check_family

check_family()

# What imports mmengine comes after the environment was checked.
from mmscale.operators import finder  # noqa: E402
from mmscale.utils import lazy_configs, multimodal  # noqa: E402

finder.install()
lazy_configs.install()
multimodal.install()

from mmscale import registry  # noqa: E402
from mmscale.errors import UserError  # noqa: E402
from mmscale.families import BACKBONES, feature_channels  # noqa: E402
from mmscale.version import __version__  # noqa: E402

__all__ = [
    'UserError',
    '__version__',
    'adapt',
    'create',
    'feature_channels',
    'list_backbones',
    'load',
    'registry',
]

# What takes seconds to import, and the module that has it.
LATER = {
    **dict.fromkeys(BACKBONES, 'mmscale.models'),
    'adapt': 'mmscale.adapting',
    'create': 'mmscale.models.creating',
    'list_backbones': 'mmscale.models.creating',
    'load': 'mmscale.inference.predictor',
}


def __getattr__(name: str) -> Any:
    """Imports what is asked for."""
    if name not in LATER:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(import_module(LATER[name]), name)


def __dir__() -> list[str]:
    """Names what is imported later too."""
    return sorted({*globals(), *LATER})
