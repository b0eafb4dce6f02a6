"""Which checkpoints a run reads, and how: safely, and compared with the model."""

import re

from mmengine.config import Config
from mmengine.runner import CheckpointLoader

from mmscale import checkpoints
from mmscale.errors import UserError
from mmscale.families import is_backbone
from mmscale.models.init_cfg import is_pretrained
from mmscale.registry import SCOPE


def guard_weights(cfg: Config) -> None:
    """Have every checkpoint that an init_cfg of the model names read by this package.

    This package's models compare what they load; the checkpoint of a whole detector is loaded as
    `load_from` is, which compares too.
    """
    model = cfg.model
    whole = model.get('init_cfg')
    if isinstance(whole, dict) and is_pretrained(whole) and not _is_own(model):
        if not cfg.get('load_from') and whole.get('checkpoint'):
            cfg.load_from = whole['checkpoint']
            cfg.resume = False  # there is nothing to resume
        model.init_cfg = None
    for node in _nodes(model):
        if _is_own(node):
            continue
        _guard(node, 'pretrained')  # mmpretrain's word for it
        entries = node.get('init_cfg')
        for entry in entries if isinstance(entries, (list, tuple)) else [entries]:
            if isinstance(entry, dict) and is_pretrained(entry):
                _guard(entry, 'checkpoint')


def _guard(node, key):
    """Put this package's scheme before the checkpoint that a config names under a key."""
    given = node.get(key)
    if given and isinstance(given, str) and not _is_mmengines(given):
        node[key] = f'{checkpoints.SCHEME}{checkpoints.find_file(given)}'


def load_from(cfg: Config, checkpoint: str, *, whole: bool) -> None:
    """Have mmengine load a checkpoint as this package reads it, and end if it does not fit.

    Args:
        cfg (mmengine.Config): The run's; it is changed.
        checkpoint (str): As :func:`mmscale.checkpoints.find_file` takes it.
        whole (bool): Every tensor of the model has to be in it, not only the backbone's.

    Raises:
        UserError: If it is not there; or if mmengine itself would read it, and may run what it
            carries (see :func:`mmscale.checkpoints.trusting`).
    """
    checkpoint = str(checkpoint)
    if not _is_mmengines(checkpoint):
        checkpoint = f'{checkpoints.SCHEME}{checkpoints.find_file(checkpoint)}'
    elif not checkpoints.is_trusted():
        raise UserError(
            f'checkpoint {checkpoint!r} would be read by mmengine, which runs code that it may '
            'carry; fetch it and give the file, or say --trust-checkpoint'
        )
    cfg.load_from = checkpoint
    hook = dict(type='mmscale.CheckpointFitHook', whole=whole, exact=cfg.get('resume', False))
    cfg.custom_hooks = [*cfg.get('custom_hooks', []), hook]


def _nodes(value):
    """Every dict inside `value`, itself first."""
    if isinstance(value, dict):
        yield value
    if isinstance(value, (dict, list, tuple)):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _nodes(inner)


def _is_own(node):
    return is_backbone(node) or str(node.get('type')).startswith(f'{SCOPE}.')


def _is_mmengines(checkpoint):
    """Whether it is in one of the stores that mmengine knows by a scheme: torchvision://resnet50."""
    scheme = re.match(r'[\w-]+://', str(checkpoint))
    known = scheme and scheme[0] in CheckpointLoader._schemes
    return bool(known) and not str(checkpoint).startswith(('http', checkpoints.TIMM_SCHEME))
