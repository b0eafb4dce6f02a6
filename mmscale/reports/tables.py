"""Tables of a metric over resolutions: printed, and drawn beside each other."""

import re
import statistics
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mmscale.errors import UserError
from mmscale.reports.statistics import margin
from mmscale.utils.figures import COLOURS, label, new_figure, write_figure
from mmscale.utils.files import check_out
from mmscale.utils.texts import parse_json


def compare_tables(
    kinds: Mapping[str, Sequence[str]], metric: str, out: str | Path
) -> dict[str, dict[int, list[float]]]:
    """Draw a metric over the resolutions, a line for each kind of network and way of inference.

    Args:
        kinds (dict[str, list]): The .json tables of ``test.py --resolutions`` of each kind's
            networks, by the kind's name. Rows of one resolution, of several seeds say, are
            averaged; bars show the mean's 95 % interval.
        metric (str): Of the tables' columns.
        out (str | Path): The PNG to write.

    Returns:
        dict[str, dict[int, list[float]]]: The values by line and resolution.

    Raises:
        UserError: If a file is not such a table, or has no such metric, or `out` cannot be written.
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
            rows = parse_json(file.read())
        return [{key: row[key] for key in ('inference', 'resolution', metric)} for row in rows]
    except (OSError, ValueError, TypeError) as error:
        raise UserError(
            f'{path!r} is not a table of test.py --resolutions --out ({error}); of a run give the '
            'work dir'
        ) from error
    except KeyError as error:
        raise UserError(f'a row of {path!r} has no {error}; it has {list(rows[0])}') from error


def print_table(rows: list[dict]) -> None:
    """Print a table of :func:`mmscale.resolutions.testing.evaluate_resolutions` on the terminal."""
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
