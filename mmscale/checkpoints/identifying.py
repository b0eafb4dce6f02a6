"""Which network a state dict is, by names and shapes alone."""

import torch

from mmscale.checkpoints.tensors import is_own, without
from mmscale.models import BACKBONES
from mmscale.models.backbones.base import Variant


def identify(state_dict: dict[str, torch.Tensor]) -> Variant | None:
    """Which published network a state dict is, by names and shapes alone.

    Args:
        state_dict (dict[str, Tensor]): As :func:`mmscale.checkpoints.weights` returns it.

    Returns:
        Variant | None: See :class:`mmscale.models.backbones.base.Variant`.
    """
    backbone = without('backbone.', state_dict) or state_dict
    found = {name: value.shape for name, value in backbone.items()}
    best, likeness = None, 0.5
    for family in BACKBONES:
        for variant in family.variants():
            with torch.device('meta'):
                reference = variant.build().state_dict()
            shared = [name for name in reference if name in found]
            # Smaller networks of a family are parts of larger ones: names count both ways.
            alike = len(shared) / len(reference.keys() | found.keys())
            if alike > likeness and all(found[n] == reference[n].shape for n in shared):
                best, likeness = variant, alike
    return best


# Other programs' networks, by names that only they have.
_FOREIGN = (
    ('conv_stem.weight', 'an EfficientNet or MobileNetV3 of timm'),
    ('patch_embed.proj.weight', 'a vision transformer'),
    ('features.0.0.weight', 'a MobileNet, EfficientNet or ConvNeXt of torchvision'),
    ('stem.0.weight', 'a ConvNeXt of timm'),
)


def describe(state_dict: dict[str, torch.Tensor]) -> str | None:
    """What a state dict looks like, for a message; None if nothing in it is known."""
    variant = identify(state_dict)
    if variant:
        return variant.label
    backbone = without('backbone.', state_dict) or state_dict
    if is_own(backbone):
        stem = next(v for k, v in backbone.items() if k.startswith('stem.conv.')).shape[0]
        branches = [name for name in backbone if name.startswith('stages.0.0.aggregate.branches.')]
        if branches:
            neurons = [len(backbone[name]) for name in branches if name.endswith('conv.weight')]
            return f'a ScaleNet of no published structure or width, whose first row is {neurons}'
        if any('.norms.' in name for name in backbone):
            return 'a SAN of another number of resolutions or another depth'
        return f'a ReXNet of no published width or depth, whose stem has {stem} channels'
    for names in (state_dict, backbone):
        if 'layer1.0.conv1.weight' in names:
            return _resnet(names)
        for marker, name in _FOREIGN:
            if marker in names:
                return name
    return None


def _resnet(names):
    blocks = [len({k.split('.')[1] for k in names if k.startswith(f'layer{i}.')}) for i in '1234']
    third = 'layer1.0.conv3.weight' in names
    depth = sum(blocks) * (3 if third else 2) + 2
    return f'a ResNet-{depth} or a relative of it'
