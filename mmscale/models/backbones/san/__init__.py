"""SAN: ResNets and MobileNetV2 whose weights are generated from the input's resolution.

Paper: Learning to Learn Parameterized Classification Networks for Scalable Input Images, ECCV 2020
(https://arxiv.org/abs/2007.06181). Authors' code: https://github.com/d-li14/SAN . Written from
the paper and the published network's facts. In detectors it is this project's extension: the
authors published no result.
"""

from mmscale.models.backbones.san.base import (
    ENCODING_BASE,
    INFERENCE,
    RESOLUTIONS,
    SAN,
    WAYS,
    Way,
    check_resolution,
    resized,
)
from mmscale.models.backbones.san.generated import (
    AtScale,
    GeneratedConv2d,
    GeneratedConvNorm,
    ResolutionNorm,
    Scale,
)
from mmscale.models.backbones.san.mobilenet import InvertedResidual, SANMobileNetV2
from mmscale.models.backbones.san.resnet import ResidualBlock, ResNetStem, SANResNet

__all__ = [
    'ENCODING_BASE',
    'INFERENCE',
    'RESOLUTIONS',
    'SAN',
    'WAYS',
    'AtScale',
    'GeneratedConv2d',
    'GeneratedConvNorm',
    'InvertedResidual',
    'ResNetStem',
    'ResidualBlock',
    'ResolutionNorm',
    'SANMobileNetV2',
    'SANResNet',
    'Scale',
    'Way',
    'check_resolution',
    'resized',
]
