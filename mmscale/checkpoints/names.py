"""From other programs' parameter names to this package's.

A converted state dict fits the matching classifier of ``configs/classification`` strictly: its keys
begin with ``backbone.`` and ``head.``.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from mmscale.errors import UserError
from mmscale.models.backbones.rexnet import STAGE_BLOCKS, TAP_STAGES
from mmscale.models.backbones.san import SANMobileNetV2
from mmscale.structures import SCALES

# Blocks at each stride.
REXNET_BLOCKS = tuple(sum(STAGE_BLOCKS[i] for i in stages) for stages in TAP_STAGES)
SAN_BLOCKS = tuple(sum(count for _, _, count, _ in groups) for groups in SANMobileNetV2.STAGES)
# Where tensors go that a program saves and does not use.
UNUSED = 'unused.'


class Conversion(NamedTuple):
    """`source` says whose names were recognised; `state_dict` has this package's names."""

    source: str
    state_dict: dict[str, Tensor]


def convert(state_dict: dict[str, Tensor]) -> Conversion:
    """Rename a classifier's tensors.

    Args:
        state_dict (dict[str, Tensor]): As the authors of ReXNet, ReXNet-lite, ScaleNet or SAN, or
            timm (its ReXNet), save it.

    Returns:
        Conversion: The tensors under this package's names. A classifier stored as a 1x1 convolution
        becomes a linear layer; what its program never uses is called ``unused.NAME``; nothing else
        changes.

    Raises:
        UserError: If the names are none of these programs', or one of them is unexpected.
    """
    matches = [row for row in SOURCES if row.marker in state_dict]
    if not matches:
        raise UserError(
            f'unknown parameter names, such as {sorted(state_dict)[:3]}; expected a state dict of '
            f'{", ".join(row.name for row in SOURCES)}'
        )
    source, _, rename = matches[0]
    converted = {}
    for key, value in state_dict.items():
        name = rename(key, state_dict)
        if name is None:
            raise UserError(f'{key!r} is not a name of {source}, which the file looked like')
        if name.startswith('head.') and value.ndim == 4:
            value = value.flatten(1)
        converted[name] = value
    return Conversion(source, converted)


_LEAVES = ('weight', 'bias', 'running_mean', 'running_var', 'num_batches_tracked')


def _in_block(number, rest):
    """The name of `rest` in ReXNet's block `number`, counted through the network, or None."""
    # The last 1x1 convolution counts as a block; it alone has only a convolution and a norm.
    if (number == sum(REXNET_BLOCKS)) != rest.startswith(('conv.', 'norm.')):
        return None
    place = _place_of(number, (*REXNET_BLOCKS, 1))
    return place and f'{place}.{rest}'


def _place_of(number, depths):
    """The name of block `number`, counted through stages of these depths, or None."""
    for stage, depth in enumerate(depths):
        if number < depth:
            return f'backbone.stages.{stage}.{number}'
        number -= depth
    return None


def _substitute(rules, key):
    """The first rule's replacement of the whole `key`, or None."""
    for pattern, replacement in rules:
        match = re.fullmatch(pattern, key)
        if match and key.rpartition('.')[2] in _LEAVES:
            return replacement(match) if callable(replacement) else match.expand(replacement)
    return None


_TIMM_PARTS = {
    'conv_exp.conv': 'expand.conv',
    'conv_exp.bn': 'expand.norm',
    'conv_dw.conv': 'depthwise.conv',
    'conv_dw.bn': 'depthwise.norm',
    'conv_pwl.conv': 'project.conv',
    'conv_pwl.bn': 'project.norm',
    'se.fc1': 'se.reduce',
    'se.bn': 'se.norm',
    'se.fc2': 'se.expand',
    'conv': 'conv',
    'bn': 'norm',
}
_TIMM_RULES = (
    (r'stem\.conv\.(\w+)', r'backbone.stem.conv.\1'),
    (r'stem\.bn\.(\w+)', r'backbone.stem.norm.\1'),
    (
        rf'features\.(\d+)\.({"|".join(map(re.escape, _TIMM_PARTS))})\.(\w+)',
        lambda m: _in_block(int(m[1]), f'{_TIMM_PARTS[m[2]]}.{m[3]}'),
    ),
    (r'head\.fc\.(\w+)', r'head.fc.\1'),
)


def _rename_timm(key, state_dict):
    return _substitute(_TIMM_RULES, key)


def _rename_authors_block(match, state_dict):
    """A module in a block's Sequential: its number depends on what else the block has."""
    block, module, leaf = int(match[1]) - 3, match[2], match[3]
    prefix = f'features.{match[1]}.out.'
    parts: list = [] if block == 0 else ['expand.conv', 'expand.norm', None]
    parts += ['depthwise.conv', 'depthwise.norm']
    if f'{prefix}5.fc.0.weight' in state_dict:
        parts += [{'fc.0': 'se.reduce', 'fc.1': 'se.norm', 'fc.3': 'se.expand'}]
    parts += [None, 'project.conv', 'project.norm']
    number, _, inner = module.partition('.')
    part = parts[int(number)] if int(number) < len(parts) else None
    part = part.get(inner) if isinstance(part, dict) else part
    return part and _in_block(block, f'{part}.{leaf}')


def _rename_authors_rexnet(key, state_dict):
    return _substitute(
        (
            (r'features\.0\.(\w+)', r'backbone.stem.conv.\1'),
            (r'features\.1\.(\w+)', r'backbone.stem.norm.\1'),
            (r'features\.19\.(\w+)', r'backbone.stages.4.0.conv.\1'),
            (r'features\.20\.(\w+)', r'backbone.stages.4.0.norm.\1'),
            (
                r'features\.(\d+)\.out\.(\d+(?:\.fc\.\d)?)\.(\w+)',
                lambda match: _rename_authors_block(match, state_dict),
            ),
            # ReXNet-lite's tail has a hidden layer: fc, norm, ReLU6, dropout, fc.
            (r'output\.4\.(\w+)', r'head.layers.1.fc.\1'),
            (r'output\.0\.(\w+)', r'head.layers.0.fc.\1'),
            (
                r'output\.1\.(\w+)',
                r'head.layers.0.norm.\1' if 'output.4.weight' in state_dict else r'head.fc.\1',
            ),
        ),
        key,
    )


_SCALENET_RULES = (
    (r'conv1\.(\w+)', r'backbone.stem.conv.\1'),
    (r'bn1\.(\w+)', r'backbone.stem.norm.\1'),
    (
        r'layer([1-4])\.(\d+)\.(conv|bn)([13])\.(\w+)',
        lambda m: (
            f'backbone.stages.{int(m[1]) - 1}.{m[2]}.{"reduce" if m[4] == "1" else "expand"}'
            f'.{m[3].replace("bn", "norm")}.{m[5]}'
        ),
    ),
    (
        r'layer([1-4])\.(\d+)\.(conv|bn)2\.([0-3])\.(\w+)',
        lambda m: (
            f'backbone.stages.{int(m[1]) - 1}.{m[2]}.aggregate.branches.{SCALES[int(m[4])]}'
            f'.{m[3].replace("bn", "norm")}.{m[5]}'
        ),
    ),
    (
        r'layer([1-4])\.(\d+)\.downsample\.([01])\.(\w+)',
        lambda m: (
            f'backbone.stages.{int(m[1]) - 1}.{m[2]}.shortcut.{("conv", "norm")[int(m[3])]}.{m[4]}'
        ),
    ),
    (r'fc\.(\w+)', r'head.fc.\1'),
)


def _rename_scalenet(key, state_dict):
    return _substitute(_SCALENET_RULES, key)


def _generated(place, kind, rest):
    """The name of a generator's or norm's tensor in a SAN's layer."""
    return f'{place}.conv.generator.{rest}' if kind == 'fc' else f'{place}.norm.norms.{rest}'


def _rename_san_resnet(key, state_dict):
    bottleneck = 'layer1.1.fc3.weight' in state_dict
    shortcut = '4' if bottleneck else '3'

    def inside(match):
        stage, block, kind, number, rest = match.groups()
        part = 'shortcut' if number == shortcut else f'conv{number}'
        return _generated(f'backbone.stages.{int(stage) - 1}.{block}.{part}', kind, rest)

    rules = (
        (r'conv1\.module\.(\w+)', r'backbone.stem.conv.\1'),
        (r'bn1\.bn_(\d+)\.(\w+)', r'backbone.stem.norm.norms.\1.\2'),
        (r'layer([1-4])\.(\d+)\.(fc)([1-4])\.(\w+)', inside),
        (r'layer([1-4])\.(\d+)\.(bn)([1-4])\.bn_(\d+\.\w+)', inside),
        # The authors' forward pass generates its shortcuts and leaves these alone.
        (r'(layer[1-4]\.\d+\.downsample\..*)', rf'{UNUSED}\1'),
        (r'fc\.module\.(\w+)', r'head.fc.\1'),
    )
    return _substitute(rules, key)


def _rename_san_mobilenet(key, state_dict):
    def inside(match):
        block, kind, number, rest = match.groups()
        place = _place_of(int(block) - 1, SAN_BLOCKS)
        parts = ('depthwise', 'project') if block == '1' else ('expand', 'depthwise', 'project')
        if place is None or int(number) > len(parts):
            return None
        return _generated(f'{place}.{parts[int(number) - 1]}', kind, rest)

    rules = (
        (r'features\.0\.fc\.(\w+)', r'backbone.stem.conv.generator.\1'),
        (r'features\.0\.bn\.bn_(\d+)\.(\w+)', r'backbone.stem.norm.norms.\1.\2'),
        (r'features\.([1-9]\d*)\.(fc)([1-3])\.(\w+)', inside),
        (r'features\.([1-9]\d*)\.(bn)([1-3])\.bn_(\d+\.\w+)', inside),
        (r'conv\.fc\.(\w+)', r'backbone.stages.4.0.conv.generator.\1'),
        (r'conv\.bn\.bn_(\d+)\.(\w+)', r'backbone.stages.4.0.norm.norms.\1.\2'),
        (r'classifier\.module\.(\w+)', r'head.fc.\1'),
    )
    return _substitute(rules, key)


class Source(NamedTuple):
    """Whose names, a name that tells them from the later ones, and how to rename."""

    name: str
    marker: str
    rename: Callable


SOURCES = (
    Source("the authors' ReXNet-lite", 'output.4.weight', _rename_authors_rexnet),
    Source("the authors' ReXNet", 'features.3.out.0.weight', _rename_authors_rexnet),
    Source("timm's ReXNet", 'features.0.conv_dw.conv.weight', _rename_timm),
    Source("the authors' ScaleNet", 'layer1.0.conv2.0.weight', _rename_scalenet),
    Source("the authors' SAN ResNet", 'layer1.0.fc1.weight', _rename_san_resnet),
    Source("the authors' SAN MobileNetV2", 'features.1.fc1.weight', _rename_san_mobilenet),
)
