"""Weights for RGB images in a backbone for images of other channels."""

from typing import Any

import torch
from mmengine.logging import print_log
from torch import nn

RGB = 3
STEM = 'stem.conv'


def adapted(
    backbone: nn.Module, tensors: dict[str, torch.Tensor], prefix: str = ''
) -> dict[str, torch.Tensor]:
    """A file's tensors with its stem made to fit, where the backbone has other channels.

    For one channel the weights of the three colours are summed: a grey image gives what it gives
    as RGB. For n channels they are repeated, in the file's order, and scaled by 3 / n: the stem's
    outputs keep their size. The stem may be generated (SAN's MobileNetV2); both are linear.

    Args:
        backbone (nn.Module): With any `in_channels`.
        tensors (dict[str, Tensor]): By the model's names.
        prefix (str): What the backbone's names begin with there.

    Returns:
        dict[str, Tensor]: The same, or a copy with another stem.
    """
    channels = getattr(backbone, 'in_channels', RGB)
    if channels == RGB:
        return tensors
    conv: Any = backbone.get_submodule(STEM)
    shape = getattr(conv, 'shape', None) or conv.weight.shape  # of the kernel, generated or not
    result = dict(tensors)
    for name, own in conv.state_dict().items():
        key = f'{prefix}{STEM}.{name}'
        given = tensors.get(key)
        if given is not None and given.numel() * channels == own.numel() * RGB:
            colours = given.reshape(shape[0], RGB, *shape[2:])
            result[key] = _for_channels(colours, channels).reshape(own.shape)
            print_log(f'{key}: {_said(channels)}', logger='current')
    return result


def _for_channels(colours, channels):
    if channels == 1:
        return colours.sum(1)
    return colours[:, [channel % RGB for channel in range(channels)]] * (RGB / channels)


def _said(channels):
    if channels == 1:
        return "the file's weights for red, green and blue are summed for the one channel"
    return f"the file's weights for red, green and blue are repeated for {channels} channels"
