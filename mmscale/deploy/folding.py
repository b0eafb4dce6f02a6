"""Norms with running statistics become part of the layers before them.

Two things have to agree. A trace of a module shows which layers feed a norm and nothing else, for
any input. Small passes of the whole model then show that nothing outside reaches in: the layer and
the norm were called by that module alone, nothing else read their tensors or the layer's output.
What no pass has reached stays as it is.
"""

import gc
import logging
from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from inspect import Parameter, signature
from types import FrameType
from typing import Any, NamedTuple

import torch
from mmcv.cnn.bricks.conv2d_adaptive_padding import Conv2dAdaptivePadding
from mmcv.cnn.bricks.wrappers import Conv2d, Conv3d, Linear
from mmengine.logging import print_log
from mmengine.utils.dl_utils.parrots_wrapper import SyncBatchNorm
from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from mmscale.deploy.blocks import FORMS
from mmscale.deploy.channels_last import make_contiguous
from mmscale.deploy.examples import Call, small_passes
from mmscale.deploy.observing import Watch
from mmscale.errors import UserError

# Exact types: a subclass may do more than its parent (timm's norms hold an activation, mmcv's
# ConvWS2d standardises its weights). mmcv's own are for empty inputs and for TensorFlow's padding.
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm, SyncBatchNorm)
LINEAR = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear, Conv2d, Conv3d, Linear, Conv2dAdaptivePadding)


class Pair(NamedTuple):
    """Names in the model: a module, a layer that it calls, and the norm that this layer feeds."""

    module: str
    layer: str
    norm: str


class FoldedRows(nn.Identity):
    """In the place of a norm behind a linear layer, which was over rows and nothing else."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Take (N, C) as it is.

        Raises:
            UserError: If it is not such a matrix: the norm was over its second dimension.
        """
        if x.dim() != 2:
            raise UserError(
                f'a linear layer with a norm was fused for (N, C), and got {tuple(x.shape)}: leave '
                'this module out of fuse'
            )
        return x


def fold_norms(model: nn.Module, example: Call | None = None) -> Watch | None:
    """Fold the norms of a model in eval mode, in place.

    Args:
        model: The model.
        example: The pass to watch. Default: small ones of random numbers, see
            :func:`mmscale.deploy.examples.small_passes`.

    Returns:
        Watch | None: What the passes have shown; None if there was nothing to look for, or no pass
        could be made, which is logged. Nothing is folded then.
    """
    stand_in = _unshared(deepcopy(model))
    owners = Counter(id(child) for m in model.modules() for child in m._modules.values())
    pairs = []
    for pair in _proposals(stand_in):
        layer, norm = (stand_in.get_submodule(name) for name in pair[1:])
        if foldable(layer, norm) and _owned(model, pair, owners):
            pairs.append(pair)
    if not pairs and not any(type(module) in FORMS for module in stand_in.modules()):
        return None
    watch = _watched(stand_in, pairs, example)
    if watch is not None:
        confirmed = [pair for pair in pairs if _confirmed(watch, pair)]
        held = _held_elsewhere(model, {name for pair in confirmed for name in pair[1:]})
        for pair in confirmed:
            if not held & {pair.layer, pair.norm}:
                _fold(model, pair, watch)
    return watch


def foldable(layer: Any, norm: Any) -> bool:
    """Whether a norm that follows a layer can be part of it, by what the two are."""
    return (
        type(layer) in LINEAR
        and type(norm) in NORMS
        and norm.running_mean is not None
        and not norm.training  # as some keep it in eval mode
        and norm.num_features == len(layer.weight)
        and not hooked(layer, norm)
    )


def folded(layer: Any, norm: Any) -> nn.Module:
    """A copy of the layer that gives what the norm makes of its output."""
    copy = deepcopy(layer)
    copy.weight, copy.bias = fuse_conv_bn_weights(
        layer.weight,
        layer.bias,
        norm.running_mean,
        norm.running_var,
        norm.eps,
        norm.weight,
        norm.bias,
    )
    return copy


def hooked(*modules: nn.Module) -> bool:
    """Whether something else is to happen when they are called."""
    return any(
        m._forward_hooks
        or any(hook is not make_contiguous for hook in m._forward_pre_hooks.values())
        or 'forward' in vars(m)
        for m in modules
    )


def _watched(model, pairs, example):
    """Watch the example, or each of the small passes that the model can make."""
    watch = Watch(model, {(pair.module, pair.layer): pair.norm for pair in pairs})
    if example is not None:
        watch.run(example, model)
        return watch
    made = 0
    for alternatives in small_passes(model):
        for call in alternatives:
            try:
                watch.run(call, model)
            except Exception as error:  # anyone's module, which may not take such an input
                reason = error
                continue
            made += 1
            break
    if made:
        return watch
    print_log(
        f'{type(model).__name__} could not be run on a small random input '
        f'({type(reason).__name__}: {str(reason)[:200]}), so that its norms are not folded: give '
        'fuse an input as example=',
        logger='current',
        level=logging.WARNING,
    )
    return None


def _confirmed(watch, pair):
    return (
        watch.only_by(pair.module, pair.layer)
        and watch.only_by(pair.module, pair.norm)
        and (pair.module, pair.layer) not in watch.spoilt
        and pair.norm not in watch.fed
    )


def _fold(model, pair, watch):
    layer, norm = model.get_submodule(pair.layer), model.get_submodule(pair.norm)
    nothing = FoldedRows() if isinstance(layer, nn.Linear) else nn.Identity()
    _replace(model, pair.layer, folded(layer, norm))
    _replace(model, pair.norm, nothing.eval())
    following = _after(model.get_submodule(pair.module), pair.norm)
    if following is not None and watch.only_by(pair.module, f'{pair.module}.{following}'):
        _replace(model, f'{pair.module}.{following}', nn.SiLU(inplace=True).eval())


def _after(module, norm):
    """The name of the SiLU that follows a norm in a sequence: it may overwrite its input now."""
    names = list(module._modules)
    index = names.index(norm.rpartition('.')[2]) + 1 if type(module) is nn.Sequential else 0
    if not 0 < index < len(names):
        return None
    act = module._modules[names[index]]
    return names[index] if type(act) is nn.SiLU and not hooked(act) else None


def _replace(model, name, new):
    parent, _, last = name.rpartition('.')
    setattr(model.get_submodule(parent), last, new)


def _unshared(model):
    """The model with a copy of its own for every place of a layer that has several.

    A pass then shows which of them was called, and only that one is replaced.
    """
    seen = set()
    for module in list(model.modules()):
        for name, child in module._modules.items():
            if type(child) in LINEAR and id(child) in seen:
                module._modules[name] = deepcopy(child)
            seen.add(id(child))
    return model


def _held_elsewhere(model, names):
    """Those of a model's modules that something beside the module tree refers to.

    A list, another attribute or a bound method would go on calling what is replaced in the tree.
    """
    modules = {name: model.get_submodule(name) for name in names}
    ours = {id(modules), *(id(module._modules) for module in model.modules())}
    found = set()
    for holder in gc.get_referrers(*modules.values()):
        if id(holder) not in ours and not isinstance(holder, FrameType):
            inside = {id(thing) for thing in gc.get_referents(holder)}
            found |= {name for name, module in modules.items() if id(module) in inside}
    return found


def _owned(model, pair, owners):
    """Whether the norm has one place, and so has all on the way to it and to the layer."""
    prefix = f'{pair.module}.' if pair.module else ''
    for name, own in ((pair.norm, 1), (pair.layer, 0)):
        parts = name.removeprefix(prefix).split('.')
        for end in range(1, len(parts) + own):
            if owners[id(model.get_submodule(prefix + '.'.join(parts[:end])))] > 1:
                return False
    return True


# Traces


class _Calls(fx.Tracer):
    """Follows the forward pass of one module; what it calls is not looked into."""

    def is_leaf_module(self, m, module_qualified_name):
        return True


def _proposals(model: nn.Module) -> Iterator[Pair]:
    for name, module in model.named_modules():
        prefix = f'{name}.' if name else ''
        for layer, norm in _pairs(_graph(module)):
            yield Pair(name, prefix + layer, prefix + norm)


def _graph(module):
    """What a module calls in which order; None if there is nothing to fold or no telling."""
    # A forward pass of the instance's own is not what would be traced, which is the class's.
    if 'forward' in vars(module) or not any(isinstance(norm, NORMS) for norm in _called(module)):
        return None
    parameters = signature(module.forward).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.default is not Parameter.empty}
    try:
        return _Calls().trace(module, concrete_args=defaults)
    except Exception:  # whatever the module does with what is not a tensor
        return None


def _pairs(graph):
    """Names of (layer, norm) such that the norm is all that the layer feeds."""
    if graph is None:
        return
    calls = Counter(node.target for node in graph.nodes if node.op == 'call_module')
    read = {node.target.rpartition('.')[0] for node in graph.nodes if node.op == 'get_attr'}
    for norm in graph.nodes:
        layer = norm.args[0] if norm.op == 'call_module' and norm.args else None
        if (
            isinstance(layer, fx.Node)
            and layer.op == 'call_module'
            and len(layer.users) == 1
            and calls[layer.target] == calls[norm.target] == 1
            and not {layer.target, norm.target} & read
        ):
            yield layer.target, norm.target


def _called(module):
    """The children of a module, those in lists included."""
    for child in module.children():
        if isinstance(child, (nn.ModuleList, nn.ModuleDict)):
            yield from _called(child)
        else:
            yield child
