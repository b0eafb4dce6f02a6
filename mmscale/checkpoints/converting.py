"""Once and for all: any known classifier file to one with this package's names and its origin."""

from pathlib import Path
from typing import NamedTuple

import torch

from mmscale.checkpoints.fitting import describe, identify, read_weights
from mmscale.checkpoints.names import UNUSED
from mmscale.checkpoints.reading import find_file, sha256
from mmscale.errors import UserError
from mmscale.files import written_aside

SUFFIXES = ('.pth', '.safetensors')
CLASSIFIER = ('head.fc.weight', 'head.layers.1.fc.weight')  # ReXNet-lite's has a hidden layer


class Converted(NamedTuple):
    """What was written: `config` builds the classifier that it fits, with `num_classes`."""

    path: Path
    source: str
    architecture: str
    config: str
    num_classes: int


def convert_file(source, out, *, trust=False):
    """Write a classifier's weights under this package's names, with their origin in ``meta``.

    Args:
        source (str | Path): As :func:`mmscale.checkpoints.find_file` takes it.
        out (str | Path): A .pth (``state_dict`` and ``meta``) or .safetensors file.
        trust (bool): As in :func:`mmscale.checkpoints.read_file`.

    Returns:
        Converted: It loads strictly into the model of ``configs/classification/{config}``.

    Raises:
        UserError: If the file is no whole classifier of a published network. Nothing is written.
    """
    out = Path(out)
    if out.suffix not in SUFFIXES:
        raise UserError(f'{str(out)!r} must end in one of {SUFFIXES}')
    if not out.parent.is_dir():
        raise UserError(f'folder {str(out.parent)!r} for {out.name!r} is missing')
    path = find_file(source)
    if out.exists() and out.samefile(path):
        raise UserError(f'{str(out)!r} is the file to convert; give another name')
    _, (known, state_dict) = read_weights(path, trust=trust)
    state_dict = {k: v for k, v in state_dict.items() if not k.startswith(UNUSED)}
    variant = identify(state_dict)
    if variant is None:
        look = describe(state_dict)
        raise UserError(
            f'{source} is no published network of ReXNet, ReXNet-lite or ScaleNet'
            + (f'; it looks like {look}' if look else f', with names such as {[*state_dict][:3]}')
        )
    num_classes = _check_whole(source, state_dict, variant)
    meta = dict(
        source=f'{path.name} ({known})',
        sha256=sha256(path),
        architecture=variant.label,
        config=f'{variant.config}_in1k',
        num_classes=num_classes,
    )
    with written_aside(out) as temporary:
        _write(temporary, {key: value.contiguous() for key, value in state_dict.items()}, meta)
    return Converted(out, known, variant.label, meta['config'], num_classes)


def _check_whole(source, state_dict, variant):
    """The number of classes, once every tensor of the classifier is there."""
    with torch.device('meta'):
        expected = [f'backbone.{name}' for name in variant.build().state_dict()]
    missing = [name for name in expected if name not in state_dict]
    classifier = next((name for name in CLASSIFIER if name in state_dict), None)
    if missing or classifier is None:
        raise UserError(
            f'{source} is {variant.label}, but no whole classifier: it lacks '
            f'{(missing or ["head.fc.weight"])[0]}. There is no need to convert it: init_cfg of a '
            'backbone takes the file as it is'
        )
    strange = [name for name in state_dict if not name.startswith(('backbone.', 'head.'))]
    if strange:
        raise UserError(f'{source} holds more than a classifier: {strange[:3]}')
    return len(state_dict[classifier])


def _write(path, state_dict, meta):
    if path.suffix == '.pth':
        torch.save(dict(state_dict=state_dict, meta=meta), path)
        return
    from safetensors.torch import save_file

    save_file(state_dict, path, {key: str(value) for key, value in meta.items()})
