"""Fitting a checkpoint's tensors to a model: what matches, and what does not."""

import logging
import re
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.logging import print_log
from torch import nn

from mmscale.checkpoints.damage import require_finite
from mmscale.checkpoints.identifying import describe
from mmscale.checkpoints.san_norms import in_order_of, norm_count, resolutions_in
from mmscale.checkpoints.stems import adapted
from mmscale.checkpoints.tensors import Weights, read_weights
from mmscale.errors import UserError, without_secrets

# Counts batches; nothing is computed from it, and old files do not have it.
OPTIONAL = '.num_batches_tracked'
SHOWN = 3  # differences that a message lists


class Fit(NamedTuple):
    """How a state dict fits a model, by the model's names.

    Attributes:
        matched (list[str]): Same name and shape.
        missing (list[str]): The model's, not in the file.
        misshapen (dict[str, tuple]): Shape in the file and in the model, where they differ.
        left_out (list[str]): The file's, not in the model.
    """

    matched: list[str]
    missing: list[str]
    misshapen: dict[str, tuple]
    left_out: list[str]

    def differences(self, within: str = '') -> list[str]:
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


def fit(model: nn.Module, state_dict: dict[str, torch.Tensor]) -> Fit:
    """Compare a model with a state dict of the same naming, by names and shapes.

    Args:
        model (nn.Module): Nothing is loaded into it.
        state_dict (dict[str, Tensor]): What could be.

    Returns:
        Fit: The comparison.
    """
    matched: list[str] = []
    missing: list[str] = []
    misshapen: dict[str, tuple] = {}
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


def load(
    module: nn.Module,
    source: str | Path,
    *,
    prefix: str | None = None,
    trust: bool = False,
    whole: bool = False,
) -> Fit:
    """Load a backbone's or classifier's weights from any file of its architecture, or fail.

    Args:
        module (nn.Module): One of this package's backbones, or a model that has one as `backbone`.
        source, prefix, trust: As in :func:`mmscale.checkpoints.read_weights`.
        whole (bool): Every tensor of the model has to be in the file, not only the backbone's.

    Returns:
        Fit: What was loaded; it is logged too.

    Raises:
        UserError: If the file cannot be read, or lacks one of these tensors in its shape. Nothing
            is loaded then.
    """
    content, state = read_weights(source, prefix=prefix, trust=trust)
    return load_content(module, content, state, str(source), whole=whole)


def load_content(
    module: nn.Module, content: dict[str, Any], state: Weights, source: str, *, whole: bool = False
) -> Fit:
    """:func:`load` of what :func:`mmscale.checkpoints.read_weights` has returned.

    Args:
        module, whole: As in :func:`load`.
        content, state: As they were read.
        source (str): Their file, for messages.

    Raises:
        UserError: If a tensor is missing or has another shape.
    """
    whole_file = in_order_of(module, state.state_dict, resolutions_in(content, state))
    part, tensors = 'backbone.', whole_file
    if not hasattr(module, 'backbone'):
        tensors = {key.removeprefix(part): value for key, value in tensors.items()}
        part = ''
    tensors = adapted(getattr(module, 'backbone', module), tensors, part)
    named = without_secrets(f'{source} ({state.source})' if state.source else str(source))
    result = require_fit(module, tensors, named, required='' if whole else part)
    module.load_state_dict({name: tensors[name] for name in result.matched}, strict=False)
    return result


def require_fit(
    model: nn.Module,
    state_dict: dict[str, torch.Tensor],
    named: str,
    *,
    required: str,
    exact: bool = False,
) -> Fit:
    """The one place that refuses a wrong checkpoint; how a right one fits is logged.

    Args:
        model (nn.Module): Nothing is loaded into it.
        state_dict (dict[str, Tensor]): The file's tensors, by the model's names.
        named (str): The file, for the message.
        required (str): Where the names begin that have to be matched, '' for all of them.
        exact (bool): The file may hold nothing else.

    Returns:
        Fit: The comparison.

    Raises:
        UserError: If a tensor that has to be matched is not, the file has more inside the stages
            that the model has, or a tensor that matches is not finite.
    """
    result = fit(model, state_dict)
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
    require_finite({name: state_dict[name] for name in result.matched}, named)
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
    return result


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


def variant_of(model: nn.Module) -> str:
    """The name of a model's architecture, for messages: ``ReXNet 1.0``."""
    backbone = getattr(model, 'backbone', model)
    name = getattr(backbone, 'variant', type(backbone).__name__)
    return name if backbone is model else f'{type(model).__name__} with {name}'
