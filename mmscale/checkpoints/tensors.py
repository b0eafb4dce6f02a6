"""The tensors of a checkpoint's content under this package's names, whatever wraps them."""

from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

import torch

from mmscale.checkpoints.names import SOURCES, convert
from mmscale.checkpoints.reading import find_file, read_file
from mmscale.errors import UserError

OWN = 'mmscale'
WRAPPERS = ('state_dict', 'model', 'model_state_dict', 'module', 'net', 'weights')
PREFIXES = ('module.', '_orig_mod.', 'model.')
DEPTH = 8  # of wrappers inside each other


class Weights(NamedTuple):
    """`source` says whose names the file had, '' if they are unknown; `state_dict` has ours."""

    source: str
    state_dict: dict[str, torch.Tensor]


def weights(content: dict[str, Any], prefix: str | None = None) -> Weights:
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
    backbone = without('backbone.', state)
    rest = {key: v for key, v in state.items() if not key.startswith('backbone.')}
    for names, others in ((state, {}), (backbone, rest)):
        if any(source.marker in names for source in SOURCES):
            source, converted = convert(names)
            return Weights(source, {**converted, **others})
    if is_own(state):
        return Weights(OWN, {f'backbone.{key}': value for key, value in state.items()})
    return Weights(OWN if is_own(backbone) else '', state)


def is_own(names: Collection[str]) -> bool:
    stem = 'stem.conv.weight' in names or 'stem.conv.generator.weight' in names
    return stem and any(name.startswith('stages.0.') for name in names)


def read_weights(
    source: str | Path, *, prefix: str | None = None, trust: bool = False
) -> tuple[dict[str, Any], Weights]:
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
        state = without(common[0], state)
    return state


def _part(prefix, state):
    """What `prefix` chooses of the names as they are, or else without their common wrappers."""
    for names in (state, _unwrapped(state)):
        if chosen := without(prefix, names):
            return chosen
    first = sorted({key.partition('.')[0] for key in state})
    raise UserError(f'no name in it begins with prefix={prefix!r}, but {first}')


def without(prefix: str, state: dict[str, Any]) -> dict[str, Any]:
    """Those whose names begin with `prefix`, stripped of it."""
    return {key[len(prefix) :]: v for key, v in state.items() if key.startswith(prefix)}
