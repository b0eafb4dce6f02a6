"""A SAN's norms, one for each resolution: which ones a file has, and in the order of a model."""

import logging
import re
from collections.abc import Iterable, Sequence

import torch
from mmengine.logging import print_log
from torch import nn

from mmscale.checkpoints.tensors import OWN, Weights
from mmscale.models.backbones.san import RESOLUTIONS
from mmscale.utils.texts import parse_json


def resolutions_in(content: dict, state: Weights) -> list[int] | None:
    """The resolutions of a SAN's norms, in their order; None if `state` is none, or nothing says.

    Args:
        content (dict): Of the file: ``meta.resolutions`` says.
        state (Weights): Of `content`; the authors' files have the published ones.
    """
    meta = content.get('meta')
    known = meta.get('resolutions') if isinstance(meta, dict) else None
    if isinstance(known, str):  # safetensors hold texts
        try:
            known = parse_json(known)
        except ValueError:
            return None
    if known is None and state.source not in ('', OWN):
        known = RESOLUTIONS
    if not isinstance(known, (list, tuple)) or any(type(side) is not int for side in known):
        return None
    if len(known) != norm_count(state.state_dict):
        return None
    return list(known)


def in_order_of(
    model: nn.Module, state_dict: dict[str, torch.Tensor], known: Sequence[int] | None
) -> dict[str, torch.Tensor]:
    """A SAN's tensors with the norms in the order of the model's `resolutions`.

    Args:
        model (nn.Module): A SAN, or what has one as `backbone`; for others nothing changes.
        state_dict (dict[str, Tensor]): By :func:`mmscale.checkpoints.weights`.
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


def norm_count(state_dict: Iterable[str]) -> int:
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
