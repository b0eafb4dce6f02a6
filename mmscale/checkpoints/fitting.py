"""Fitting a checkpoint's tensors to a model: what matches, what does not, and what the file is."""

import json
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
DEPTH = 8  # of wrappers inside each other


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
    for _ in range(DEPTH):
        inner = [content[key] for key in WRAPPERS if isinstance(content.get(key), dict)]
        content = inner[0] if inner else content
    state = {
        key: value
        for key, value in content.items()
        if isinstance(key, str) and isinstance(value, torch.Tensor)
    }
    if not state:
        raise UserError(f'no named tensors in it, only {sorted(map(str, content))[:5]}')
    if prefix:
        state = _part(prefix if prefix.endswith('.') else f'{prefix}.', state)
    state = _unwrapped(state)
    backbone = _without('backbone.', state)
    rest = {key: v for key, v in state.items() if not key.startswith('backbone.')}
    for names, others in ((state, {}), (backbone, rest)):
        if any(source.marker in names for source in SOURCES):
            source, converted = convert(names)
            return Weights(source, {**converted, **others})
    if _is_own(state):
        return Weights(OWN, {f'backbone.{key}': value for key, value in state.items()})
    return Weights(OWN if _is_own(backbone) else '', state)


def _is_own(names):
    stem = 'stem.conv.weight' in names or 'stem.conv.generator.weight' in names
    return stem and any(name.startswith('stages.0.') for name in names)


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


def _unwrapped(state):
    while common := [p for p in PREFIXES if all(key.startswith(p) for key in state)]:
        state = _without(common[0], state)
    return state


def _part(prefix, state):
    """What `prefix` chooses of the names as they are, or else without their common wrappers."""
    for names in (state, _unwrapped(state)):
        if chosen := _without(prefix, names):
            return chosen
    first = sorted({key.partition('.')[0] for key in state})
    raise UserError(f'no name in it begins with prefix={prefix!r}, but {first}')


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
        elif state_dict[name].is_floating_point() != value.is_floating_point():
            misshapen[name] = (state_dict[name].dtype, value.dtype)
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
    content, state = read_weights(source, prefix=prefix, trust=trust)
    whole_file = in_order_of(module, state.state_dict, resolutions_in(content, state))
    part, tensors = 'backbone.', whole_file
    if not hasattr(module, 'backbone'):
        tensors = {key.removeprefix(part): value for key, value in tensors.items()}
        part = ''
    result = fit(module, tensors)
    named = f'{source} ({state.source})' if state.source else str(source)
    report(module, result, whole_file, named, required='' if whole else part)
    module.load_state_dict({name: tensors[name] for name in result.matched}, strict=False)
    return result


def resolutions_in(content, state):
    """The resolutions of a SAN's norms, in their order; None if `state` is none, or nothing says.

    Args:
        content (dict): Of the file: ``meta.resolutions`` says.
        state (Weights): Of `content`; the authors' files have the published ones.
    """
    meta = content.get('meta')
    known = meta.get('resolutions') if isinstance(meta, dict) else None
    if isinstance(known, str):  # safetensors hold texts
        known = json.loads(known)
    if known is None and state.source not in ('', OWN):
        from mmscale.models.backbones.san import RESOLUTIONS as known
    if not isinstance(known, (list, tuple)) or len(known) != norm_count(state.state_dict):
        return None
    return list(known)


def in_order_of(model, state_dict, known):
    """A SAN's tensors with the norms in the order of the model's `resolutions`.

    Args:
        model (nn.Module): A SAN, or what has one as `backbone`; for others nothing changes.
        state_dict (dict[str, Tensor]): By :func:`weights`.
        known (Sequence[int] | None): The file's resolutions (see :func:`resolutions_in`).

    Returns:
        dict[str, Tensor]: The model's resolutions alone; all as they are, with a warning, if the
        file has not all of them.
    """
    wanted = getattr(getattr(model, 'backbone', model), 'resolutions', None)
    if wanted is None or not known or list(wanted) == list(known):
        return state_dict
    if not set(wanted) <= set(known):
        print_log(
            f'the norms of the file are those of {known} px, the model has {list(wanted)}: they '
            'are taken by their positions',
            logger='current',
            level=logging.WARNING,
        )
        return state_dict
    dropped = [resolution for resolution in known if resolution not in wanted]
    if dropped:
        print_log(f"left out: the file's norms for {dropped} px", logger='current')
    numbers = {known.index(resolution): i for i, resolution in enumerate(wanted)}
    return _renumbered(state_dict, numbers)


def norm_count(state_dict):
    """How many resolutions a SAN's tensors have norms for; 0 if it is none."""
    return len(re.findall(r'stem\.norm\.norms\.\d+\.weight', '\n'.join(state_dict)))


def _renumbered(state_dict, numbers):
    """Norm number i under number ``numbers[i]``; norms without a number go."""
    found = {}
    for name, value in state_dict.items():
        before, inside, after = name.partition('.norms.')
        number, _, rest = after.partition('.')
        if not inside:
            found[name] = value
        elif int(number) in numbers:
            found[f'{before}{inside}{numbers[int(number)]}.{rest}'] = value
    return found


def report(model, result, state_dict, named, *, required, exact=False):
    """Log how a file fits a model, or raise if it does not.

    Args:
        model (nn.Module): The model.
        result (Fit): Of `model`.
        state_dict (dict[str, Tensor]): The file's tensors, by :func:`weights`.
        named (str): The file, for the message.
        required (str): Where the names begin that have to be matched, '' for all of them.
        exact (bool): The file may hold nothing else.

    Raises:
        UserError: If one that has to be matched is not, or the file has more inside the stages that
            the model has.
    """
    total = len(result.matched) + len(result.missing) + len(result.misshapen)
    variant = variant_of(model)
    text = f'matched {len(result.matched)} of {total} tensors of {variant} from {named}'
    surplus = result.left_out if exact else _surplus(model, result.left_out)
    wrong = result.differences(required) + [f'{name} is not in the model' for name in surplus]
    if not any(name.startswith(required) for name in result.matched):
        wrong = wrong or [f'no tensor of the model whose name begins with {required!r} is matched']
    if wrong:
        more = f', and {len(wrong) - SHOWN} more' if len(wrong) > SHOWN else ''
        look = describe(state_dict)
        known = look is not None and not variant.endswith(look)
        looks = f' It looks like {look}; this model is {variant}.' if known else ''
        looks += _norms(model, state_dict)
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


def _surplus(model, left_out):
    """The file's tensors inside the stem and stages that the model has too, but smaller."""
    backbone = getattr(model, 'backbone', model)
    part = '' if backbone is model else 'backbone.'
    built = ['stem', *(f'stages.{i}' for i in range(len(getattr(backbone, 'stages', ()))))]
    places = tuple(f'{part}{name}.' for name in built) if hasattr(backbone, 'variant') else ()
    return [name for name in left_out if places and name.startswith(places)]


def _norms(model, state_dict):
    """What to say where a SAN has norms for another number of resolutions."""
    own = getattr(getattr(model, 'backbone', model), 'resolutions', ())
    count = norm_count(state_dict)
    if not own or count in (0, len(own)):
        return ''
    return (
        f' It has norms for {count} resolutions, the model for {list(own)}: give resolutions= all '
        "of the file's, and resolution= for one of them."
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
    best, likeness = None, 0.5
    for backbone in BACKBONES:
        for variant in backbone.variants():
            with torch.device('meta'):
                reference = variant.build().state_dict()
            shared = [name for name in reference if name in found]
            # Smaller networks of a family are parts of larger ones: names count both ways.
            alike = len(shared) / len(reference.keys() | found.keys())
            if alike > likeness and all(found[n] == reference[n].shape for n in shared):
                best, likeness = variant, alike
    return best


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
    if _is_own(backbone):
        stem = next(v for k, v in backbone.items() if k.startswith('stem.conv.')).shape[0]
        branches = [name for name in backbone if name.startswith('stages.0.0.aggregate.branches.')]
        if branches:
            neurons = [len(backbone[name]) for name in branches if name.endswith('conv.weight')]
            return f'a ScaleNet of no published structure or width, whose first row is {neurons}'
        if any('.norms.' in name for name in backbone):
            return 'a SAN of another number of resolutions or another depth'
        return f'a ReXNet of no published width or depth, whose stem has {stem} channels'
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
    known = resolutions_in(content, state)
    meta = {**(meta or {}), **(dict(resolutions=known) if known else {})}
    return {**content, 'state_dict': state.state_dict, 'meta': meta}
