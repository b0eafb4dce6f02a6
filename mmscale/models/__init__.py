"""The models. Importing this registers the backbones' classes in mmengine's root registry, and the
names of what needs mmdet or mmpretrain, which are imported when one is built.
"""

from mmscale.families import BACKBONES as NAMES
from mmscale.models.backbones import ReXNet, ReXNetLite, SANMobileNetV2, SANResNet, ScaleNet
from mmscale.registry import MODELS, ROOT, stand_in

__all__ = ['BACKBONES', 'ReXNet', 'ReXNetLite', 'SANMobileNetV2', 'SANResNet', 'ScaleNet']

BACKBONES = tuple(globals()[name] for name in NAMES)

for _backbone in BACKBONES:
    ROOT.register_module(name=_backbone.__name__, module=_backbone, force=True)

# Derived from classes of other packages, which not everyone has.
DERIVED = {
    'DropoutLinearClsHead': 'mmscale.models.classifiers',
    'ImageClassifier': 'mmscale.models.classifiers',
    'SANClassifier': 'mmscale.models.classifiers',
    'SSDHead': 'mmscale.models.heads',
}
for _name, _module in DERIVED.items():
    MODELS.register_module(name=_name, module=stand_in(_name, _module))
