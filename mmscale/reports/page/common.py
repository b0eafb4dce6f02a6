"""What the pages of detectors, classifiers and segmentors share."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmscale.reports.curves import scalar_names, scalars
from mmscale.reports.kept import Kept
from mmscale.reports.page.charts import axis, bars, lines, share
from mmscale.reports.page.parts import Chart, Section, Table, Text, difference, number, percent

POINTS = 400  # of a curve, at most
EXACT = 8  # decimals of the numbers behind a chart
BARS = 60  # classes in a chart, at most


class Run(NamedTuple):
    """A run in a report.

    Attributes:
        name (str): In tables and legends.
        kept (Kept): Its last test.
        study (Any): What its task's page is made of.
    """

    name: str
    kept: Kept
    study: Any


def names_of(runs: Sequence[Run]) -> list[str]:
    """The runs' names, in order."""
    return [run.name for run in runs]


def beside(title: str, rows: dict[str, list], digits: int = 1, first: str = 'figure') -> Callable:
    """A table of figures, a column for each run, and the difference of two."""

    def table(runs: Sequence[Run]) -> Table:
        heads = [first, *names_of(runs)] if len(runs) > 1 else [first, 'value']
        extra = ['difference'] if len(runs) > 1 else []
        cells = [
            [name, *(number(value, digits) for value in values), *difference(values, digits)]
            for name, values in rows.items()
        ]
        return Table([*heads, *extra], cells, title)

    return table


def cards(runs: Sequence[Run], figures: dict[str, list[str]]) -> list[tuple[str, str]]:
    """Large figures, those of two runs together."""
    of = f' ({" | ".join(names_of(runs))})' if len(runs) > 1 else ''
    return [(f'{name}{of}', ' | '.join(values)) for name, values in figures.items()]


def thin(points: Sequence[Any], most: int = POINTS) -> Sequence[Any]:
    """At most so many of a curve's points, evenly, with the first and the last."""
    if len(points) <= most:
        return points
    last = len(points) - 1
    return [points[round(place * last / (most - 1))] for place in range(most)]


class Weight(NamedTuple):
    """How much of a set a class is.

    Attributes:
        heading (str): Of its column.
        unit (str): What follows the number beside a bar.
        text (Callable): The number as text.
    """

    heading: str
    unit: str
    text: Callable[[float], str]


def ranked_classes(
    runs: Sequence[Run],
    main: str,
    rates: Sequence[dict[str, np.ndarray]],
    weights: Sequence[np.ndarray],
    weight: Weight,
    note: str,
) -> Section:
    """Rates of every class: bars of one of them, the best first, and a table of all.

    Args:
        runs (Sequence[Run]): One or two, whose studies have `names`.
        main (str): The rate that the bars are of.
        rates (Sequence[dict[str, np.ndarray]]): Of each run, by name: (classes,), 0 to 1; NaN for
            what cannot be said. A class whose `main` is NaN has no bar.
        weights (Sequence[np.ndarray]): Of each run: (classes,).
        weight (Weight): What these are.
        note (str): What the rates mean.
    """
    several = len(runs) > 1
    rows: list[dict[str, Any]] = []
    values: dict[str, list] = {}
    for run, found, shares in zip(runs, rates, weights):
        for place, name in enumerate(run.study.names):
            text = weight.text(shares[place])
            one = {rate: float(every[place]) for rate, every in found.items()}
            values.setdefault(name, []).append((text, one))
            if np.isfinite(one[main]):
                value = round(100 * one[main], EXACT)
                rows.append(dict(run=run.name, name=name, value=value, weight=text))
    first = {row['name']: row['value'] for row in reversed(rows)}
    order = sorted(first, key=lambda name: (-first[name], name))
    shown = order[-BARS:]
    alt = f'Bars of {main} by class, the best first. The worst: '
    alt += ', '.join(f'{name} ({number(first[name])})' for name in order[::-1][:3]) + '.'
    columns = ['class', weight.heading]
    for run in runs:
        columns += [f'{rate} {run.name}' if several else rate for rate in rates[0]]
    columns += [f'difference of {main}'] if several else []
    cells = [
        [
            name,
            values[name][0][0],
            *(
                percent(rate) if np.isfinite(rate) else '–'
                for _, one in values[name]
                for rate in one.values()
            ),
            *difference([100 * one[main] for _, one in values[name]]),
        ]
        for name in [*order, *(name for name in values if name not in first)]
    ]
    spec = bars(
        [row for row in rows if row['name'] in set(shown)], alt, 'name',
        axis('value', f'{main} (%)', scale={'domain': [0, 100]}), 'run', names_of(runs), shown,
        lambda row: f'{number(row["value"])} · {row["weight"]} {weight.unit}',
        [('weight', weight.heading), ('run', 'run')],
    )  # fmt: skip
    title = f'{main} by class' + (f': the {BARS} worst' if len(order) > BARS else '')
    return Section('Classes', note, [Chart(title, spec, alt, Table(columns, cells, 'Classes'))])


def learning(runs: Sequence[Run]) -> Section:
    """Loss, figures and learning rate over the training, as far as the work dirs have logs."""
    logged = {run.name: scalar_names(run.kept.work_dir) for run in runs}
    charts = []
    kinds: tuple[tuple[str, str, Callable], ...] = (
        ('Training loss', 'loss', lambda training, _: _losses(training, len(runs))),
        ('Figures of the validations', 'value', lambda _, validation: _main(validation)),
        ('Learning rate', 'learning rate', lambda training, _: [n for n in training if n == 'lr']),
    )
    for title, what, choose in kinds:
        rows = []
        for run in runs:
            for name in choose(*logged[run.name]):
                values = thin(list(scalars(run.kept.work_dir, name).items()))
                rows += [dict(run=run.name, name=name, step=s, value=v) for s, v in values]
        if rows:
            charts.append(_learning_chart(title, what, rows, runs))
    without = [run.name for run in runs if not any(logged[run.name])]
    note = 'What the training has logged.'
    if without:
        note = f'No log of a training lies in the work dir of {", ".join(without)}.'
    return Section('Learning curves', note, charts)


def _losses(training, runs):
    """The loss; of one run also its parts."""
    if runs > 1:
        return [name for name in training if name == 'loss']
    return [n for n in training if n == 'loss' or n.rpartition('.')[2].startswith('loss')][:7]


def _main(validation):
    """The figures by which one looks at a training: not those of sizes or single classes."""
    known = (
        'coco/bbox_mAP', 'coco/bbox_mAP_50', 'coco/bbox_mAP_75', 'coco/segm_mAP',
        'accuracy/top1', 'accuracy/top5', 'mIoU', 'mAcc', 'aAcc',
    )  # fmt: skip
    chosen = [name for name in known if name in validation]
    return chosen or [name for name in validation if not name.endswith('per_second')][:4]


def _learning_chart(title, what, rows, runs):
    several = len(runs) > 1
    names = list(dict.fromkeys(row['name'] for row in rows))
    by = 'run' if several else 'name'
    order = names_of(runs) if several else names
    ends = {}
    for row in rows:
        ends[row['run'], row['name']] = row
    said = '; '.join(
        f'{run} {name} ends at {row["value"]:.4g}'
        if several
        else f'{name} ends at {row["value"]:.4g}'
        for (run, name), row in ends.items()
    )
    alt = f'{title} over the iterations: {said}.'
    table = Table(
        ['run', 'name', 'iteration', 'value'],
        [
            [row['run'], row['name'], number(int(row['step'])), f'{row["value"]:.6g}']
            for row in ends.values()
        ],
        f'{title}: the last values',
    )
    dash = ('name', names) if several else None
    few = len(rows) / len(ends) < 30
    y = axis('value', what, scale={'zero': True})
    spec = lines(rows, alt, axis('step', 'iteration'), y, by, order, dash, points=few)
    return Chart(title, spec, alt, table)


def cost(runs: Sequence[Run]) -> Section:
    """Parameters and multiply-adds of the models, by their parts."""
    rows: list[dict[str, Any]] = []
    parts: list[Any] = []
    cells: list[list[str]] = []
    for run in runs:
        counted = run.kept.record.get('cost') or {}
        if 'error' in counted or 'parts' not in counted:
            why = counted.get('error', 'it was not counted')
            parts.append(Text(f'{run.name}: the cost is not known ({why}).'))
            continue
        height, width = counted['shape']
        for name, part in [*counted['parts'].items(), ('whole', counted)]:
            million, billion = part['params'] / 1e6, part['macs'] / 1e9
            cells.append(
                [run.name, name, number(million, 2), number(billion, 2), f'{height} × {width}']
            )
            if name != 'whole':
                rows.append(dict(run=run.name, part=name, macs=billion, params=million))
        missing = counted.get('not_counted')
        if missing:
            text = f'{run.name}: the operators of {", ".join(missing)} are not counted.'
            parts.append(Text(text))
    columns = ['run', 'part', 'parameters (M)', 'multiply-adds (G)', 'picture (px)']
    table = Table(columns, cells, 'Cost by parts')
    for field, title in (('macs', 'multiply-adds (G)'), ('params', 'parameters (M)')):
        if rows:
            alt = f'Bars of {title} by the parts of the model.'
            names = list(dict.fromkeys(row['part'] for row in rows))
            order = names_of(runs)
            spec = bars(
                rows, alt, 'part', axis(field, title), 'run', order, names,
                partial(_two_digits, field),
            )  # fmt: skip
            parts.append(Chart(title[0].upper() + title[1:], spec, alt, table))
    parts.append(table)
    note = (
        'Counted are convolutions, linear layers and products of matrices, for one picture without '
        'padding.'
    )
    return Section('What the model costs', note, parts)


def _two_digits(field, row):
    return number(row[field], 2)


def origin(runs: Sequence[Run]) -> Section:
    """How the tests were made."""
    names = list(dict.fromkeys(n for run in runs for n in run.kept.record.get('versions', {})))
    rows = [
        [title, *(str(run.kept.record.get(key, '')) for run in runs)]
        for title, key in (
            ('tested', 'when'),
            ('command', 'command'),
            ('config', 'config'),
            ('checkpoint', 'checkpoint'),
        )
    ]
    rows.append(['work dir', *(str(run.kept.work_dir) for run in runs)])
    rows += [
        [name, *(str(run.kept.record.get('versions', {}).get(name, '')) for run in runs)]
        for name in names
    ]
    table = Table(['', *(names_of(runs) if len(runs) > 1 else ['value'])], rows, 'How it was made')
    metrics = list(dict.fromkeys(n for run in runs for n in run.kept.record.get('metrics', {})))
    figures = {
        name: [run.kept.record.get('metrics', {}).get(name) for run in runs] for name in metrics
    }
    logged = beside('What the test itself has logged', figures, 4)(runs)
    return Section('Command and versions', 'What made these numbers.', [table, logged])


def calibration_chart(runs: Sequence[Run], what: str) -> Chart:
    """How often scores are right. A run's study has it as `calibration`."""
    rows: list[dict[str, Any]] = []
    for run in runs:
        bins = run.study.calibration
        rows += [
            dict(run=run.name, score=float(s), right=float(r), count=int(c))
            for s, r, c in zip(bins.score, bins.right, bins.amount)
            if c
        ]
    errors = ', '.join(
        f'{run.name} {number(100 * run.study.calibration.error)} %'
        if len(runs) > 1
        else f'{number(100 * run.study.calibration.error)} %'
        for run in runs
    )
    alt = (
        f'Share of {what} that are right over their score, in ten bins; the diagonal would be '
        f'perfect. Mean distance from it (expected calibration error): {errors}.'
    )
    spec = lines(
        rows, alt, share('score', 'mean score'), share('right', 'share that is right'), 'run',
        names_of(runs), points=True,
    )  # fmt: skip
    curve = {'mark': spec.pop('mark'), 'encoding': spec.pop('encoding')}
    curve['encoding']['tooltip'].append({'field': 'count', 'title': what})
    diagonal = {
        'data': {'values': [{'score': 0, 'right': 0}, {'score': 1, 'right': 1}]},
        'mark': {'type': 'line', 'strokeDash': [4, 4], 'color': '#888888', 'strokeWidth': 1},
        'encoding': {key: curve['encoding'][key] for key in ('x', 'y')},
    }
    spec['layer'] = [diagonal, curve]
    cells = [
        [row['run'], number(row['score'], 3), number(row['right'], 3), number(row['count'])]
        for row in rows
    ]
    table = Table(['run', 'mean score', 'right', what], cells, 'Calibration')
    return Chart('Are the scores honest?', spec, alt, table)


def differing_sets(runs: Sequence[Run], sets: Sequence[Any]) -> Iterator[Text]:
    """A warning where two runs were not tested on the same pictures."""
    if len(runs) > 1 and sets[0] != sets[1]:
        yield Text('The two were not tested on the same pictures: their figures do not compare.')


def short(path: str) -> str:
    """The last part of a path, for captions."""
    return Path(path).name or path
