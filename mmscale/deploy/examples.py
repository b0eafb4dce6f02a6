"""Inputs that a model is run on: small random ones, or the user's."""

from collections.abc import Callable, Mapping, MutableMapping
from copy import deepcopy
from typing import Any

import torch
from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement
from torch import nn

from mmscale.errors import UserError
from mmscale.models.backbones.base import Backbone

Call = Callable[[nn.Module], Any]
SIDES = (64, 224)  # px; some networks take 224 alone
VOLUME = (16, 32, 32)
PROPOSALS = 8  # of an image, for heads that take a thousand otherwise
MODES = ('tensor', 'predict')


def call_with(example: Any) -> Call:
    """The call of a model with an example: a tensor, a tuple or list of arguments, or a dict."""

    def call(model):
        given = deepcopy(example)
        if isinstance(given, Mapping):
            return _seeded(model, **given)
        if isinstance(given, (tuple, list)):
            return _seeded(model, *given)
        return _seeded(model, given)

    return call


def small_passes(model: nn.Module) -> list[list[Call]]:
    """Calls of a model with small random inputs.

    A model of mmengine's, a detector or classifier say, runs in the modes 'tensor' and 'predict'.
    Others get rows, a signal or an image, as their first layer takes it.

    Args:
        model: A copy for this use: a detector is told to propose a few boxes only.

    Returns:
        list[list[Call]]: Of each list the first call that the model can make is enough.
    """
    generator = torch.Generator().manual_seed(0)
    tensor = next(model.parameters(), torch.zeros(1))

    def random(*shape):
        return torch.rand(*shape, generator=generator).to(tensor)

    channels, rest = _first_layer(model)
    told = [m.in_channels for m in model.modules() if isinstance(m, Backbone)]
    tried = dict.fromkeys((3, *told, channels))
    images = [random(1, c, side, side) for c in tried for side in SIDES]
    if isinstance(model, BaseModel):
        _limit_proposals(model)
        return [[call for x in images for call in _calls(x, mode)] for mode in MODES]
    if rest is not None:
        return [[call_with(random(2, channels, *rest))]]
    return [[call_with(image) for image in images]]


def _limit_proposals(model):
    """Heads on 1000 proposals take their time, and show no more than on a few."""
    for module in model.modules():
        options = getattr(module, 'test_cfg', None)
        if isinstance(options, MutableMapping) and 'max_per_img' in options:
            options['max_per_img'] = min(PROPOSALS, options['max_per_img'])


def _calls(image, mode):
    """The call of a detector, which is told the image's size, and that of a classifier."""
    samples = [_sample(image.shape[-1])]
    return [
        call_with(dict(inputs=image, data_samples=samples, mode=mode)),
        call_with(dict(inputs=image, mode=mode)),
    ]


def _first_layer(model):
    """Channels and, if the first layer is not one for images, the other sides of its input."""
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            return layer.in_channels, None
        if isinstance(layer, nn.Conv1d):
            return layer.in_channels, SIDES[:1]
        if isinstance(layer, nn.Conv3d):
            return layer.in_channels, VOLUME
        if isinstance(layer, nn.Linear) and layer.in_features > 1:  # SAN's generators take 1
            return layer.in_features, ()
    return 3, None


def _sample(side):
    shape = (side, side)
    return BaseDataElement(
        metainfo=dict(
            ori_shape=shape,
            img_shape=shape,
            pad_shape=shape,
            batch_input_shape=shape,
            scale_factor=(1.0, 1.0),
        )
    )


@torch.no_grad()
def _seeded(model, *args, **kwargs):
    """The model's outputs, whose random numbers, if any, are the same every time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return model(*args, **kwargs)


def check_same(expected: Any, outputs: Any) -> None:
    """Compare what the plain and the fused model gave.

    Raises:
        UserError: If they differ by more than rounding: half of a number's digits, relative to the
            largest value of its tensor; or if there is nothing to compare.
    """
    theirs, ours = _tensors(expected), _tensors(outputs)
    if not theirs:
        raise UserError('example: the model gave no tensors that could be compared')
    if [x.shape for x in ours] != [x.shape for x in theirs]:
        raise UserError(
            f'the fused model gives {[tuple(x.shape) for x in ours][:4]} for the example, the '
            f'plain one {[tuple(x.shape) for x in theirs][:4]}: {REMEDY}'
        )
    for our, their in zip(ours, theirs):
        if not their.is_floating_point():
            same = torch.equal(our, their)
        else:
            largest = their[their.isfinite()].abs().max() if their.isfinite().any() else 0
            tolerance = torch.finfo(their.dtype).eps ** 0.5 * float(largest)
            same = torch.allclose(our, their, rtol=0, atol=tolerance, equal_nan=True)
        if not same:
            raise UserError(
                f'the fused model gives other numbers for the example, {tuple(their.shape)}: '
                f'{REMEDY}'
            )


REMEDY = (
    'if these are detections, give the inputs of mode="tensor"; else leave the module that differs '
    'out of fuse, and report it'
)


def _tensors(value):
    """All tensors of a nested result, those of data samples included."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, BaseDataElement):
        value = dict(value.items())
    if isinstance(value, Mapping):
        value = list(value.values())
    return [t for x in value for t in _tensors(x)] if isinstance(value, (list, tuple)) else []
