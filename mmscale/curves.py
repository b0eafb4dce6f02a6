"""What the logs of runs say: one run's curve, and runs of several kinds beside each other."""

import json
import statistics
from itertools import cycle
from pathlib import Path

import cv2
import numpy as np
from scipy import stats

from mmscale.errors import UserError
from mmscale.files import written_aside

COLOURS = ('tab:orange', 'tab:blue', 'tab:green', 'tab:red', 'tab:purple', 'tab:brown')


def scalars(work_dir, name):
    """A scalar over the steps of a run, all of its logs together.

    Args:
        work_dir (str | Path): The folder of the run.
        name (str): As it is logged: ``loss``, ``coco/bbox_mAP``, ``accuracy/top1``.

    Returns:
        dict[int, float]: By iteration, in order; empty if it was never logged. A validation that
        the log counts in epochs is at the last training iteration that was logged before it.
    """
    values = {}
    for log in sorted(Path(work_dir).glob('*/vis_data/scalars.json')):  # the latest counts
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        by_epoch = any('epoch' in line for line in lines)
        iteration = 0
        for line in lines:
            iteration = line.get('iter', iteration if by_epoch else line['step'])
            if name in line:
                values[iteration] = line[name]
    return dict(sorted(values.items()))


def draw_curve(work_dir, out):
    """Draw the training loss and the box AP of a detector's run over its iterations.

    Returns:
        Path: Where the picture is.
    """
    figure, [[left]] = new_figure(1)
    _plot(left, scalars(work_dir, 'loss'), color='tab:blue')
    left.set(xlabel='iteration', ylim=(0, None))
    left.set_ylabel('training loss', color='tab:blue')
    right = left.twinx()
    _plot(right, scalars(work_dir, 'coco/bbox_mAP'), color='tab:orange', marker='o')
    right.set(ylim=(0, 1))
    right.set_ylabel('box AP (validation)', color='tab:orange')
    return write_figure(figure, out)


def compare_runs(kinds, metric, out):
    """Draw several kinds of runs: training loss, a metric, and where the metric ends.

    The last picture has a dot for each run, and each kind's mean with its 95 % interval.

    Args:
        kinds (dict[str, list]): The work dirs of each kind's runs, by the kind's name.
        metric (str): As it is logged.
        out (str | Path): The PNG to write.

    Returns:
        dict[str, list[float]]: The metric's last value of each run.

    Raises:
        UserError: If no log of a run has the metric.
    """
    figure, [[*over_time, end]] = new_figure(3)
    over_time[0].sharex(over_time[1])
    last = {}
    for colour, (kind, work_dirs) in zip(cycle(COLOURS), kinds.items()):
        for name, axis in zip(('loss', metric), over_time):
            for number, work_dir in enumerate(work_dirs):
                values = scalars(work_dir, name)
                label = kind if number == 0 else None
                _plot(axis, values, color=colour, label=label, marker='.' * (len(values) < 30))
        last[kind] = [_last(work_dir, metric) for work_dir in work_dirs]
        _plot_end(end, kind, last[kind], colour)
    for name, axis in zip(('loss', metric), over_time):
        axis.set(xlabel='iteration', ylabel=name)
        axis.legend()
    end.set(ylabel=f'{metric}, last', title='runs, mean and its 95 % interval')
    end.margins(x=0.3)
    write_figure(figure, out)
    return last


def _plot_end(axis, kind, values, colour):
    axis.plot([kind] * len(values), values, '.', color=colour)
    mean = [statistics.mean(values)]
    axis.errorbar([kind], mean, margin(values), color=colour, marker='_', markersize=24, capsize=6)


def _last(work_dir, metric):
    values = scalars(work_dir, metric)
    if not values:
        raise UserError(f'no log in {str(work_dir)!r} has {metric!r}')
    return list(values.values())[-1]


def margin(values):
    """Half the width of the mean's 95 % interval (Student's t); 0 for one value."""
    if len(values) < 2:
        return 0.0
    return stats.t.ppf(0.975, len(values) - 1) * statistics.stdev(values) / len(values) ** 0.5


def summary(values):
    """Mean, standard deviation and interval: ``0.47 ± 0.01 (3 runs; 95 %: 0.45 to 0.49)``."""
    mean, count = statistics.mean(values), len(values)
    if count < 2:
        return f'{mean:.3f} (1 run)'
    low, high = mean - margin(values), mean + margin(values)
    spread = statistics.stdev(values)
    return f'{mean:.3f} ± {spread:.3f} ({count} runs; 95 %: {low:.3f} to {high:.3f})'


def write_png(out, picture):
    """Write a BGR picture, whole or not at all."""
    with written_aside(out) as temporary:
        cv2.imwrite(str(temporary), picture)
    return Path(out)


def new_figure(columns, rows=1, **options):
    """A figure that needs no display, and its axes as an array (rows, columns)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    size = (4 + 4 * columns, 1 + 3.5 * rows)
    figure = Figure(figsize=size, dpi=120, layout='tight')
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def _plot(axis, values, **style):
    axis.plot(list(values), list(values.values()), linewidth=1.2, **style)


def write_figure(figure, out):
    """Write a figure as a PNG, whole or not at all."""
    figure.canvas.draw()
    return write_png(out, np.asarray(figure.canvas.buffer_rgba())[..., 2::-1])
