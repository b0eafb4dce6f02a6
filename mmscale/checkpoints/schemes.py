"""Checkpoints that mmengine reads through this package: ``mmscale:SOURCE`` and ``timm://NAME``."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from mmengine.runner.checkpoint import CheckpointLoader

from mmscale.checkpoints.reading import TIMM_SCHEME
from mmscale.checkpoints.san_norms import resolutions_in
from mmscale.checkpoints.tensors import read_weights

SCHEME = 'mmscale:'
_TRUST = ContextVar('trust', default=False)


@contextmanager
def trusting(trust: bool = True) -> Iterator[None]:
    """Let the checkpoints that mmengine reads inside the block run code, if `trust` says so.

    If not, this package reads them, wherever they are: those in the teacher of a distillation, say,
    which no `init_cfg` names. mmengine hands a reader the checkpoint's name and nothing else, so
    this option cannot travel as an argument.
    """
    token, before = _TRUST.set(trust), CheckpointLoader._schemes
    if not trust:
        CheckpointLoader._schemes = {
            prefix: load_from_mmscale if loader.__module__.startswith('mmengine.') else loader
            for prefix, loader in before.items()
        }
    try:
        yield
    finally:
        CheckpointLoader._schemes = before
        _TRUST.reset(token)


def is_trusted() -> bool:
    """Whether :func:`trusting` is in force."""
    return _TRUST.get()


@CheckpointLoader.register_scheme(prefixes=(SCHEME, TIMM_SCHEME))
def load_from_mmscale(filename: str, map_location: Any = None) -> dict[str, Any]:
    """How mmengine's Runner reads ``mmscale:SOURCE`` and ``timm://NAME``.

    Always to the CPU, from where the model takes it. The config that a checkpoint's meta quotes is
    left out: resuming would run it as Python.
    """
    content, state = read_weights(filename.removeprefix(SCHEME), trust=is_trusted())
    meta = content.get('meta')
    if isinstance(meta, dict):
        meta = {key: value for key, value in meta.items() if key != 'config'}
    known = resolutions_in(content, state)
    meta = {**(meta or {}), **(dict(resolutions=known) if known else {})}
    return {**content, 'state_dict': state.state_dict, 'meta': meta}
