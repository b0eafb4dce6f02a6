"""Evaluation at several resolutions, in each of the ways that SAN has for new ones."""

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from mmscale.engine.config import load_config
from mmscale.engine.pipelines import check_tested, pipeline_at
from mmscale.engine.tasks import CLASSIFIER, task_of
from mmscale.engine.testing import evaluate
from mmscale.errors import UserError, check_choice
from mmscale.exported.engines import is_exported
from mmscale.families import backbone_class
from mmscale.models.backbones.san import SAN, WAYS
from mmscale.reports.tables import print_table
from mmscale.utils.configs import sets_with_pipeline
from mmscale.utils.files import check_out, written_aside


def evaluate_resolutions(
    config: str,
    checkpoint: str,
    resolutions: Sequence[int],
    inference: Sequence[str] | None = None,
    *,
    out: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    **options: Any,
) -> list[dict[str, Any]]:
    """Evaluate a checkpoint at each resolution and print one table.

    Args:
        config, checkpoint, overrides: As in :func:`mmscale.engine.testing.evaluate`.
        resolutions (Sequence[int]): In pixels; the test pipeline's sizes are scaled to each.
        inference (Sequence[str], optional): For a SAN: 'proxy', 'ideal', 'data-free' (see its
            backbone), 'calibrated'. Default: the config's own.
        out (str, optional): A .json file to write the table to, see
            :func:`mmscale.reports.tables.compare_tables`.

    Returns:
        list[dict]: For each way and resolution: `inference`, `resolution` and the metrics.

    Raises:
        UserError: If an argument does not fit the config. Nothing is tested then.
    """
    cfg = load_config(config, overrides)
    check_tested(cfg, config)
    if not any(sets_with_pipeline(cfg.test_dataloader.dataset)):
        raise UserError(f'--resolutions: the test set of {config} has no pipeline to be scaled')
    _settings(cfg, resolutions[0], None)
    if options.get('tta') and 'tta_pipeline' in cfg:
        raise UserError('--resolutions: the config has a tta_pipeline, whose sizes stay: no --tta')
    if inference and is_exported(checkpoint):
        raise UserError(f'--inference: {checkpoint} is exported, for one way and resolution')
    if inference and not issubclass(backbone_class(cfg), SAN):
        raise UserError(f'--inference {inference}: the backbone of {config} is not a SAN')
    for name in inference or ():
        check_choice('--inference', name, WAYS)
        if WAYS[name].calibrates and task_of(cfg) is not CLASSIFIER:
            raise UserError(f"--inference {name}: {config} is not a classifier's")
    smallest = _smallest(cfg)
    if len(set(resolutions)) < len(resolutions) or min(resolutions) < smallest:
        raise UserError(
            f'--resolutions {resolutions} must be different sizes of at least {smallest} px'
        )
    if len(set(inference or ())) < len(inference or ()):
        raise UserError(f'--inference {inference} names a way twice')
    if out:
        check_out(out, ('.json',))
    rows = []
    ways: Sequence[str | None] = inference or [None]
    for way in ways:
        for resolution in resolutions:
            metrics = evaluate(
                config,
                checkpoint,
                overrides={**(overrides or {}), **_settings(cfg, resolution, way)},
                **options,
            )
            rows.append(dict(inference=way, resolution=resolution, **metrics))
    if out:
        with written_aside(out) as temporary:
            temporary.write_text(json.dumps(rows, indent=1) + '\n', encoding='utf-8')
    print_table(rows)
    return rows


def _smallest(cfg):
    """The least side of the images of a classifier's test; detectors pad theirs."""
    if task_of(cfg) is not CLASSIFIER:
        return 1
    return getattr(backbone_class(cfg), 'min_size', 1)


def _settings(cfg, resolution, way):
    """What the config has to change for one row of the table."""
    dataset = deepcopy(cfg.test_dataloader.dataset)
    for inner in sets_with_pipeline(dataset):
        inner.pipeline = pipeline_at(inner.pipeline, resolution)
    settings: dict[str, Any] = {'test_dataloader.dataset': dict(dataset, _delete_=True)}
    if way and WAYS[way].calibrates:
        hook = dict(type='mmscale.CalibrateNormsHook', resolution=resolution)
        settings['custom_hooks'] = [*cfg.get('custom_hooks', []), hook]
    if way:
        settings['model.backbone.inference'] = WAYS[way].calibrates or way
    return settings
