"""The models. Importing this registers their classes in mmengine's root registry."""

from mmscale.models import backbones
from mmscale.models.backbones import ReXNet, ReXNetLite, SANMobileNetV2, SANResNet, ScaleNet
from mmscale.registry import BACKBONES as NAMES
from mmscale.registry import ROOT

__all__ = ['BACKBONES', 'ReXNet', 'ReXNetLite', 'SANMobileNetV2', 'SANResNet', 'ScaleNet']

BACKBONES = tuple(getattr(backbones, name) for name in NAMES)

for _backbone in BACKBONES:
    ROOT.register_module(name=_backbone.__name__, module=_backbone, force=True)
