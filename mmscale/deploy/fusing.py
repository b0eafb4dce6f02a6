"""The function that makes an inference copy of a model, from the pieces of this package."""

from copy import deepcopy
from typing import Any

import torch
from mmengine.model import is_model_wrapper
from torch import nn

# The forms of this package's blocks are registered by these imports.
from mmscale.deploy import san, scalenet, tiling  # noqa: F401
from mmscale.deploy.blocks import FORMS
from mmscale.deploy.channels_last import to_channels_last
from mmscale.deploy.examples import call_with, check_same
from mmscale.deploy.folding import fold_norms, hooked
from mmscale.deploy.native import (
    NativeBottleneck,
    can_be_native,
    library,
    to_native_block,
    to_winograd,
    use_plain_norms,
)
from mmscale.errors import UserError
from mmscale.models.backbones.rexnet import LinearBottleneck
from mmscale.models.roi_align import RowRoIAlign


def fuse(model: nn.Module, *, example: Any = None, native: bool = False) -> nn.Module:
    """An equivalent, faster copy of a model for inference.

    Norms with running statistics become part of the convolution or linear layer before them, in
    this package's backbones and in anyone's modules. Two things have to show that this is exact: a
    trace of the module that calls them, and a small forward pass of the whole model, in which
    nothing else uses their weights or the layer's output (see :mod:`mmscale.deploy.folding`). In
    ScaleNet's SA blocks they go into the convolution before the resize, whose weights sum to one. A
    SAN gets its weights generated once for each resolution that it meets. ReXNet's blocks go over
    large maps in tiles that stay in a CPU's cache, and mmcv's RoIAlign gives way to one that uses
    all cores there. Memory is channels-last. What cannot be folded exactly (other norms, norms of
    batch statistics, layers with hooks, deformable convolutions) stays as it is. Hooks are called
    in the watched pass too. Blocks of one's own can say how they are fused:
    :mod:`mmscale.deploy.blocks`.

    Args:
        model: A backbone, classifier or detector, in any mode; it stays as it is.
        example: What the model is called with in inference: a tensor, a tuple of arguments, or a
            dict of them by name. It is run instead of small random images, and the outputs of the
            two models are compared. Needed for models that do not take an image alone, and for
            those that use their layers differently for other inputs.
        native: Have ReXNet's and ScaleNet's blocks, and any model's 3x3 convolutions of stride 1,
            computed on a CPU by C++ of this package, which a compiler of the machine builds the
            first time, in seconds (see :mod:`mmscale.deploy.native`): in float32, where nothing
            traces, compiles or exports. The outputs differ by about 1e-6 of the largest.

    Returns:
        nn.Module: The copy, in eval mode and without gradients, on the same device and with the
        same dtype; for torch.compile and the exporters too.

    Raises:
        UserError: If `model` is not a module, the copy's outputs differ for the example, or
            `native` is given and there is no C++ compiler.

    Example:
        >>> import torch
        >>> from mmscale.deploy import fuse
        >>> from mmscale.models import ReXNet
        >>> model = ReXNet(width_mult=1.0).eval()
        >>> x = torch.rand(1, 3, 64, 64)
        >>> fused = fuse(model, example=x)
        >>> all(torch.allclose(a, b, atol=1e-5) for a, b in zip(fused(x), model(x)))
        True
    """
    if not isinstance(model, nn.Module):
        raise UserError(f'{type(model).__name__} cannot be fused: give a torch.nn.Module, built')
    if native:
        library()
    fused: Any = model.module if is_model_wrapper(model) else model
    call = None if example is None else call_with(example)
    with torch.no_grad():
        fused = _inference_copy(fused)
        expected = call(deepcopy(fused)) if call else None
        watch = fold_norms(fused, call)
        if watch is not None:
            fused = _with_forms(fused, watch, FORMS | NATIVE if native else FORMS)
        use_row_roi_aligns(fused)
        if native:
            _use_native(fused)
        fused = to_channels_last(fused)
        if call:
            check_same(expected, call(fused))
    return fused


def _inference_copy(model):
    model = deepcopy(model)
    use_plain_norms(model)
    model.eval()  # mmdet's return None
    model.requires_grad_(False)
    for module in model.modules():
        if getattr(module, 'with_cp', False):
            module.with_cp = False
    for parameter in model.parameters():
        parameter.grad = None
    return model


def _native(block):
    """The form of a ReXNet block with `native`."""
    if not can_be_native(block):
        return FORMS[LinearBottleneck](block)
    return NativeBottleneck(block).eval()


NATIVE = {LinearBottleneck: _native}


def _use_native(model):
    of_blocks = {m for m in model.modules() if isinstance(m, NativeBottleneck)}
    inside = {inner for block in of_blocks for inner in block.modules()}
    for module in model.modules():
        if module not in inside and not hooked(module):
            to_winograd(module)
    for module in model.modules():
        if not hooked(*module.modules()):
            to_native_block(module)


def _with_forms(model, watch, of_class):
    """The model with the inference forms of the blocks that have one."""
    forms = {}
    for name, block in model.named_modules():
        if type(block) not in of_class or hooked(*block.modules()):
            continue
        inner = [inside for inside, _ in block.named_modules(prefix=name)]
        if watch.only_within(name, inner):
            forms[block] = of_class[type(block)](block)
    for module in list(model.modules()):
        for name, child in module._modules.items():
            if child in forms:
                setattr(module, name, forms[child])
    return forms.get(model, model)


def use_row_roi_aligns(model: nn.Module) -> int:
    """Have a model's mmcv RoIAligns computed on all cores of a CPU, with gradients too.

    Args:
        model: It is changed in place. Layers with hooks stay as they are.

    Returns:
        int: How many were replaced.
    """
    replaced = 0
    for module in list(model.modules()):
        for name, child in module.named_children():
            kind = type(child)  # by name: an mmcv without operators has no such class
            if f'{kind.__module__}.{kind.__name__}' != 'mmcv.ops.roi_align.RoIAlign':
                continue
            usual = child.pool_mode == 'avg' and not child.use_torchvision
            if usual and not isinstance(module, RowRoIAlign) and not hooked(child):
                setattr(module, name, RowRoIAlign(child).train(child.training))
                replaced += 1
    return replaced
