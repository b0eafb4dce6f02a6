from mmscale.models.backbones.rexnet import ReXNet, ReXNetLite
from mmscale.models.backbones.san import SANMobileNetV2, SANResNet
from mmscale.models.backbones.scalenet import ScaleNet

__all__ = ['ReXNet', 'ReXNetLite', 'SANMobileNetV2', 'SANResNet', 'ScaleNet']
