"""Once and for all: any known classifier file to one with this package's names and its origin."""

from pathlib import Path
from typing import Any, NamedTuple

import torch

from mmscale.checkpoints.damage import require_finite
from mmscale.checkpoints.fitting import OPTIONAL
from mmscale.checkpoints.identifying import describe, identify
from mmscale.checkpoints.names import UNUSED
from mmscale.checkpoints.reading import find_file, sha256
from mmscale.checkpoints.san_norms import resolutions_in
from mmscale.checkpoints.tensors import read_weights
from mmscale.errors import UserError
from mmscale.utils.files import check_out, written_aside

SUFFIXES = ('.pth', '.safetensors')
CLASSIFIER = ('head.fc.weight', 'head.layers.1.fc.weight')
CONFIGS = Path(__file__).parents[1] / '.mim/configs/classification'
HIDDEN = 1024  # of ReXNet-lite's head


class Converted(NamedTuple):
    """What was written: `config` builds the classifier that it fits, with `num_classes`."""

    path: Path
    source: str
    architecture: str
    config: str
    num_classes: int


def convert_file(source: str | Path, out: str | Path, *, trust: bool = False) -> Converted:
    """Write a classifier's weights under this package's names, with their origin in ``meta``.

    Args:
        source (str | Path): As :func:`mmscale.checkpoints.find_file` takes it.
        out (str | Path): A .pth (``state_dict`` and ``meta``) or .safetensors file.
        trust (bool): As in :func:`mmscale.checkpoints.read_file`.

    Returns:
        Converted: It loads strictly into the model of ``configs/classification/{config}``, which is
        None where there is no config for it.

    Raises:
        UserError: If the file is not a whole classifier of a published network, or has weights that
            are not finite. Nothing is written.
    """
    check_out(out, SUFFIXES)
    path = find_file(source)
    written = check_out(out, inputs=[path])
    content, read = read_weights(path, trust=trust)
    known, state_dict = read
    state_dict = {k: v for k, v in state_dict.items() if not k.startswith(UNUSED)}
    variant = identify(state_dict)
    if variant is None:
        look = describe(state_dict)
        raise UserError(
            f'{source} is not a published network of ReXNet, ReXNet-lite, ScaleNet or SAN'
            + (f'; it looks like {look}' if look else f', with names such as {[*state_dict][:3]}')
        )
    state_dict, num_classes = _whole(source, state_dict, variant)
    require_finite(state_dict, str(source))
    config = f'{variant.config}_in1k'
    meta = dict(
        source=f'{path.name} ({known})',
        sha256=sha256(path),
        architecture=variant.label,
        config=config if (CONFIGS / f'{config}.py').is_file() else None,
        num_classes=num_classes,
    )
    earlier: Any = content.get('meta')
    earlier = earlier if isinstance(earlier, dict) else {}
    if earlier.keys() >= meta.keys():  # it was converted before
        meta |= {key: earlier[key] for key in ('source', 'sha256')}
    resolutions = resolutions_in(content, read)
    if resolutions:
        meta['resolutions'] = resolutions
    # Clones, as safetensors takes no memory that two tensors share.
    tensors = {key: value.clone().contiguous() for key, value in state_dict.items()}
    try:
        with written_aside(written) as temporary:
            _write(temporary, tensors, meta)
    except (OSError, RuntimeError, KeyError) as error:
        raise UserError(f'{str(written)!r} cannot be written ({error!r:.200})') from error
    return Converted(written, known, variant.label, meta['config'], num_classes)


def _whole(source, state_dict, variant):
    """The classifier's tensors, each checked, and the number of classes."""
    with torch.device('meta'):
        backbone = variant.build()
    shapes = {f'backbone.{name}': value.shape for name, value in backbone.state_dict().items()}
    last = next((name for name in CLASSIFIER if name in state_dict), None)
    classes = len(state_dict[last]) if last and state_dict[last].ndim == 2 else 0
    shapes |= _head_shapes(last == CLASSIFIER[1], backbone.out_channels[-1], classes)
    # Old files do not count batches.
    for name, shape in shapes.items():
        if name.endswith(OPTIONAL):
            state_dict.setdefault(name, torch.zeros(shape, dtype=torch.long))
    wrong = [
        n for n, shape in shapes.items() if n not in state_dict or state_dict[n].shape != shape
    ]
    if wrong or not classes:
        raise UserError(
            f'{source} is {variant.label}, but not a whole classifier: it lacks '
            f'{(wrong or ["head.fc.weight"])[0]} in its shape. There is no need to convert it: '
            'init_cfg of a backbone takes the file as it is'
        )
    strange = [name for name in state_dict if name not in shapes]
    if strange:
        raise UserError(f'{source} holds more than a classifier: {strange[:3]}')
    return {name: state_dict[name] for name in shapes}, classes


def _head_shapes(hidden, channels, classes):
    if not hidden:
        return {'head.fc.weight': (classes, channels), 'head.fc.bias': (classes,)}
    norm: dict[str, tuple[int, ...]] = dict.fromkeys(
        ('weight', 'bias', 'running_mean', 'running_var'), (HIDDEN,)
    )
    norm['num_batches_tracked'] = ()
    return {
        'head.layers.0.fc.weight': (HIDDEN, channels),
        'head.layers.0.fc.bias': (HIDDEN,),
        **{f'head.layers.0.norm.{name}': shape for name, shape in norm.items()},
        'head.layers.1.fc.weight': (classes, HIDDEN),
        'head.layers.1.fc.bias': (classes,),
    }


def _write(path, state_dict, meta):
    if path.suffix == '.pth':
        torch.save(dict(state_dict=state_dict, meta=meta), path)
        return
    from safetensors.torch import save_file

    save_file(state_dict, path, {key: str(value) for key, value in meta.items()})
