"""Batch norms with what follows them in C++, for training on a CPU.

A norm, squeeze-excite, the sum with a shortcut and an activation take two passes over a map, and
their gradients two more; PyTorch's own operators take three to eight, and five to fifteen. What
lies between the passes, a few numbers for each image and channel, is computed here in double
precision, the gradients by batch norm's formula; those of squeeze-excite are PyTorch's.
"""

import ctypes
import math
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd.function import once_differentiable

from mmscale.deploy.folding import hooked
from mmscale.deploy.native.arrays import pointer, suits
from mmscale.deploy.native.library import library
from mmscale.models.backbones.rexnet import LinearBottleneck, SqueezeExcite
from mmscale.models.backbones.scalenet import (
    ScaleAggregation,
    ScaleBottleneck,
    resize_mode,
    resize_to,
)

NOTHING = 0
ACTS: dict[type, int] = {nn.ReLU: 1, nn.ReLU6: 2, nn.SiLU: 3}  # as `norms.cpp` numbers them
SAMPLE = 64  # pixels, of which a mean is near enough to that of all


class _Norm(ctypes.Structure):
    """The struct of that name in `norms.cpp`."""

    _fields_ = [
        *((name, ctypes.c_long) for name in ('images', 'pixels', 'channels', 'act', 'threads')),
        *((name, ctypes.c_void_p) for name in ('pivot', 'scale', 'shift')),
    ]


def can_normalise(
    x: torch.Tensor, norm: nn.Module, act: nn.Module | None, gate: nn.Module | None = None
) -> bool:
    """Whether :func:`normalise` computes these layers of a map: float32 on a CPU, channels last.

    Args:
        x: (N, C, H, W).
        norm, act, gate: As there.
    """
    layers = [layer for layer in (norm, act, gate) if layer is not None]
    return (
        type(norm) is nn.BatchNorm2d
        and (act is None or type(act) in ACTS)
        and (gate is None or type(gate) is SqueezeExcite)
        and suits(x, [p for layer in layers for p in layer.parameters()], norm.num_features)
        and x.is_contiguous(memory_format=torch.channels_last)
        and x.numel() > x.size(1)  # PyTorch refuses a single value
        and not hooked(*(inner for layer in layers for inner in layer.modules()))
    )


def normalise(
    x: torch.Tensor,
    norm: nn.BatchNorm2d,
    act: nn.Module | None = None,
    *,
    gate: SqueezeExcite | None = None,
    added: torch.Tensor | None = None,
    copies: int = 1,
) -> torch.Tensor:
    """``act(gate(norm(x)) + added)``, see :func:`can_normalise`; running statistics are kept too.

    Args:
        x: (N, C, H, W).
        norm: A batch norm, in any mode.
        act: ReLU, ReLU6 or SiLU. Default: none.
        gate: Squeeze-excite. Default: none.
        added: (N, D, H, W), D being at most C: it is added to the first channels.
        copies (int): How often each pixel is in the map whose norm this is.
    """
    layers = _Layers(norm, gate, NOTHING if act is None else ACTS[type(act)], copies)
    inside = [] if gate is None else gate.parameters()
    return _Normalise.apply(x, added, layers, norm.weight, norm.bias, *inside)


class _Layers(NamedTuple):
    """What is done to a map, beside the sum."""

    norm: Any
    gate: Any
    act: int
    copies: int


class _Normalise(torch.autograd.Function):
    """The passes over the maps, and what lies between them; ``of_`` begins a gradient's name."""

    @staticmethod
    def forward(ctx: Any, x, added, layers, weight, bias, *inside):
        norm, gate = layers.norm, layers.gate
        images, channels, *sides = x.shape
        pixels = math.prod(sides)
        if gate is None:  # nothing is different from one image to the next
            images, pixels = 1, images * pixels
        of_batch = norm.training or norm.running_mean is None
        # Sums of squares are of distances to a number near the mean, or digits would be lost.
        pivot = _near_mean(x) if of_batch else norm.running_mean.clone()
        given = _Norm(images, pixels, channels, layers.act, torch.get_num_threads())
        given.pivot = pivot.data_ptr()
        sums = torch.empty(2, images, channels, dtype=torch.float64)
        if of_batch or gate is not None:
            library().norm_sums(ctypes.byref(given), pointer(x), pointer(sums))
        if of_batch:
            mean, square = sums.mean(1) / pixels
            var = square - mean.square()
            _track(norm, pivot + mean, var, images * pixels * layers.copies)
        else:
            mean, var = torch.zeros_like(pivot), norm.running_var.double()
        inverse = (var + norm.eps).rsqrt()
        scale = inverse if weight is None else inverse * weight
        shift = -mean * scale if bias is None else bias - mean * scale
        factors = [scale, shift - pivot * scale]
        ctx.gating = None
        if gate is not None:
            ctx.gating = _Gating(gate, sums[0] / pixels * scale + shift)
            factors = [t * ctx.gating.factors for t in factors]
        ctx.factors = [t.float() for t in factors]
        given.scale, given.shift = (t.data_ptr() for t in ctx.factors)

        y = torch.empty_like(x)
        whole = None
        if added is not None:
            added = added.contiguous(memory_format=torch.channels_last)
            whole = added if added.size(1) == channels else None
        library().norm_apply(ctypes.byref(given), pointer(x), pointer(whole), pointer(y))
        if added is not None and whole is None:
            y[:, : added.size(1)] += added
        ctx.given, ctx.numbers = given, (of_batch, pivot, mean, inverse, scale, shift, sums[0])
        ctx.added_channels = None if added is None else added.size(1)
        # What an activation of a sum let through is read from what came out.
        by_output = added is not None and layers.act != NOTHING
        ctx.save_for_backward(x, y if by_output else None)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy):
        x, y = ctx.saved_tensors
        of_batch, pivot, mean, inverse, scale, shift, x_sum = ctx.numbers
        given = _Norm.from_buffer_copy(ctx.given)
        given.threads = torch.get_num_threads()
        dy = dy.contiguous(memory_format=torch.channels_last)
        through = None if y is None else torch.empty_like(x)
        sums = torch.empty(2, given.images, given.channels, dtype=torch.float64)
        maps = (pointer(t) for t in (x, y, dy, through))
        library().norm_gradients(ctypes.byref(given), *maps, pointer(sums))
        if through is not None:
            dy, given.act = through, NOTHING

        of_inside, of_pixel = [], 0
        if ctx.gating is not None:
            of_means, *of_inside = ctx.gating.back(sums[1] * scale + sums[0] * shift)
            of_pixel = of_means / given.pixels
            sums = sums * ctx.gating.factors + torch.stack([of_means, of_pixel * x_sum])
        of_bias, of_centred = sums.sum(1)
        of_weight = (of_centred - mean * of_bias) * inverse
        dx = None
        if ctx.needs_input_grad[0]:
            term, factor = scale * of_pixel, torch.zeros_like(scale)
            if of_batch:
                share = scale / (given.images * given.pixels)
                factor = -share * inverse * of_weight
                term = term - share * of_bias - factor * (mean + pivot)
            shape = given.images, given.channels
            terms = [t.float().expand(shape).contiguous() for t in (term, factor)]
            dx = torch.empty_like(x)
            maps = (pointer(t) for t in (x, dy, *terms, dx))
            library().norm_input(ctypes.byref(given), *maps)
        of_added = dy[:, : ctx.added_channels] if ctx.needs_input_grad[1] else None
        wanted = ctx.needs_input_grad[3:5]
        own = (t.float() if want else None for t, want in zip((of_weight, of_bias), wanted))
        return dx, of_added, None, *own, *of_inside


def _near_mean(x):
    """Means of some of a map's pixels, for each channel."""
    pixels = x.permute(0, 2, 3, 1).flatten(0, 2)
    return pixels[:: max(1, len(pixels) // SAMPLE)].mean(0)


def _track(norm, mean, var, count):
    """Do with the running statistics what the norm does in training."""
    if not norm.training or norm.running_mean is None:
        return
    norm.num_batches_tracked.add_(1)
    share = norm.momentum
    if share is None:
        share = 1 / int(norm.num_batches_tracked)
    norm.running_mean.lerp_(mean.float(), share)
    norm.running_var.lerp_((var * (count / (count - 1))).float(), share)


class _Gating:
    """Squeeze-excite's factors (N, C) for the means (N, C) of the channels, by PyTorch."""

    def __init__(self, gate, means):
        self.parameters = list(gate.parameters())
        # Recomputing, which `with_cp` does, is for the maps.
        kept = torch.autograd.graph.saved_tensors_hooks(torch.Tensor.detach, lambda t: t)
        with torch.enable_grad(), kept:
            self.means = means.float().requires_grad_()
            self.result = gate.factors(self.means[:, :, None, None]).flatten(1)
        self.factors = self.result.detach()

    def back(self, of_factors):
        """The gradients of the means, in double precision, and of the parameters."""
        followed = [p for p in self.parameters if p.requires_grad]
        of_means, *found = torch.autograd.grad(
            self.result, [self.means, *followed], of_factors.float(), retain_graph=True
        )
        of_parameter = dict(zip(map(id, followed), found))
        return of_means.double(), *(of_parameter.get(id(p)) for p in self.parameters)


def normalised(
    x: torch.Tensor,
    norm: Any,
    act: nn.Module | None = None,
    *,
    gate: Any = None,
    added: torch.Tensor | None = None,
) -> torch.Tensor:
    """As :func:`normalise`, in C++ where that can compute it, and by the layers themselves else."""
    if can_normalise(x, norm, act, gate):
        return normalise(x, norm, act, gate=gate, added=added)
    y = norm(x)
    if gate is not None:
        y = gate(y)
    if added is not None:
        more = y.size(1) - added.size(1)
        y = y + (F.pad(added, (0, 0, 0, 0, 0, more)) if more else added)
    return y if act is None else act(y)


class TrainedSequential(nn.Sequential):
    """Layers in a row, with norms and the activations that follow them in C++."""

    def forward(self, x: Any) -> Any:
        """As :class:`torch.nn.Sequential`."""
        layers: list[Any] = list(self)
        done = None
        for layer, following in zip(layers, [*layers[1:], None]):
            if layer is done:  # with the norm before it
                done = None
            elif type(layer) is nn.BatchNorm2d:
                done = following if type(following) in ACTS else None
                x = normalised(x, layer, done)
            else:
                x = layer(x)
        return x


class TrainedBottleneck(LinearBottleneck):
    """ReXNet's block, with norms and what follows them in C++."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """As :class:`LinearBottleneck`."""
        depthwise: Any = self.depthwise
        project: Any = self.project
        if hooked(depthwise, project):
            return super().forward(x)
        gate = None if isinstance(self.se, nn.Identity) else self.se
        y = depthwise.conv(self.expand(x))
        y = normalised(y, depthwise.norm, self.act, gate=gate)
        y = project.conv(y)
        if self.shortcut and isinstance(self.drop_path, nn.Identity):
            return normalised(y, project.norm, added=x)
        return self.with_shortcut(normalised(y, project.norm), x)


class TrainedAggregation(ScaleAggregation):
    """ScaleNet's SA block, with norms and ReLU in C++.

    What a nearest resize copies is normalised before: means and variances are the same.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """As :class:`ScaleAggregation`."""
        size, maps = x.shape[2:], []
        branches: Any = self.branches.values()
        for branch in branches:
            if hooked(branch):
                return super().forward(x)
        for branch in branches:
            y, resizes = branch.convolved(x), branch.scale > 1
            even = all(side % small == 0 for side, small in zip(size, y.shape[2:]))
            copied = resizes and even and resize_mode(y, size, branch.resize) == 'nearest'
            if copied and can_normalise(y, branch.norm, self.act):
                copies = size.numel() // y.shape[2:].numel()
                y = normalise(y, branch.norm, self.act, copies=copies)
                maps.append(resize_to(y, size, 'nearest'))
                continue
            if resizes:
                y = resize_to(y, size, branch.resize)
            maps.append(normalised(y, branch.norm, self.act))
        return torch.cat(maps, 1)


class TrainedScaleBottleneck(ScaleBottleneck):
    """ScaleNet's block, with norms and what follows them in C++."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """As :class:`ScaleBottleneck`."""
        if hooked(self.expand):
            return super().forward(x)
        x = self.pool(x)
        y = self.expand.conv(self.aggregate(self.reduce(x)))
        return normalised(y, self.expand.norm, self.act, added=self.shortcut(x))


TRAINED: dict[type, type] = {
    nn.Sequential: TrainedSequential,
    LinearBottleneck: TrainedBottleneck,
    ScaleAggregation: TrainedAggregation,
    ScaleBottleneck: TrainedScaleBottleneck,
}


def use_native_norms(model: nn.Module) -> int:
    """Have norms and what follows them computed in C++ in training, where that can be.

    Args:
        model: It is changed in place: the classes of some modules are. Weights stay what they are.

    Returns:
        int: How many modules were changed.
    """
    changed = 0
    for module in model.modules():
        kind = type(module)
        norms = any(type(child) is nn.BatchNorm2d for child in module.children())
        if kind in TRAINED and (norms or kind is not nn.Sequential) and not hooked(module):
            module.__class__ = TRAINED[kind]
            changed += 1
    return changed


def use_plain_norms(model: nn.Module) -> None:
    """Undo :func:`use_native_norms`."""
    plain = {trained: kind for kind, trained in TRAINED.items()}
    for module in model.modules():
        module.__class__ = plain.get(type(module), type(module))
