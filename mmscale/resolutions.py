"""Evaluation at several resolutions, in each of the ways that SAN has for new ones."""

import json
import re
import statistics
from copy import deepcopy
from itertools import cycle

from rich.console import Console
from rich.table import Table

from mmscale.curves import COLOURS, label, margin, new_figure, write_figure
from mmscale.errors import UserError
from mmscale.export.files import is_exported
from mmscale.files import check_out, written_aside
from mmscale.models.backbones.san import SAN, WAYS
from mmscale.registry import backbone_class
from mmscale.running import load_config, test

SIZES = ('scale', 'crop_size')
PADDED = 'size'  # mmdet's Pad: scaled with the others


def test_resolutions(
    config, checkpoint, resolutions, inference=None, *, out=None, overrides=None, **options
):
    """Evaluate a checkpoint at each resolution and print one table.

    Args:
        config, checkpoint, overrides, **options: As in :func:`mmscale.running.test`.
        resolutions (Sequence[int]): In pixels; the test pipeline's sizes are scaled to each.
        inference (Sequence[str], optional): For a SAN: 'proxy', 'ideal', 'data-free' (see its
            backbone), 'calibrated'. Default: the config's own.
        out (str, optional): A .json file to write the table to, see :func:`compare_tables`.

    Returns:
        list[dict]: For each way and resolution: `inference`, `resolution` and the metrics.

    Raises:
        UserError: If an argument does not fit the config. Nothing is tested then.
    """
    cfg = load_config(config, overrides)
    if not hasattr(cfg.get('test_dataloader', {}).get('dataset'), 'pipeline'):
        raise UserError(f'--resolutions: the test set of {config} has no pipeline of its own')
    pipeline_at(cfg.test_dataloader.dataset.pipeline, resolutions[0])
    if options.get('tta') and 'tta_pipeline' in cfg:
        raise UserError('--resolutions: the config has a tta_pipeline, whose sizes stay: no --tta')
    if inference and is_exported(checkpoint):
        raise UserError(f'--inference: {checkpoint} is exported, for one way and resolution')
    if inference and not issubclass(backbone_class(cfg), SAN):
        raise UserError(f'--inference {inference}: the backbone of {config} is no SAN')
    for way in inference or ():
        if way in WAYS and WAYS[way].calibrates and cfg.default_scope != 'mmpretrain':
            raise UserError(f'--inference {way}: {config} is no classifier')
    smallest = _smallest(cfg)
    if len(set(resolutions)) < len(resolutions) or min(resolutions) < smallest:
        raise UserError(
            f'--resolutions {resolutions} must be different sizes of at least {smallest} px'
        )
    for way in inference or ():
        if way not in WAYS:
            raise UserError(f'--inference {way!r} is unknown; choose from {tuple(WAYS)}')
    if len(set(inference or ())) < len(inference or ()):
        raise UserError(f'--inference {inference} names a way twice')
    if out:
        check_out(out, ('.json',))
    rows = []
    for way in inference or [None]:
        for resolution in resolutions:
            metrics = test(
                config,
                checkpoint,
                overrides={**(overrides or {}), **_settings(cfg, resolution, way)},
                **options,
            )
            rows.append(dict(inference=way, resolution=resolution, **metrics))
    if out:
        with written_aside(out) as temporary:
            temporary.write_text(json.dumps(rows, indent=1) + '\n', encoding='utf-8')
    _print(rows)
    return rows


def compare_tables(kinds, metric, out):
    """Draw a metric over the resolutions, a line for each kind of network and way of inference.

    Args:
        kinds (dict[str, list]): The .json tables of :func:`test_resolutions` of each kind's
            networks, by the kind's name. Rows of one resolution, of several seeds say, are
            averaged; bars show the mean's 95 % interval.
        metric (str): Of the tables' columns.
        out (str | Path): The PNG to write.

    Returns:
        dict[str, dict[int, list[float]]]: The values by line and resolution.

    Raises:
        UserError: If a file is no such table, or has no such metric, or `out` cannot be written.
    """
    check_out(out, ('.png',))
    lines: dict = {}
    for kind, tables in kinds.items():
        for table in tables:
            for row in _read_table(table, metric):
                name = f'{kind}, {row["inference"]}' if row['inference'] else kind
                line = lines.setdefault(name, {})
                line.setdefault(row['resolution'], []).append(row[metric])
    lines = {name: dict(sorted(line.items())) for name, line in lines.items()}
    figure, [[axes]] = new_figure(1)
    for colour, (name, line) in zip(cycle(COLOURS), lines.items()):
        means = [statistics.mean(values) for values in line.values()]
        margins = [margin(values) for values in line.values()]
        style = dict(color=colour, label=label(name), marker='.', capsize=2)
        axes.errorbar(list(line), means, margins, **style)
    axes.set(xlabel='resolution (px)', ylabel=metric)
    axes.legend()
    write_figure(figure, out)
    return lines


def _read_table(path, metric):
    try:
        with open(path, encoding='utf-8') as file:
            rows = json.load(file)
        return [{key: row[key] for key in ('inference', 'resolution', metric)} for row in rows]
    except (OSError, ValueError, TypeError) as error:
        raise UserError(
            f'{path!r} is no table of test.py --resolutions --out ({error}); of a run give the '
            'work dir'
        ) from error
    except KeyError as error:
        raise UserError(f'a row of {path!r} has no {error}; it has {list(rows[0])}') from error


def pipeline_at(pipeline, resolution):
    """A test pipeline whose sizes are scaled so that its last one is `resolution`.

    Args:
        pipeline (list[dict]): Transforms; the last one with `scale` or `crop_size` counts. Of a
            pair of sizes the smaller one is meant: 1333 x 800 is 800. A ``Pad(size=...)`` changes
            with them.
        resolution (int): In pixels. 256, then a crop of 224, becomes int(256 / 224 x resolution),
            then a crop of it.

    Raises:
        UserError: If no transform has a size.
    """
    pipeline = deepcopy(pipeline)
    named = [(step, key) for step in pipeline for key in (*SIZES, PADDED) if step.get(key)]
    sized = [(step, key) for step, key in named if key in SIZES]
    if not sized:
        raise UserError(f'--resolutions: no transform of the test pipeline has any of {SIZES}')
    last, key = sized[-1]
    base = min(_tuple(last[key]))
    for step, key in named:
        sizes = tuple(int(side * resolution / base) for side in _tuple(step[key]))
        step[key] = sizes if isinstance(step[key], (tuple, list)) else sizes[0]
    return pipeline


def _tuple(size):
    return tuple(size) if isinstance(size, (tuple, list)) else (size,)


def _smallest(cfg):
    """The least side of the images of a classifier's test; detectors pad theirs."""
    if cfg.get('default_scope') != 'mmpretrain':
        return 1
    return getattr(backbone_class(cfg), 'min_size', 1)


def _settings(cfg, resolution, way):
    """What the config has to change for one row of the table."""
    pipeline = pipeline_at(cfg.test_dataloader.dataset.pipeline, resolution)
    settings = {'test_dataloader.dataset.pipeline': pipeline}
    if way and WAYS[way].calibrates:
        hook = dict(type='mmscale.CalibrateNormsHook', resolution=resolution)
        settings['custom_hooks'] = [*cfg.get('custom_hooks', []), hook]
    if way:
        settings['model.backbone.inference'] = WAYS[way].calibrates or way
    return settings


def _print(rows):
    # Not all rows have all metrics: mmdet has none where nothing was found.
    names = list(dict.fromkeys(name for row in rows for name in row))
    if not rows[0]['inference']:
        names.remove('inference')
    # Words, since long names would be cut anywhere on a narrow screen.
    table = Table()
    for name in names:
        table.add_column(re.sub('[/_]', ' ', name), no_wrap=name in ('inference', 'resolution'))
    for row in rows:
        values = [row.get(name, '') for name in names]
        table.add_row(*(f'{v:.4g}' if isinstance(v, float) else f'{v}' for v in values))
    Console().print(table)
