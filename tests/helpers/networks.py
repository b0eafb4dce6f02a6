"""Networks as after training, whose outputs tell every mistake, and states to compare."""

import pytest
import torch
from torch.nn.modules.batchnorm import _BatchNorm

# Values of the argument that recomputes activations.
WITH_CP = [
    True,
    pytest.param(
        'cheap',
        marks=pytest.mark.skipif(
            not hasattr(torch.utils.checkpoint, 'create_selective_checkpoint_contexts'),
            reason='torch is older than 2.4',
        ),
    ),
]


def randomise_norms(model, seed=0, signed=False):
    """Give the norms factors and running statistics as after training, and return the model.

    With `signed`, factors are of either sign and differ more.
    """
    generator = torch.Generator().manual_seed(seed)
    for norm in model.modules():
        if isinstance(norm, _BatchNorm):
            if norm.affine and signed:
                norm.weight.data.normal_(0, 1, generator=generator)
                norm.bias.data.normal_(0, 1, generator=generator)
            elif norm.affine:
                norm.weight.data.uniform_(0.5, 1.5, generator=generator)
                norm.bias.data.normal_(0, 0.2, generator=generator)
            if norm.running_mean is not None:
                norm.running_mean.normal_(0, 0.5 if signed else 0.2, generator=generator)
                norm.running_var.uniform_(0.5, 2, generator=generator)
    return model


def small_generators(model):
    """Make SAN's generators as small as trained ones, which keeps maps finite; return the model."""
    for name, parameter in model.named_parameters():
        if '.generator.' in name:
            parameter.data *= 0.02
    return model


def copy_of_state(model):
    """A model's state that later changes leave alone."""
    return {key: value.clone() for key, value in model.state_dict().items()}
