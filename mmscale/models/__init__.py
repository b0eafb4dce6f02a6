"""The models. Importing this registers the backbones' classes in mmengine's root registry."""

from mmscale.families import BACKBONES as NAMES
from mmscale.models.backbones import ReXNet, ReXNetLite, SANMobileNetV2, SANResNet, ScaleNet
from mmscale.registry import ROOT

__all__ = ['BACKBONES', 'ReXNet', 'ReXNetLite', 'SANMobileNetV2', 'SANResNet', 'ScaleNet']

BACKBONES = tuple(globals()[name] for name in NAMES)

for _backbone in BACKBONES:
    ROOT.register_module(name=_backbone.__name__, module=_backbone, force=True)
