"""What a model's `init_cfg` says: a checkpoint to load, and rules for what has no weights."""

from typing import Any

from mmengine.model import BaseModule, PretrainedInit

from mmscale.errors import UserError
from mmscale.registry import SCOPE, WEIGHT_INITIALIZERS

InitCfg = dict[str, Any] | list[dict[str, Any]] | None  # as in mmengine

PRETRAINED_KEYS = ('type', 'checkpoint', 'prefix', 'map_location', 'trust_checkpoint')


def is_pretrained(cfg: dict[str, Any]) -> bool:
    """Whether an entry of an init_cfg names a checkpoint; ``mmengine.Pretrained`` counts too."""
    kind = cfg.get('type')
    return kind is PretrainedInit or str(kind).rpartition('.')[2] == 'Pretrained'


def pretrained_cfg(init_cfg: Any) -> dict[str, Any] | None:
    """The `Pretrained` entry of an init_cfg, checked, or None.

    Raises:
        UserError: If it is not a dict with a type, names several checkpoints or none, or has a key
            that means nothing.
    """
    entries = init_cfg if isinstance(init_cfg, (list, tuple)) else [init_cfg or {}]
    found: list = []
    for cfg in entries:
        if not isinstance(cfg, dict) or (cfg and 'type' not in cfg):
            raise UserError(
                f"init_cfg={init_cfg!r} must be a dict such as dict(type='Pretrained', "
                'checkpoint=FILE), or a list of such'
            )
        if is_pretrained(cfg):
            unknown = [key for key in cfg if key not in PRETRAINED_KEYS]
            if unknown or 'checkpoint' not in cfg:
                raise UserError(
                    f'init_cfg={dict(cfg)} must be dict(type="Pretrained", checkpoint=...), '
                    f'with no other keys than {PRETRAINED_KEYS[2:]}'
                )
            found.append(cfg)
    if len(found) > 1:
        raise UserError(f'init_cfg={init_cfg!r} names more than one checkpoint')
    return found[0] if found else None


def other_rules(init_cfg: Any) -> list[dict[str, Any]] | None:
    """The entries of an init_cfg that name no checkpoint, or None."""
    entries = init_cfg if isinstance(init_cfg, (list, tuple)) else [init_cfg or {}]
    pretrained = pretrained_cfg(init_cfg)
    return [cfg for cfg in entries if cfg and cfg is not pretrained] or None


def load_pretrained(module: BaseModule) -> bool:
    """Load what the module's `init_cfg` names (see :mod:`mmscale.checkpoints.initializer`).

    Returns:
        bool: Whether it named a checkpoint; ``checkpoint=None`` is one line in the log.
    """
    cfg = pretrained_cfg(module.init_cfg)
    if cfg is None:
        return False
    # By name, as hooks and transforms are found: checkpoints know the models, not the reverse.
    initialise = WEIGHT_INITIALIZERS.build(dict(cfg, type=f'{SCOPE}.Pretrained'))
    initialise(module)
    return cfg['checkpoint'] is not None
