"""A config's model, built alone: no run, no weights."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from mmengine.config import Config
from mmengine.model import BaseModel, revert_sync_batchnorm
from mmengine.registry import MODELS, DefaultScope, init_default_scope
from torch import nn

from mmscale.checkpoints import is_trusted, trusting
from mmscale.engine.checks import unfit
from mmscale.engine.tasks import task_of
from mmscale.errors import UserError
from mmscale.utils.environment import require

# What builders raise for a config that does not fit.
BUILDING = (TypeError, ValueError, KeyError, IndexError, AttributeError, AssertionError)


def build_model(cfg: Config) -> BaseModel:
    """The model of a config alone, without a run. Weights are random: nothing is loaded.

    Args:
        cfg (mmengine.Config): A detector's (if it has no `default_scope`), a classifier's or a
            segmentor's.

    Returns:
        mmengine.model.BaseModel: Its synchronised norms are plain ones.

    Raises:
        UserError: If a type or an argument does not fit.
    """
    scope = task_of(cfg).package
    require(scope)
    init_default_scope(scope)
    model = deepcopy(cfg.model)
    if cfg.get('data_preprocessor'):  # mmpretrain's configs have it beside the model
        model.setdefault('data_preprocessor', cfg.data_preprocessor)
    # A teacher's checkpoint is loaded while its pupil is built.
    with trusting(is_trusted()), DefaultScope.overwrite_default_scope(scope):
        try:
            model = MODELS.build(model)
        except UserError:
            raise
        except BUILDING as error:
            raise unfit(cfg, error) from error
    return revert_sync_batchnorm(model)


def build_backbone(cfg: Mapping[str, Any]) -> nn.Module:
    """A backbone alone, in eval mode, with random weights.

    Args:
        cfg (dict): Its config; the scope in its type, ``mmdet.ResNet``, names the package.
    """
    package, dot, _ = str(cfg['type']).partition('.')
    if dot:
        require(f'{package}.models')
    backbone = MODELS.build(dict(cfg))
    backbone.eval()  # mmdet's return None
    return backbone
