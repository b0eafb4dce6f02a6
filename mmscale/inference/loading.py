"""Models to predict with: from a config and a checkpoint, or from an exported file."""

from collections.abc import Mapping
from typing import Any

from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import init_default_scope

from mmscale import checkpoints
from mmscale.engine.building import BUILDING, build_model
from mmscale.engine.config import load_config, settled
from mmscale.engine.quoted import quoted_config
from mmscale.engine.runtime import runtime_config
from mmscale.engine.tasks import DETECTOR, TASKS, task_of
from mmscale.errors import UserError, first_line
from mmscale.exported.engines import is_exported
from mmscale.exported.files import ExportedFile
from mmscale.exported.models import PREDICTING, adapter
from mmscale.utils.environment import check_operators, require

Read = tuple[dict[str, Any], checkpoints.Weights]


def load_model(
    cfg: Config, checkpoint: str, *, trust: bool = False, read: Read | None = None
) -> BaseModel:
    """A detector, classifier or segmentor with its weights, in eval mode, as inferencers take it.

    Args:
        cfg (mmengine.Config): Its config.
        checkpoint (str): As in :func:`mmscale.engine.testing.evaluate`.
        trust (bool): Let it run code.
        read (tuple, optional): What :func:`mmscale.checkpoints.read_weights` returned for it.

    Returns:
        mmengine.model.BaseModel: With ``cfg``, made for inference, and ``dataset_meta``: the
        checkpoint's classes, or the config's.

    Raises:
        UserError: If the checkpoint does not fit.
    """
    task = task_of(cfg)
    if task not in TASKS or 'model' not in cfg:
        scopes = ', '.join(str(known.scope) for known in TASKS)
        raise UserError(f"the config's default_scope {task.scope!r} must be one of {scopes}")
    if task is DETECTOR:
        check_operators()
    with checkpoints.trusting(trust):
        model = build_model(cfg)
    content, state = read or checkpoints.read_weights(checkpoint, trust=trust)
    checkpoints.load_content(model, content, state, checkpoint, whole=True)
    meta = content.get('meta')
    trained_on = meta.get('dataset_meta') if isinstance(meta, dict) else None
    return _ready(model, runtime_config(cfg, trained_on))


def _ready(model, described):
    """A model in eval mode, with what inferencers read off it."""
    model.cfg = model._config = Config(_tuples(described))
    metainfo = model.cfg.test_dataloader.dataset.metainfo
    # A list of colours: to mmdet a tuple is one colour for all.
    palette = list(metainfo.get('palette') or ()) or 'random'
    model.dataset_meta = dict(classes=metainfo.get('classes'), palette=palette)
    model._dataset_meta = model.dataset_meta  # mmpretrain's name
    return model.eval()


def _tuples(value):
    """JSON's lists of numbers and names as tuples, which mmcv's transforms tell from lists."""
    if isinstance(value, dict):
        return {key: _tuples(inner) for key, inner in value.items()}
    if isinstance(value, list):
        items = [_tuples(inner) for inner in value]
        return items if any(isinstance(item, dict) for item in items) else tuple(items)
    return value


def open_model(
    weights: str,
    config: str | None = None,
    *,
    trust: bool = False,
    overrides: Mapping[str, Any] | None = None,
) -> BaseModel:
    """A model from an exported file, or from a config and a checkpoint.

    Args:
        weights (str): The exported file, or the checkpoint.
        config (str, optional): Path or bare name. A checkpoint that a run has written quotes its
            own (see :func:`mmscale.engine.quoted.quoted_config`).
        trust (bool): Let the checkpoint run code.
        overrides (dict, optional): As in :func:`mmscale.engine.config.load_config`.

    Returns:
        mmengine.model.BaseModel: See :func:`load_model`.

    Raises:
        UserError: If the arguments do not fit each other or the files cannot be read.
    """
    if not is_exported(weights):
        if config is not None:
            return load_model(load_config(config, overrides), weights, trust=trust)
        read = checkpoints.read_weights(weights, trust=trust)
        cfg = settled(quoted_config(read[0], weights, trust=trust), weights, overrides)
        try:
            return load_model(cfg, weights, trust=trust, read=read)
        except (UserError, ImportError):
            raise  # which say what to do
        except BUILDING as error:
            raise UserError(
                f'the config that {weights!r} quotes does not fit: {first_line(error)}'
            ) from error
    if config is not None or overrides:
        raise UserError(f'{weights} is an exported file, which is complete: leave the config out')
    file = ExportedFile(weights)
    described = file.meta['runtime']
    if file.meta['part'] not in PREDICTING:
        raise UserError(f'{weights} holds a {file.meta["part"]}, which makes no predictions')
    require(described['default_scope'])
    init_default_scope(described['default_scope'])
    return _ready(adapter(file), described)
