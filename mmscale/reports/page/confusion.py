"""Which class is taken for which, of classifiers and segmentors."""

from collections.abc import Sequence

import numpy as np

from mmscale.reports.page import charts
from mmscale.reports.page.common import Run
from mmscale.reports.page.parts import Chart, Section, Table, number, percent

CELLS = 40  # classes on a side that are shown
PAIRS = 40  # rows of the table


def confusion(runs: Sequence[Run], counted: str, note: str) -> Section:
    """A square matrix of classes for each run, of which the most confused are shown.

    Args:
        runs (Sequence[Run]): Their studies have `names` and a `confusion` (K, K).
        counted (str): What is: 'pictures' or 'pixels'.
        note (str): What rows and columns are.
    """
    parts = [_chart(run, counted, len(runs) > 1) for run in runs]
    return Section('What is taken for what', note, parts)


def _chart(run, counted, named):
    names, matrix = run.study.names, run.study.confusion
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    busiest = np.argsort(-(wrong.sum(0) + wrong.sum(1)), kind='stable')[:CELLS]
    shown = sorted(busiest.tolist())
    rows = [
        dict(truth=names[t], found=names[f], count=int(matrix[t, f]),
             share=float(matrix[t, f] / matrix[t].sum()))
        for t in shown
        for f in shown
        if matrix[t, f]
    ]  # fmt: skip
    order = np.argsort(-wrong, axis=None, kind='stable')[:PAIRS].tolist()
    pairs = [(cell // len(names), cell % len(names)) for cell in order]
    cells = [
        [names[t], names[f], number(int(wrong[t, f])), percent(wrong[t, f] / matrix[t].sum())]
        for t, f in pairs
        if wrong[t, f]
    ]
    first = f'{cells[0][0]} as {cells[0][1]} ({cells[0][2]})' if cells else 'none'
    of = f' of {run.name}' if named else ''
    alt = f'Classes{of} by what they are taken for. The most frequent error: {first}.'
    columns = ['class', 'taken for', counted, 'share of the row (%)']
    spec = charts.heatmap(rows, alt, [names[t] for t in shown], 'taken for', 'class', counted)
    if counted == 'pixels':
        spec['layer'] = spec['layer'][:1]  # millions do not fit into a cell
    title = f'Confusion{of}'
    if len(shown) < len(names):
        title += f': the {len(shown)} classes that are confused most'
    return Chart(title, spec, alt, Table(columns, cells, 'The most frequent errors'))
