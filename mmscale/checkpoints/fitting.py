"""Fitting a checkpoint's tensors to a model: what matches, what does not, and what the file is."""

import logging
import re
from collections import Counter
from typing import NamedTuple

import torch
from mmengine.logging import print_log
from mmengine.runner.checkpoint import CheckpointLoader

from mmscale.checkpoints.names import SOURCES, convert
from mmscale.checkpoints.reading import TIMM_SCHEME, find_file, read_file
from mmscale.errors import UserError

# Has mmengine's Runner read a checkpoint through this package: mmscale:PATH.
SCHEME = 'mmscale:'
TRUSTED = 'mmscale-trusted:'
OWN = 'mmscale'
WRAPPERS = ('state_dict', 'model', 'model_state_dict', 'module', 'net', 'weights')
PREFIXES = ('module.', '_orig_mod.', 'model.')
# Counts batches; nothing is computed from it, and old files do not have it.
OPTIONAL = '.num_batches_tracked'
SHOWN = 3  # differences that a message lists


class Weights(NamedTuple):
    """`source` says whose names the file had, '' if they are unknown; `state_dict` has ours."""

    source: str
    state_dict: dict


class Fit(NamedTuple):
    """How a state dict fits a model, by the model's names.

    Attributes:
        matched (list[str]): Same name and shape.
        missing (list[str]): The model's, not in the file.
        misshapen (dict[str, tuple]): Shape in the file and in the model, where they differ.
        left_out (list[str]): The file's, not in the model.
    """

    matched: list
    missing: list
    misshapen: dict
    left_out: list

    def differences(self, within=''):
        """Sentences about the model's tensors whose names begin with `within`."""
        lines = [
            f'{name} is {file} in the file and {model} in the model'
            for name, (file, model) in self.misshapen.items()
            if name.startswith(within)
        ]
        missing = [
            name for name in self.missing if name.startswith(within) and not name.endswith(OPTIONAL)
        ]
        return lines + [f'{name} is not in the file' for name in missing]


def weights(content, prefix=None):
    """The tensors of a checkpoint under this package's names.

    Args:
        content (dict): As :func:`mmscale.checkpoints.read_file` returns it: a state dict, bare or
            inside ``state_dict`` or ``model``; names may begin with ``module.`` or ``backbone.``.
        prefix (str, optional): Take only names that begin with it, and strip it.

    Returns:
        Weights: A known source's tensors as a classifier's or detector's (``backbone.``, ``head.``,
        ...); names that are unknown stay as they are.

    Raises:
        UserError: If there are no tensors, or (under `prefix`) none of that name.
    """
    while inner := [content[key] for key in WRAPPERS if isinstance(content.get(key), dict)]:
        content = inner[0]
    state = {
        key: value
        for key, value in content.items()
        if isinstance(key, str) and isinstance(value, torch.Tensor)
    }
    if not state:
        raise UserError(f'no named tensors in it, only {sorted(map(str, content))[:5]}')
    while common := [p for p in PREFIXES if all(key.startswith(p) for key in state)]:
        state = _without(common[0], state)
    if prefix:
        first = sorted({key.partition('.')[0] for key in state})
        state = _without(prefix, state)
        if not state:
            raise UserError(f'no name in it begins with prefix={prefix!r}, but {first}')
    backbone = _without('backbone.', state)
    rest = {key: v for key, v in state.items() if not key.startswith('backbone.')}
    for names, others in ((state, {}), (backbone, rest)):
        if any(source.marker in names for source in SOURCES):
            source, converted = convert(names)
            return Weights(source, {**converted, **others})
    if 'stem.conv.weight' in state and any(key.startswith('stages.0.') for key in state):
        return Weights(OWN, {f'backbone.{key}': value for key, value in state.items()})
    if 'stem.conv.weight' in backbone and any(key.startswith('stages.0.') for key in backbone):
        return Weights(OWN, state)
    return Weights('', state)


def read_weights(source, *, prefix=None, trust=False):
    """A checkpoint from any place, with :func:`weights` of its content.

    Args:
        source (str | Path): As :func:`mmscale.checkpoints.find_file` takes it.
        prefix (str, optional): As in :func:`weights`.
        trust (bool): As in :func:`mmscale.checkpoints.read_file`.

    Returns:
        tuple[dict, Weights]: The content as it is, and its tensors.

    Raises:
        UserError: If it cannot be read, or holds no tensors or strange ones; it names the file.
    """
    content = read_file(find_file(source), trust=trust)
    try:
        return content, weights(content, prefix)
    except ValueError as error:
        raise UserError(f'{source}: {error}') from error


def _without(prefix, state):
    """Those whose names begin with `prefix`, stripped of it."""
    return {key[len(prefix) :]: v for key, v in state.items() if key.startswith(prefix)}


def fit(model, state_dict):
    """Compare a model with a state dict of the same naming, by names and shapes.

    Args:
        model (nn.Module): Nothing is loaded into it.
        state_dict (dict[str, Tensor]): What could be.

    Returns:
        Fit: The comparison.
    """
    matched, missing, misshapen = [], [], {}
    own = model.state_dict()
    for name, value in own.items():
        if name not in state_dict:
            missing.append(name)
        elif state_dict[name].shape != value.shape:
            misshapen[name] = (tuple(state_dict[name].shape), tuple(value.shape))
        else:
            matched.append(name)
    return Fit(matched, missing, misshapen, [name for name in state_dict if name not in own])


def load(module, source, *, prefix=None, trust=False, whole=False):
    """Load a backbone's or classifier's weights from any file of its architecture, or fail.

    Args:
        module (nn.Module): One of this package's backbones, or a model that has one as `backbone`.
        source, prefix, trust: As in :func:`read_weights`.
        whole (bool): Every tensor of the model has to be in the file, not only the backbone's.

    Returns:
        Fit: What was loaded; it is logged too.

    Raises:
        UserError: If the file cannot be read, or lacks one of these tensors in its shape. Nothing
            is loaded then.
    """
    _, state = read_weights(source, prefix=prefix, trust=trust)
    part, tensors = 'backbone.', state.state_dict
    if not hasattr(module, 'backbone'):
        tensors = {key.removeprefix(part): value for key, value in tensors.items()}
        part = ''
    result = fit(module, tensors)
    named = f'{source} ({state.source})' if state.source else str(source)
    report(module, result, state.state_dict, named, required='' if whole else part)
    module.load_state_dict({name: tensors[name] for name in result.matched}, strict=False)
    return result


def report(model, result, state_dict, named, *, required):
    """Log how a file fits a model, or raise if it does not.

    Args:
        model (nn.Module): The model.
        result (Fit): Of `model`.
        state_dict (dict[str, Tensor]): The file's tensors, by :func:`weights`.
        named (str): The file, for the message.
        required (str): Where the names begin that have to be matched, '' for all of them.

    Raises:
        UserError: If one that has to be matched is not.
    """
    total = len(result.matched) + len(result.missing) + len(result.misshapen)
    variant = variant_of(model)
    text = f'matched {len(result.matched)} of {total} tensors of {variant} from {named}'
    wrong = result.differences(required)
    if wrong:
        more = f', and {len(wrong) - SHOWN} more' if len(wrong) > SHOWN else ''
        look = describe(state_dict)
        known = look is not None and look not in variant
        looks = f' It looks like {look}; this model is {variant}.' if known else ''
        if not result.matched:
            first = sorted({name.partition('.')[0] for name in state_dict})[:5]
            looks += f' Its names begin with {first}; prefix= in init_cfg chooses a part.'
        raise UserError(
            f'{text}.{looks} {"; ".join(wrong[:SHOWN])}{more}. Nothing was loaded: give a '
            f'checkpoint of this model, or change the config to what the file holds'
        )
    if result.left_out:
        text += f'; left out, as the model has no such part: {_summary(result.left_out)}'
    print_log(text, logger='current')
    rest = result.differences()
    if rest:
        print_log(
            f'{len(rest)} tensors keep their initial values: {"; ".join(rest[:SHOWN])}'
            + (f', and {len(rest) - SHOWN} more' if len(rest) > SHOWN else ''),
            logger='current',
            level=logging.WARNING,
        )


def _summary(names):
    """``head (2), backbone.stages.4 (6)``: the parts that names belong to, and how many."""
    parts = re.findall(r'^(?:(?:backbone\.)?stages\.\d+|[^.\n]+)', '\n'.join(names), re.MULTILINE)
    return ', '.join(f'{part} ({count})' for part, count in Counter(parts).items())


def variant_of(model):
    """The name of a model's architecture, for messages: ``ReXNet 1.0``."""
    backbone = getattr(model, 'backbone', model)
    name = getattr(backbone, 'variant', type(backbone).__name__)
    return name if backbone is model else f'{type(model).__name__} with {name}'


def identify(state_dict):
    """Which published network a state dict is, by names and shapes alone.

    Args:
        state_dict (dict[str, Tensor]): As :func:`weights` returns it.

    Returns:
        Variant | None: See :class:`mmscale.models.backbones.base.Variant`.
    """
    from mmscale.models import BACKBONES

    found = {k: v.shape for k, v in _without('backbone.', state_dict).items()}
    for backbone in BACKBONES:
        for variant in backbone.variants():
            with torch.device('meta'):
                reference = variant.build().state_dict()
            shared = [name for name in reference if name in found]
            if 2 * len(shared) > len(reference) and all(
                found[name] == reference[name].shape for name in shared
            ):
                return variant
    return None


# Other programs' networks, by names that only they have.
_FOREIGN = (
    ('conv_stem.weight', 'an EfficientNet or MobileNetV3 of timm'),
    ('patch_embed.proj.weight', 'a vision transformer'),
    ('features.0.0.weight', 'a MobileNet, EfficientNet or ConvNeXt of torchvision'),
    ('stem.0.weight', 'a ConvNeXt of timm'),
)


def describe(state_dict):
    """What a state dict looks like, for a message; None if there is no telling."""
    variant = identify(state_dict)
    if variant:
        return variant.label
    backbone = _without('backbone.', state_dict)
    if 'stem.conv.weight' in backbone:
        stem = backbone['stem.conv.weight'].shape[0]
        branches = [name for name in backbone if name.startswith('stages.0.0.aggregate.branches.')]
        if branches:
            neurons = [len(backbone[name]) for name in branches if name.endswith('conv.weight')]
            return f'a ScaleNet of another structure, whose first row is {neurons}'
        return f'a ReXNet of no published width, whose stem has {stem} channels'
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


@CheckpointLoader.register_scheme(prefixes=(SCHEME, TRUSTED, TIMM_SCHEME))
def load_from_mmscale(filename, map_location=None):
    """How mmengine's Runner reads ``mmscale:SOURCE`` and ``timm://NAME``.

    Always to the CPU, from where the model takes it. The config that a checkpoint's meta quotes is
    left out: resuming would run it as Python.
    """
    trust = filename.startswith(TRUSTED)
    source = filename.removeprefix(TRUSTED).removeprefix(SCHEME)
    content, state = read_weights(source, trust=trust)
    meta = content.get('meta')
    if isinstance(meta, dict):
        meta = {key: value for key, value in meta.items() if key != 'config'}
    return {**content, 'state_dict': state.state_dict, 'meta': meta or {}}
