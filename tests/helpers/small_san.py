"""A small SAN for the crops of the shapes set, made out of the one for ImageNet."""

import torch
from networks import small_generators

from mmscale.engine.config import load_config
from mmscale.models.backbones.san import ResolutionNorm

SAN = 'san-resnet-18_in1k'
SIZES = [64, 48]


def build(options):
    """The classifier of the config with these overrides."""
    from mmpretrain import get_model

    torch.manual_seed(0)
    return small_generators(get_model(load_config(SAN, options)))


def arguments(options):
    """The overrides as arguments of a tool."""
    return ['--cfg-options', *(f'{k}={v}'.replace(' ', '') for k, v in options.items())]


def norms(model, number):
    """The states of all norms of one of the resolutions, by name."""
    return {
        name: module.norms[number].state_dict()
        for name, module in model.named_modules()
        if isinstance(module, ResolutionNorm)
    }
