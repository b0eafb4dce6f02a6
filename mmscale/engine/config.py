"""Configs: found by path or bare name, read, and overridden."""

import difflib
import inspect
import logging
import os
import traceback
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.logging import print_log
from mmengine.runner import Runner

from mmscale.checks.findings import settle
from mmscale.checks.sections import find_overrides, find_values
from mmscale.engine.bases import base_fault, near, other_fault
from mmscale.engine.naming import name_types
from mmscale.errors import UserError, first_line, is_whole
from mmscale.registry import SCOPE, type_name
from mmscale.utils.environment import MMSEG

# What is read of a config beside the Runner's arguments, whether it has it or not.
KEYS = (
    'activation_checkpointing', 'auto_scale_lr', 'compile', 'custom_imports', 'data_preprocessor',
    'efficient_conv_bn_eval', 'find_unused_parameters', 'model_wrapper_cfg', 'sync_bn',
    'tta_model', 'tta_pipeline',
)  # fmt: skip
FOLDER = Path(__file__).parents[1] / '.mim' / 'configs'
# Those in pure Python, and how their names begin: as other configs import them.
PURE, MODULE = Path(__file__).parents[1] / 'configs', f'{SCOPE}.configs.'


def load_config(name: str | Path, overrides: Mapping[str, Any] | None = None) -> Config:
    """Read a config by path or by name.

    Args:
        name (str): A path; the name of a config of this package, with or without folder and
            ``.py``: ``faster_rcnn_rexnet_fpn``, ``rexnet/faster-rcnn_rexnet-130_fpn_1x_coco``, in
            pure Python ``mmscale.configs.faster_rcnn_rexnet_fpn``; or one of another package:
            ``mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco``.
        overrides (dict, optional): Dotted keys and values, as from ``--cfg-options``.

    Raises:
        UserError: If there is no such config, the file is not one, or an override does not fit it.
    """
    named = '::' in str(name)
    if named and (fault := other_fault(str(name))):
        raise UserError(f'config {str(name)!r} cannot be read: {fault}')
    path = None if named else find_config(name)
    try:
        cfg = Config.fromfile(path) if path else get_config(f'{str(name).removesuffix(".py")}.py')
    except (Exception, SystemExit) as error:  # a config is a program, which may end with anything
        plain = isinstance(error, (OSError, SyntaxError, ValueError))  # mmengine's own words
        reason = path and base_fault(path)
        reason = reason or _where(error, path) + (str(error) if plain else _reason(error))
        raise UserError(f'config {str(name)!r} cannot be read: {reason}') from error
    return settled(cfg, name, overrides)


def settled(cfg: Config, name: str | Path, overrides: Mapping[str, Any] | None = None) -> Config:
    """A config that was read, made ready for use.

    Args:
        cfg (mmengine.Config): It is changed.
        name (str): Its own, for messages.
        overrides (dict, optional): As in :func:`load_config`.

    Raises:
        UserError: If an override or a value does not fit, or a class cannot be imported.
    """
    try:
        name_types(cfg)
        _leave_scope(cfg._cfg_dict)
    except Exception as error:  # what pure-Python configs import is imported here
        raise UserError(f'config {str(name)!r} cannot be read: {_reason(error)}') from error
    if overrides:
        _check_keys(cfg, overrides)
        settle(find_overrides(cfg, overrides))
        try:
            cfg.merge_from_dict(overrides)
        except (TypeError, KeyError, AttributeError) as error:  # a value where there is no place
            given, reason = f'{overrides}', f'{error}'
            raise UserError(
                f'--cfg-options {given:.500} do not fit {name}: {reason:.500}'
            ) from error
    settle(find_values(cfg))
    _shorten_topk(cfg)
    return cfg


def _where(error, path):
    """The line of a config, or of one that it inherits from, that ended it; nothing if none did."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [
        frame
        for before, frame in pairwise(frames)
        if before.filename == inspect.getfile(Config) and frame.name == '<module>'
    ]
    if not lines:
        return ''
    *_, last = lines
    own = path and os.path.abspath(last.filename) == os.path.abspath(path)
    file = '' if own or not last.filename else f'{last.filename}, '
    text = f' ({last.line:.100})' if last.line else ''
    return f'{file}line {last.lineno}{text}: '


def _reason(error):
    """What made a config end, in a line; of a failed import the first one that failed."""
    while isinstance(error, ImportError) and isinstance(error.__context__, ImportError):
        error = error.__context__
    hint = ' (is its folder in PYTHONPATH?)' if isinstance(error, ModuleNotFoundError) else ''
    if isinstance(error, ModuleNotFoundError) and str(error).startswith('mmseg is not installed'):
        return f"it is made of mmseg's, which is not installed: {MMSEG}"
    return f'{first_line(error)}{hint}'


def _check_keys(cfg, overrides):
    """Stop where mmengine would take a misspelt key for a new one, and do nothing with it."""
    read = {*inspect.signature(Runner).parameters, *KEYS}
    known = {*cfg, *read}
    for dotted in overrides:
        key = dotted.split('.')[0]
        close = difflib.get_close_matches(key, known, n=1, cutoff=0.8)
        if key not in known and close:
            raise UserError(
                f'--cfg-options {dotted}: there is no {key!r}; did you mean {close[0]!r}?'
            )
        if key in cfg and key not in read:
            print_log(
                f'--cfg-options {dotted}: {key!r} was used while the config was read, and nothing '
                'reads it any more; override what is made of it',
                logger='current',
                level=logging.WARNING,
            )


def _shorten_topk(cfg):
    """Leave out of a classifier's metrics the top 5 of fewer classes."""
    classes = ((cfg.get('model') or {}).get('head') or {}).get('num_classes')
    for key in ('val_evaluator', 'test_evaluator'):
        given = cfg.get(key) or []
        for metric in given if isinstance(given, list) else [given]:
            own = type_name(metric.get('type', '')) == 'Accuracy'
            counts = metric.get('topk')
            whole = isinstance(counts, (tuple, list)) and all(map(is_whole, counts))
            if own and is_whole(classes) and whole:
                metric.topk = tuple(k for k in counts if k <= classes) or (1,)


def _leave_scope(node):
    """Have what was inherited from ``mmscale::X`` built in the config's own default_scope.

    mmengine would look for it in this package's, where mmdet's and mmpretrain's parts are unknown.
    """
    if isinstance(node, dict) and node.get('_scope_') == SCOPE:
        del node['_scope_']
    for value in node.values() if isinstance(node, dict) else node:
        if isinstance(value, (dict, list, tuple)):
            _leave_scope(value)


def shipped_files() -> dict[str, Path]:
    """The configs of this package, and the parts of the text ones, by whole name."""
    text = {p.relative_to(FOLDER).with_suffix('').as_posix(): p for p in FOLDER.rglob('*.py')}
    return text | {f'{MODULE}{path.stem}': path for path in PURE.glob('[!_]*.py')}


def config_stem(name: str | Path) -> str:
    """What a config's file is called, without its ending (see :func:`load_config`)."""
    return Path(str(name).rpartition('::')[2].removeprefix(MODULE)).stem


def find_config(name: str | Path) -> Path:
    """The path of a config given by path or by bare name (see :func:`load_config`)."""
    if not isinstance(name, (str, os.PathLike)):
        raise UserError(f'a config is a path or a name, not {type(name).__name__}')
    if os.path.isfile(name):
        return Path(name)
    wanted = str(name).removesuffix('.py')
    known = shipped_files()
    known |= {path.stem: path for name, path in known.items() if not name.startswith(MODULE)}
    if wanted in known:
        return known[wanted]
    close = near(wanted.rsplit('/', 1)[-1], known)
    raise UserError(
        f'config {str(name)!r} is neither a file nor the name of a config of mmscale{close} '
        '(mmscale configs lists them)'
    )
