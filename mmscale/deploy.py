"""Models as for inference: the same outputs from fewer and faster operations.

Nothing here is special to an engine: what comes out is plain PyTorch, to be run as it is, compiled
or exported.
"""

import functools
import inspect
import re
from collections import Counter, OrderedDict
from collections.abc import Hashable
from copy import deepcopy
from inspect import Parameter, signature
from math import ceil

import torch
import torch.nn.functional as F
from mmcv.cnn.bricks.conv2d_adaptive_padding import Conv2dAdaptivePadding
from mmcv.cnn.bricks.wrappers import Conv2d, Conv3d, Linear
from mmengine.model import is_model_wrapper
from mmengine.utils.dl_utils.parrots_wrapper import SyncBatchNorm
from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from mmscale.errors import UserError
from mmscale.models.backbones.base import Backbone
from mmscale.models.backbones.rexnet import LinearBottleneck
from mmscale.models.backbones.san import SAN, AtScale, GeneratedConvNorm, ResNetStem
from mmscale.models.backbones.scalenet import (
    ScaleAggregation,
    ScaleBranch,
    resize_mode,
    resize_to,
)
from mmscale.models.layers import to_channels_last
from mmscale.models.roi_align import RowRoIAlign

# Exact types: a subclass may do more than its parent (timm's norms hold an activation, mmcv's
# ConvWS2d standardises its weights). mmcv's own are for empty inputs and for TensorFlow's padding.
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm, SyncBatchNorm)
LINEAR = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear, Conv2d, Conv3d, Linear, Conv2dAdaptivePadding)
TILED = (nn.Conv2d, nn.SiLU, nn.ReLU6)
# Bytes of a map: two layers' maps of a tile are to fit into the cache; what is small is left whole.
TILE, UNTILED = 8 * 2**20, 24 * 2**20
KEPT = 8  # resolutions of a SAN whose weights are kept


def fuse(model):
    """An equivalent, faster copy of a model for inference.

    Norms with running statistics become part of the convolution or linear layer before them
    wherever that layer feeds the norm and nothing else: in this package's backbones, and in
    whatever of mmdet's, mmpretrain's or anyone's :func:`torch.fx.symbolic_trace` can follow, module
    by module. In ScaleNet's SA blocks they go into the convolution before the resize, whose weights
    sum to one. A SAN gets its weights generated once for each resolution that it meets. ReXNet's
    blocks go over large maps in tiles that stay in a CPU's cache, and mmcv's RoIAlign gives way to
    one that uses all cores there. Memory is channels-last. What cannot be folded exactly (other
    norms, norms of batch statistics, layers with hooks, deformable convolutions) stays as it is.

    Args:
        model (nn.Module): A backbone, classifier or detector, in any mode; it stays as it is.

    Returns:
        nn.Module: The copy, in eval mode and without gradients, on the same device and with the
        same dtype; for torch.compile and the exporters too.

    Raises:
        UserError: If it is no module.

    Example:
        >>> import torch
        >>> from mmscale.deploy import fuse
        >>> from mmscale.models import ReXNet
        >>> model = ReXNet(width_mult=1.0).eval()
        >>> x = torch.rand(1, 3, 64, 64)
        >>> all(torch.allclose(a, b, atol=1e-5) for a, b in zip(fuse(model)(x), model(x)))
        True
    """
    if not isinstance(model, nn.Module):
        raise UserError(f'{type(model).__name__} cannot be fused: give a torch.nn.Module, built')
    if is_model_wrapper(model):
        model = model.module
    with torch.no_grad():
        model = _inference_copy(model)
        _fold_all(model)
        _replace_roi_aligns(model)
    # Fused SANs come last: they have nothing left to fold.
    return _with_fused_sans(to_channels_last(model))


def _inference_copy(model):
    model = deepcopy(model)
    model.eval()  # mmdet's return None
    model.requires_grad_(False)
    for module in model.modules():
        if getattr(module, 'with_cp', False):
            module.with_cp = False
    for parameter in model.parameters():
        parameter.grad = None
    return model


# ReXNet


class TiledLayers(nn.Sequential):
    """Convolutions and activations in a row, on a CPU one tile of rows at a time.

    A whole map of an expanded block goes to memory and back between any two layers, a tile's stays
    in the cache. Rows that tiles share, for 3x3 kernels, are computed twice. What traces, compiles
    or exports meets the plain layers, for any size; so do other devices and maps that are small
    anyway. Hooks on the layers are called for whole maps alone.
    """

    def forward(self, x):
        """Take (N, C, H, W) to what the layers make of it."""
        heights, largest = self._heights(x)
        if x.device.type != 'cpu' or largest <= UNTILED or _followed():
            return super().forward(x)
        rows = ceil(heights[-1] / ceil(largest / TILE))
        images = []
        for image in x.split(1):
            firsts = range(0, heights[-1], rows)
            tiles = [self._tile(image, heights, r, min(r + rows, heights[-1])) for r in firsts]
            images.append(torch.cat(tiles, 2))
        return images[0] if len(images) == 1 else torch.cat(images)

    def _convs(self):
        return [layer for layer in self if isinstance(layer, nn.Conv2d)]

    def _heights(self, x):
        """Rows before, between and after the convolutions; bytes of an image's largest map."""
        height, width = x.shape[2:]
        heights, largest = [height], 0
        for conv in self._convs():
            height, width = (
                (side + 2 * padding - kernel) // stride + 1
                for side, padding, kernel, stride in zip(
                    (height, width), conv.padding, conv.kernel_size, conv.stride
                )
            )
            heights.append(height)
            largest = max(largest, conv.out_channels * height * width * x.element_size())
        return heights, largest

    def _tile(self, x, heights, first, last):
        """The output's rows from `first` to before `last`, of one image."""
        outside = []  # rows of padding above and below the input of each convolution
        for conv, height in zip(reversed(self._convs()), reversed(heights[:-1])):
            first = first * conv.stride[0] - conv.padding[0]
            last = (last - 1) * conv.stride[0] - conv.padding[0] + conv.kernel_size[0]
            outside.append((max(-first, 0), max(last - height, 0)))
            first, last = max(first, 0), min(last, height)
        x = x[:, :, first:last]
        for layer in self:
            if not isinstance(layer, nn.Conv2d):
                x = layer(x)
                continue
            above, below = outside.pop()
            if above or below:
                x = F.pad(x, (0, 0, above, below))
            sides = (0, int(layer.padding[1]))
            x = F.conv2d(x, layer.weight, layer.bias, layer.stride, sides, groups=layer.groups)
        return x


def _followed():
    """Whether a tracer, compiler or exporter follows, which would write down sizes as constants."""
    exporting = getattr(torch.compiler, 'is_exporting', None)  # torch 2.7; torch.compile: true too
    return torch.jit.is_tracing() or (exporting is not None and exporting())


def _tile_block(block):
    """Tile what a folded block does before its squeeze-excite, or all of it if it has none."""
    names = ['expand', 'depthwise']
    if isinstance(block.se, nn.Identity):
        names += ['act', 'project']
    modules = [m for name in names for m in getattr(block, name).modules()]
    layers = [m for m in modules if not isinstance(m, (nn.Sequential, nn.Identity))]
    # Norms that were not folded may need whole maps, and hooks are to be called once.
    if all(type(m) in TILED for m in layers) and not _hooked(*modules):
        for name in names:
            setattr(block, name, nn.Identity())
        block.expand = TiledLayers(*layers)
        block.eval()


# ScaleNet


class FusedAggregation(nn.Module):
    """An SA block without norms, which are folded.

    Pooling by 4 is pooling by 2 twice, and what a nearest resize copies is rectified before.

    Args:
        block (ScaleAggregation): In eval mode, its norms folded.
    """

    def __init__(self, block):
        super().__init__()
        branches = block.branches.values()
        self.scales = [branch.scale for branch in branches]
        self.convs = nn.ModuleList(branch.conv for branch in branches)
        self.resize = next(iter(branches)).resize

    def forward(self, x):
        """Take (N, in_channels, H, W) to (N, sum(neurons), H, W)."""
        size = x.shape[2:]
        pooled, maps = {1: x}, []
        for scale, conv in zip(self.scales, self.convs):
            if scale == 4 and 2 in pooled and min(size) >= 4:
                pooled[4] = F.max_pool2d(pooled[2], 2)
            elif scale > 1:
                pooled[scale] = F.max_pool2d(x, [min(scale, side) for side in size])
            y = conv(pooled[scale])
            if scale == 1:
                maps.append(y.relu_())
            elif resize_mode(y, size, self.resize) == 'nearest':
                maps.append(resize_to(y.relu_(), size, 'nearest'))
            else:
                maps.append(resize_to(y, size, 'bilinear').relu_())
        return torch.cat(maps, 1)


# SAN


class FusedSAN(nn.Module):
    """A SAN whose weights are generated once for each resolution that it meets, and then kept.

    To be compiled or exported, it should have met its resolution before: call it once, or
    :meth:`at`. With the SAN's own `resolution` set that is done already.

    Args:
        san (SAN): In eval mode.

    Attributes:
        networks (dict): A fused network for each of the last `KEPT` scales.
    """

    def __init__(self, san):
        super().__init__()
        self.san = san
        self.networks = {}
        self.register_load_state_dict_post_hook(_forget)
        if san.resolution:
            self.at(san.resolution)

    def forward(self, x, resolution=None):
        """Extract features of one batch, as :meth:`mmscale.models.backbones.san.SAN.forward`."""
        return self.at(self.san.resolution_for(x, resolution)).extract(x, None)

    def at(self, resolution):
        """The fused network for a resolution in pixels, generated when it is first asked for."""
        scale = self.san.scale_of(resolution)
        if scale not in self.networks:
            while len(self.networks) >= KEPT:
                del self.networks[next(iter(self.networks))]
            self.networks[scale] = _generated(self.san, scale)
        return self.networks[scale]

    def _apply(self, *args, **kwargs):
        for network in self.networks.values():  # they go along to another device or dtype
            network._apply(*args, **kwargs)
        return super()._apply(*args, **kwargs)


def _forget(fused, _):
    """Networks of other weights than those that were loaded are of no use."""
    fused.networks.clear()


def _generated(san, scale):
    """The fused network that a SAN is at a scale. Its blocks still take one, and ignore it."""
    with torch.no_grad():
        network = deepcopy(san)
        _bake(network, scale)
        _fold_all(network)
    return to_channels_last(network).eval()


def _bake(module, scale):
    for name, child in module.named_children():
        if isinstance(child, GeneratedConvNorm):
            layers = dict(conv=child.conv.at(scale), norm=child.norm.at(scale), act=child.act)
            setattr(module, name, AtScale(OrderedDict(layers)))
        elif isinstance(child, ResNetStem):
            layers = dict(child.named_children(), norm=child.norm.at(scale))
            setattr(module, name, AtScale(OrderedDict(layers)))
        else:
            _bake(child, scale)


def _with_fused_sans(module):
    if isinstance(module, FusedSAN):
        return module
    if isinstance(module, SAN):
        return FusedSAN(module).eval()
    for name, child in module.named_children():
        setattr(module, name, _with_fused_sans(child))
    return module


# RoIAlign


def _replace_roi_aligns(model):
    for module in list(model.modules()):
        for name, child in module.named_children():
            kind = type(child)  # by name: an mmcv without operators has no such class
            if f'{kind.__module__}.{kind.__name__}' != 'mmcv.ops.roi_align.RoIAlign':
                continue
            usual = child.pool_mode == 'avg' and not child.use_torchvision
            if usual and not isinstance(module, RowRoIAlign) and not _hooked(child):
                setattr(module, name, RowRoIAlign(child).eval())


# Folding of norms


def _fold_all(model):
    owners = Counter(id(child) for m in model.modules() for child in m._modules.values())
    graphs = {module: _graph(module) for module in model.modules()}
    left = _reached_into(model) | {
        id(child) for module, graph in graphs.items() for child in _entered(module, graph)
    }
    for module, graph in graphs.items():
        if isinstance(module, ScaleBranch):
            _fold(module, 'conv', 'norm', owners, left)
        elif graph is not None and id(module) not in left:
            for layer, norm in _pairs(graph):
                _fold(module, layer, norm, owners, left)
    for module in model.modules():
        aggregate = getattr(module, 'aggregate', None)
        if isinstance(aggregate, ScaleAggregation) and not _hooked(*aggregate.modules()):
            branches = aggregate.branches.values()
            if all(isinstance(branch.norm, nn.Identity) for branch in branches):
                module.aggregate = FusedAggregation(aggregate).eval()
        elif type(module) is LinearBottleneck:
            _tile_block(module)
        elif isinstance(module, Backbone):
            for act in module.modules():
                if isinstance(act, nn.SiLU):  # there they follow a convolution or norm
                    act.inplace = True


class _Calls(fx.Tracer):
    """Follows the forward pass of one module; what it calls is not looked into."""

    def is_leaf_module(self, m, module_qualified_name):
        return True


def _graph(module):
    """What a module calls in which order; None if there is nothing to fold or no telling."""
    if not any(isinstance(norm, NORMS) for norm in _called(module)):
        return None
    parameters = signature(module.forward).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.default is not Parameter.empty}
    try:
        return _Calls().trace(module, concrete_args=defaults)
    except Exception:  # whatever the module does with what is no tensor
        return None


def _pairs(graph):
    """Names of (layer, norm) such that the norm is all that the layer feeds."""
    calls = Counter(node.target for node in graph.nodes if node.op == 'call_module')
    read = {node.target.rpartition('.')[0] for node in graph.nodes if node.op == 'get_attr'}
    pairs = []
    for norm in graph.nodes:
        conv = norm.args[0] if norm.op == 'call_module' and norm.args else None
        if (
            isinstance(conv, fx.Node)
            and conv.op == 'call_module'
            and len(conv.users) == 1
            and calls[conv.target] == calls[norm.target] == 1
            and not {conv.target, norm.target} & read
        ):
            pairs.append((conv.target, norm.target))
    return pairs


def _entered(module, graph):
    """Containers whose members a module calls one by one: their own order says nothing."""
    for node in graph.nodes if graph is not None else ():
        parent = node.target.rpartition('.')[0] if node.op == 'call_module' else ''
        while parent:
            yield module.get_submodule(parent)
            parent = parent.rpartition('.')[0]


def _reached_into(model):
    """Ids of layers whose weights some module takes, or that it calls, past their own parent."""
    found = set()
    for module in model.modules():
        for path in _paths(module.__class__):
            try:
                found.add(id(module.get_submodule(path)))
            except AttributeError:  # of another object, or of an option that is off
                continue
    return found


@functools.lru_cache(None)
def _paths(kind: Hashable):
    """Paths such as ``child.conv`` in ``self.child.conv.weight`` or ``self.child.conv(x)``."""
    try:
        source = inspect.getsource(kind)  # type: ignore[arg-type]
    except (OSError, TypeError):  # a class without a file
        return ()
    return set(re.findall(r'self\.((?:\w+\.)+\w+)(?:\.(?:weight|bias)\b|\()', source))


def _called(module):
    """The children of a module, those in lists included."""
    for child in module.children():
        if isinstance(child, (nn.ModuleList, nn.ModuleDict)):
            yield from _called(child)
        else:
            yield child


class FoldedRows(nn.Identity):
    """In the place of a norm behind a linear layer, which is over rows and nothing else."""

    def forward(self, x):
        """Take (N, C) as it is.

        Raises:
            UserError: If it is no such matrix: the norm was over its second dimension.
        """
        if x.dim() != 2:
            raise UserError(
                f'a linear layer with a norm was fused for (N, C), and got {tuple(x.shape)}: leave '
                'this module out of fuse'
            )
        return x


def _fold(module, conv_name, norm_name, owners, left):
    """Make the norm part of the layer before it, if that is exact."""
    conv, norm = module.get_submodule(conv_name), module.get_submodule(norm_name)
    if (
        type(conv) in LINEAR
        and type(norm) in NORMS
        and norm.running_mean is not None
        and not norm.training  # as some keep it in eval mode
        and norm.num_features == len(conv.weight)
        and not _hooked(conv, norm)
        and not left & {id(conv), id(norm)}
        # A layer that others use too is left to them; of two names one would be forgotten.
        and _owned(module, norm_name, owners)
        and ('.' not in conv_name or _owned(module, conv_name, owners))
        and sum(child is conv for child in module._modules.values()) < 2
    ):
        folded = deepcopy(conv)
        folded.weight, folded.bias = fuse_conv_bn_weights(
            conv.weight,
            conv.bias,
            norm.running_mean,
            norm.running_var,
            norm.eps,
            norm.weight,
            norm.bias,
        )
        _replace(module, conv_name, folded)
        nothing = FoldedRows() if isinstance(conv, nn.Linear) else nn.Identity()
        _replace(module, norm_name, nothing.eval())


def _hooked(*modules):
    """Whether something else is to happen when they are called."""
    return any(m._forward_hooks or m._forward_pre_hooks or 'forward' in vars(m) for m in modules)


def _owned(module, name, owners):
    """Whether nothing on the way from a module to its descendant has a second parent."""
    parts = name.split('.')
    paths = ['.'.join(parts[: i + 1]) for i in range(len(parts))]
    return all(owners[id(module.get_submodule(path))] == 1 for path in paths)


def _replace(module, name, new):
    parent, _, last = name.rpartition('.')
    setattr(module.get_submodule(parent), last, new)
