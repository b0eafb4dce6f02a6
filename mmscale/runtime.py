"""What inference needs of a config, as plain data that an exported file can carry."""

import json
from copy import deepcopy

from mmscale.registry import type_name

DETECTORS, CLASSIFIERS = 'mmdet', 'mmpretrain'
READERS = ('LoadImageFromFile', 'LoadImage')


def runtime_config(cfg, trained_on=None):
    """The little of a config that inference needs, as plain data.

    Args:
        cfg (mmengine.Config): The whole config.
        trained_on (dict, optional): What the checkpoint says of its data set.

    Returns:
        dict: Made of what JSON knows: the test pipeline, the classes, how to draw.
    """
    dataset, of_mmdet = cfg.test_dataloader.dataset, cfg.default_scope == DETECTORS
    metainfo = _metainfo(dataset) if of_mmdet else dict(dataset.get('metainfo') or {})
    metainfo |= {key.lower(): value for key, value in (trained_on or {}).items() if value}
    pipeline = []
    for step in map(dict, dataset.pipeline):
        if type_name(step['type']) in READERS:
            step = dict(type='LoadImageFromFile')  # what inferencers look for
        if type_name(step['type']) != 'LoadAnnotations':
            pipeline.append({**step, 'type': type_name(step['type'])})
    described = dict(
        default_scope=cfg.default_scope,
        test_dataloader=dict(
            dataset=dict(
                type='CocoDataset' if of_mmdet else 'CustomDataset',
                metainfo={key: metainfo.get(key) for key in ('classes', 'palette')},
                pipeline=pipeline,
            )
        ),
        visualizer=dict(type='DetLocalVisualizer' if of_mmdet else 'UniversalVisualizer'),
    )
    return json.loads(json.dumps(described))


def _metainfo(dataset):
    """Classes and palette of a data set of mmdet, of which no file is read."""
    from mmdet.registry import DATASETS

    return dict(DATASETS.build({**deepcopy(dataset), 'lazy_init': True}).metainfo)
