"""What inference needs of a config, as plain data that an exported file can carry."""

import json
from copy import deepcopy
from typing import Any

from mmengine.config import Config

from mmscale.engine.tasks import DETECTOR, SEGMENTOR, task_of
from mmscale.errors import UserError, first_line
from mmscale.exported.description import check_metainfo
from mmscale.registry import type_name
from mmscale.utils.configs import test_set
from mmscale.utils.environment import require

READERS = ('LoadImageFromFile', 'LoadImage')


def runtime_config(cfg: Config, trained_on: dict | None = None) -> dict[str, Any]:
    """The little of a config that inference needs, as plain data.

    Args:
        cfg (mmengine.Config): The whole config.
        trained_on (dict, optional): What the checkpoint says of its data set.

    Returns:
        dict: Made of what JSON knows: the test pipeline, the classes, how to draw.

    Raises:
        UserError: If something of it is not.
    """
    dataset, task = test_set(cfg), task_of(cfg)
    metainfo = dict(dataset.get('metainfo') or {})
    if task in (DETECTOR, SEGMENTOR):
        metainfo = _metainfo(dataset, task.package)
    if isinstance(trained_on, dict):  # a file may say anything
        metainfo |= {str(key).lower(): value for key, value in trained_on.items() if value}
    pipeline = []
    for step in map(dict, dataset.pipeline):
        step.pop('_scope_', None)  # mmengine's, of steps that a config takes from its base
        if type_name(step['type']) in READERS:
            step = dict(type='LoadImageFromFile')  # what inferencers look for
        if type_name(step['type']) != 'LoadAnnotations':
            pipeline.append({**step, 'type': type_name(step['type'])})
    metainfo = {key: metainfo.get(key) for key in ('classes', 'palette')}
    dataset = dict(type=task.dataset, metainfo=metainfo, pipeline=pipeline)
    plain = _plain(
        dict(
            default_scope=cfg.default_scope,
            test_dataloader=dict(dataset=dataset),
            visualizer=dict(type=task.visualizer),
        )
    )
    check_metainfo(plain['test_dataloader']['dataset']['metainfo'], 'dataset_meta')
    return plain


def _plain(described):
    try:
        return json.loads(json.dumps(described))
    except (TypeError, ValueError, RecursionError) as error:
        raise UserError(
            f'the test pipeline, or what the checkpoint says of its classes, is no plain data: '
            f'{first_line(error)}'
        ) from None


def _metainfo(dataset, package):
    """Classes and palette of a data set of mmdet or mmseg, of which no file is read."""
    datasets = require(f'{package}.registry').DATASETS
    plain = {**deepcopy(dataset), 'lazy_init': True, 'pipeline': []}
    return dict(datasets.build(plain).metainfo)
