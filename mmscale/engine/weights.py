"""Which checkpoints a run reads, and how: safely, and compared with the model."""

from mmengine.config import Config

from mmscale import checkpoints
from mmscale.checkpoints.stores import is_mmengines, scheme_of
from mmscale.errors import without_secrets
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
        entries = node.get('init_cfg')
        named = [
            entry
            for entry in (entries if isinstance(entries, (list, tuple)) else [entries])
            if isinstance(entry, dict) and is_pretrained(entry)
        ]
        if _is_own(node):
            for entry in named:  # an address may have a password, and the log has the config
                if scheme_of(str(entry.get('checkpoint'))) in ('http', 'https'):
                    entry['checkpoint'] = str(checkpoints.find_file(entry['checkpoint']))
            continue
        for key in ('pretrained', 'teacher_ckpt'):  # mmpretrain's word for it, and distillation's
            _guard(node, key)
        for entry in named:
            _guard(entry, 'checkpoint')


def hide_secrets(cfg: Config) -> None:
    """Take passwords and tokens out of the addresses in a model's config, which is not to load."""
    for node in _nodes(cfg.model):
        for key, value in node.items():
            if isinstance(value, str):
                node[key] = without_secrets(value)


def _guard(node, key):
    """Put this package's scheme before the checkpoint that a config names under a key."""
    given = node.get(key)
    if given and isinstance(given, str):
        node[key] = _guarded(given)


def _guarded(given):
    if given.startswith(checkpoints.SCHEME) or (checkpoints.is_trusted() and is_mmengines(given)):
        return given
    return f'{checkpoints.SCHEME}{checkpoints.find_file(given)}'


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
    cfg.load_from = _guarded(str(checkpoint))
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
