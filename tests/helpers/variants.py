"""Every variant of every backbone, with what it is known to return, and how tests build it."""

import pytest
import torch
from mmengine.registry import MODELS
from networks import small_generators

from mmscale.models import BACKBONES

RESNET_CHANNELS = (256, 512, 1024, 2048)
# Arguments and channels at strides 4, 8, 16, 32.
VARIANTS = {
    'rexnet-060': (dict(type='ReXNet', width_mult=0.6), (30, 43, 84, 117)),
    'rexnet-090': (dict(type='ReXNet', width_mult=0.9), (36, 56, 117, 168)),
    'rexnet-100': (dict(type='ReXNet', width_mult=1.0), (38, 61, 128, 185)),
    'rexnet-130': (dict(type='ReXNet', width_mult=1.3), (50, 79, 167, 240)),
    'rexnet-150': (dict(type='ReXNet', width_mult=1.5), (58, 92, 193, 277)),
    'rexnet-200': (dict(type='ReXNet', width_mult=2.0), (77, 122, 257, 370)),
    'rexnet-220': (dict(type='ReXNet', width_mult=2.2), (85, 134, 283, 406)),
    'rexnet-300': (dict(type='ReXNet', width_mult=3.0), (116, 183, 386, 554)),
    'rexnet-lite-100': (dict(type='ReXNetLite', width_mult=1.0), (40, 64, 128, 184)),
    'rexnet-lite-130': (dict(type='ReXNetLite', width_mult=1.3), (48, 80, 160, 232)),
    'rexnet-lite-150': (dict(type='ReXNetLite', width_mult=1.5), (56, 88, 192, 272)),
    'rexnet-lite-200': (dict(type='ReXNetLite', width_mult=2.0), (80, 120, 248, 360)),
    'scalenet-50-light': (dict(type='ScaleNet', structure='scalenet50_light'), RESNET_CHANNELS),
    'scalenet-50': (dict(type='ScaleNet', depth=50), RESNET_CHANNELS),
    'scalenet-101': (dict(type='ScaleNet', depth=101), RESNET_CHANNELS),
    'scalenet-152': (dict(type='ScaleNet', depth=152), RESNET_CHANNELS),
    'san-resnet-18': (dict(type='SANResNet', depth=18, resolutions=(64,)), (64, 128, 256, 512)),
    'san-resnext-50': (
        dict(type='SANResNet', depth=50, resolutions=(64,), groups=32, base_width=4),
        RESNET_CHANNELS,
    ),
    'san-mobilenet-v2': (dict(type='SANMobileNetV2', resolutions=(64,)), (24, 32, 96, 320)),
}
# Of each family the smallest, for what does not depend on the variant.
REXNET, LITE = VARIANTS['rexnet-060'][0], VARIANTS['rexnet-lite-100'][0]
SCALENET = dict(type='ScaleNet', depth=(1, 1, 1, 2), structure=[[9, 4, 3, 2]] * 5)
SAN, SAN_MOBILE = VARIANTS['san-resnet-18'][0], VARIANTS['san-mobilenet-v2'][0]
FAMILIES = {
    'ReXNet': REXNET,
    'ReXNetLite': LITE,
    'ScaleNet': SCALENET,
    'SANResNet': SAN,
    'SANMobileNetV2': SAN_MOBILE,
}

MEASURED = tuple(FAMILIES)  # whose memory is known

# A family that has no row here is taken by its own word.
for _backbone in BACKBONES:
    if _backbone.__name__ not in FAMILIES:
        for _variant in _backbone.variants():
            _cfg = dict(type=_backbone.__name__, **_variant.arguments)
            VARIANTS[_variant.config] = (_cfg, _backbone.feature_channels(**_variant.arguments))
            FAMILIES.setdefault(_backbone.__name__, _cfg)

each_variant = pytest.mark.parametrize('variant', VARIANTS)
each_family = pytest.mark.parametrize('cfg', FAMILIES.values(), ids=FAMILIES)
rexnets = pytest.mark.parametrize('cfg', [REXNET, LITE], ids=['ReXNet', 'ReXNetLite'])


def scoped(cfg):
    """A backbone's config as it stands in a detector's."""
    return {**cfg, 'type': f'mmscale.{cfg["type"]}'}


def build(cfg, **changes):
    """A backbone, the same each time."""
    torch.manual_seed(0)
    return small_generators(MODELS.build(scoped({**cfg, **changes})))


def images(*shape, seed=0):
    """Random numbers, the same each time."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
