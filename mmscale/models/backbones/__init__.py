from mmscale.models.backbones.rexnet import ReXNet, ReXNetLite
from mmscale.models.backbones.scalenet import ScaleNet

__all__ = ['ReXNet', 'ReXNetLite', 'ScaleNet']
