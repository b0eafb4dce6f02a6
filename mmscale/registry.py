"""Where mmengine looks for ``type='mmscale.X'`` and ``mmscale::folder/config``.

Every model is registered once, in mmengine's root registry, from where mmdet's, mmpretrain's and
this package's registries all find it. mmengine imports this file by itself when it meets the scope
``mmscale``.
"""

from importlib import import_module

from mmengine.config import utils as config_utils
from mmengine.registry import HOOKS as ROOT_HOOKS
from mmengine.registry import METRICS as ROOT_METRICS
from mmengine.registry import MODELS as ROOT
from mmengine.registry import TRANSFORMS as ROOT_TRANSFORMS
from mmengine.registry import Registry

SCOPE = 'mmscale'
BACKBONES = ('ReXNet', 'ReXNetLite', 'ScaleNet', 'SANResNet', 'SANMobileNetV2')

# Lets mmengine resolve configs written as mmscale::folder/name.
config_utils.MODULE2PACKAGE.setdefault(SCOPE, SCOPE)

MODELS = Registry(
    'model', parent=ROOT, scope=SCOPE, locations=['mmscale.models', 'mmscale.export.models']
)
HOOKS = Registry('hook', parent=ROOT_HOOKS, scope=SCOPE, locations=['mmscale.hooks'])
TRANSFORMS = Registry(
    'transform', parent=ROOT_TRANSFORMS, scope=SCOPE, locations=['mmscale.datasets.loading']
)
METRICS = Registry('metric', parent=ROOT_METRICS, scope=SCOPE, locations=['mmscale.registry'])


def type_name(kind):
    """The bare name of a config's type, which may be a class or have a scope."""
    return kind.rpartition('.')[2] if isinstance(kind, str) else kind.__name__


def models():
    """The module of all models, imported when first asked for (mmengine.model takes a second)."""
    return import_module('mmscale.models')


def backbone_class(cfg):
    """The class of a config's backbone; `object` if it is none of this package's."""
    name = type_name(cfg.model.get('backbone', {}).get('type', ''))
    return getattr(models(), name) if name in BACKBONES else object


def _deferred(name, module='mmscale.models'):
    """A stand-in that imports the class when it is built: not everyone has what it imports."""

    def build(**kwargs):
        return getattr(import_module(module), name)(**kwargs)

    build.__name__ = name
    return build


for _name in BACKBONES:
    if _name not in ROOT.module_dict:
        ROOT.register_module(name=_name, module=_deferred(_name))

METRICS.register_module(name='WorstClasses', module=_deferred('WorstClasses', 'mmscale.evaluation'))
METRICS.register_module(
    name='FasterCocoMetric', module=_deferred('FasterCocoMetric', 'mmscale.coco_metric')
)
