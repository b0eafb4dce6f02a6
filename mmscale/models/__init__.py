"""The models. Importing this registers their classes in mmengine's root registry."""

from mmscale.models.backbones import ReXNet, ReXNetLite, ScaleNet
from mmscale.registry import BACKBONES, ROOT

__all__ = ['ReXNet', 'ReXNetLite', 'ScaleNet']

for _name in BACKBONES:
    ROOT.register_module(name=_name, module=globals()[_name], force=True)
