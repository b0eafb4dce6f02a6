"""Where mmengine looks for ``type='mmscale.X'`` and ``mmscale::folder/config``.

mmengine imports this file by itself when it meets the scope ``mmscale``. Each registry is a child
of mmengine's root registry and names the modules that hold its classes (`locations`), which are
imported when the first one is asked for.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from mmengine import registry as roots
from mmengine.config import utils as config_utils
from mmengine.registry import Registry

SCOPE = 'mmscale'

# Lets mmengine resolve configs written as mmscale::folder/name.
config_utils.MODULE2PACKAGE.setdefault(SCOPE, SCOPE)
# And those of mmseg, by the module: a distribution called mmsegmentation is upstream's alone.
config_utils.MODULE2PACKAGE['mmseg'] = 'mmseg'

ROOT = roots.MODELS
MODELS = Registry(
    'model',
    parent=ROOT,
    scope=SCOPE,
    # The checkpoints' module teaches mmengine the schemes mmscale: and timm://.
    locations=['mmscale.models', 'mmscale.checkpoints', 'mmscale.exported.models'],
)
WEIGHT_INITIALIZERS = Registry(
    'weight initializer',
    parent=roots.WEIGHT_INITIALIZERS,
    scope=SCOPE,
    locations=['mmscale.checkpoints'],
)
HOOKS = Registry(
    'hook',
    parent=roots.HOOKS,
    scope=SCOPE,
    locations=[
        'mmscale.engine.hooks',
        'mmscale.engine.validation',
        'mmscale.engine.saving',
        'mmscale.resolutions.hook',
        'mmscale.allocation.hook',
    ],
)
LOOPS = Registry('loop', parent=roots.LOOPS, scope=SCOPE, locations=['mmscale.engine.loops'])
TRANSFORMS = Registry(
    'transform', parent=roots.TRANSFORMS, scope=SCOPE, locations=['mmscale.datasets.loading']
)
METRICS = Registry('metric', parent=roots.METRICS, scope=SCOPE, locations=['mmscale.evaluation'])


def type_name(kind: Any) -> str:
    """The bare name of a config's type, which may be a class or have a scope."""
    return kind.rpartition('.')[2] if isinstance(kind, str) else kind.__name__


def stand_in(name: str, module: str) -> Callable[..., Any]:
    """What is registered for a class whose module cannot be imported yet, or not by everyone.

    Args:
        name (str): Of the class.
        module (str): That has it. It is imported when the first object is built.
    """

    def build(**kwargs):
        return getattr(import_module(module), name)(**kwargs)

    build.__name__ = name
    build.stands_for = module, name  # type: ignore[attr-defined]
    return build
