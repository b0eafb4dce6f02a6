"""What of the old backbone's settings goes on, and what is dropped and said."""

from collections.abc import Container, Iterator, Mapping
from typing import Any, NamedTuple

from mmscale.adapting.observing import Observed

# Backbones that count stages as this package does: 0 the stem, n all up to the n-th map.
SAME_COUNT = ('ResNet', 'SwinTransformer', 'CSPDarknet', 'CSPNeXt', 'RegNet', 'Backbone')
BATCH_NORMS = ('BN', 'BN2d', 'SyncBN', 'MMSyncBN')
# Of the old network's inside.
DROPPED = {
    'dcn': 'deformable convolutions',
    'sac': 'switchable convolutions',
    'plugins': 'plugins',
    'conv_cfg': 'convolutions of another kind',
    'drop_path_rate': 'stochastic depth',
}


class Setting(NamedTuple):
    """An argument of the new backbone, and why it has this value."""

    key: str
    value: Any
    why: str


def carried(former: Mapping[str, Any], old: Observed, weights: str | None) -> Iterator[Setting]:
    """The old backbone's settings that mean the same in the new one.

    Args:
        former (dict): The old backbone's config.
        old (Observed): The old backbone.
        weights (str, optional): What the new one starts from. Without any, nothing is frozen:
            random layers have to learn.
    """
    frozen = _frozen(old)
    if weights and frozen >= 0 and _counts_alike(old):
        yield Setting('frozen_stages', frozen, 'as in the old one, which counts stages alike')
    norm = former.get('norm_cfg') or {}
    kept = {key: norm[key] for key in ('type', 'requires_grad') if key in norm}
    if not weights or kept.get('requires_grad') is True:
        kept.pop('requires_grad', None)
    if norm.get('type') in BATCH_NORMS and kept != dict(type='BN'):
        yield Setting('norm_cfg', kept, 'as in the old one')
    channels = former.get('in_channels', 3)
    if channels != 3:
        yield Setting('in_channels', channels, 'as many as the pictures have')
    # This package's own are asked for 'auto', and become one of the others.
    if former.get('norm_eval', old.settings.get('norm_eval')) is False:
        yield Setting('norm_eval', False, 'as in the old one')
    else:
        yield Setting('norm_eval', 'auto', 'batch norms keep the statistics of weights, if any')
    if old.settings.get('with_cp') is True:
        yield Setting('with_cp', True, 'as in the old one: less memory, more time')


def dropped(
    former: Mapping[str, Any], old: Observed, weights: str | None, given: Container[str] = ()
) -> list[str]:
    """What the new backbone does not have of the old one, each in a few words.

    Args:
        former, old, weights: See :func:`carried`.
        given (Container[str]): The arguments that the new one was given.
    """
    said = [f'{key} ({what})' for key, what in DROPPED.items() if former.get(key)]
    frozen = -1 if 'frozen_stages' in given else _frozen(old)
    if frozen >= 0 and not weights:
        said.append(f'frozen_stages={frozen} (there are no weights that could stay as they are)')
    elif frozen >= 0 and not _counts_alike(old):
        said.append(f'frozen_stages={frozen} (its stages are counted otherwise)')
    norm = (former.get('norm_cfg') or {}).get('type')
    if norm and norm not in BATCH_NORMS:
        said.append(f'norm_cfg={norm} (the new one has batch norms)')
    return said


def _frozen(old):
    frozen = old.settings.get('frozen_stages')
    return frozen if type(frozen) is int else -1


def _counts_alike(old):
    return not set(SAME_COUNT).isdisjoint(old.kinds)
