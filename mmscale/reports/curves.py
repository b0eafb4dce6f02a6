"""What the logs of runs say: one run's curve, and runs of several kinds beside each other."""

import logging
import math
import statistics
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path

from mmengine.logging import print_log

from mmscale.errors import UserError
from mmscale.reports.statistics import margin
from mmscale.utils.figures import COLOURS, label, new_figure, write_figure
from mmscale.utils.files import check_out
from mmscale.utils.texts import parse_json

STEPS = ('epoch', 'iter', 'step', 'time', 'data_time', 'memory')  # of a log, and how long they took


def scalars(work_dir: str | Path, name: str) -> dict[int, float]:
    """A scalar over the steps of a run, all of its logs together.

    Args:
        work_dir (str | Path): The folder of the run.
        name (str): As it is logged: ``loss``, ``coco/bbox_mAP``, ``accuracy/top1``.

    Returns:
        dict[int, float]: By iteration, in order; empty if it was never logged. A validation that
        the log counts in epochs is at the last training iteration that was logged before it. From
        where a later log begins, what an earlier one says does not count.

    Raises:
        UserError: If a file is not a log, or the scalar is not a number in it.
    """
    values: dict = {}
    for log in _logs(work_dir):
        lines = _read_log(log)
        by_epoch = any('epoch' in line for line in lines)
        iteration = max(values, default=0)
        for number, line in enumerate(lines):
            iteration = line.get('iter', iteration if by_epoch else line['step'])
            if number == 0:
                values = {step: value for step, value in values.items() if step < iteration}
            if name in line:
                values[iteration] = _number(line[name], name, log)
    return dict(sorted(values.items()))


def scalar_names(work_dir: str | Path) -> tuple[list[str], list[str]]:
    """What the logs of a run hold beside steps and times.

    Returns:
        tuple[list[str], list[str]]: The names of training's scalars, and those of validation's.
    """
    training: dict = {}
    validation: dict = {}
    for log in _logs(work_dir):
        for line in _read_log(log):
            side = training if 'lr' in line or 'loss' in line else validation
            side.update((k, None) for k in line if k not in STEPS and _is_number(line[k]))
    return list(training), [name for name in validation if name not in training]


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _number(value, name, log):
    if not isinstance(value, (int, float)):
        raise UserError(f'{name!r} is {value!r} in {str(log)!r}, which is not a number')
    return value


def _logs(work_dir):
    """A run's logs, the earliest first."""
    return sorted(Path(work_dir).glob('*/vis_data/scalars.json'))


def _read_log(log):
    """The lines of a log, each a dict with a step; without a last one that was cut short."""
    texts = log.read_text(encoding='utf-8', errors='replace').splitlines()
    lines = []
    for number, text in enumerate(texts, 1):
        try:
            line = parse_json(text)
            lines.append(line | {'step': int(line['step'])})
        except (ValueError, KeyError, TypeError) as error:
            if number < len(texts):
                raise UserError(
                    f'line {number} of {str(log)!r} is not an object with a step, as the '
                    f'lines of a log are: {text:.60}'
                ) from error
    return lines


def draw_curve(work_dir: str | Path, out: str | Path) -> Path:
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


def compare_runs(
    kinds: Mapping[str, Sequence[str]], metric: str, out: str | Path
) -> dict[str, list[float]]:
    """Draw several kinds of runs: training loss, a metric, and where the metric ends.

    The last picture has a dot for each run, and each kind's mean with its 95 % interval.

    Args:
        kinds (dict[str, list]): The work dirs of each kind's runs, by the kind's name.
        metric (str): As it is logged.
        out (str | Path): The PNG to write.

    Returns:
        dict[str, list[float]]: The metric's last value of each run.

    Raises:
        UserError: If no log of a run has the metric, or it ends with no finite number, or `out`
            cannot be written.
    """
    check_out(out, ('.png',))
    figure, [[*over_time, end]] = new_figure(3)
    over_time[0].sharex(over_time[1])
    last = {}
    for place, (colour, (kind, work_dirs)) in enumerate(zip(cycle(COLOURS), kinds.items())):
        for name, axis in zip(('loss', metric), over_time):
            for number, work_dir in enumerate(work_dirs):
                values = scalars(work_dir, name)
                style = dict(label=label(kind)) if number == 0 else {}
                _plot(axis, values, color=colour, marker='.' * (len(values) < 30), **style)
        last[kind] = _last(kind, work_dirs, metric)
        _plot_end(end, place, last[kind], colour)
    for name, axis in zip(('loss', metric), over_time):
        axis.set(xlabel='iteration', ylabel=name)
        axis.legend()
    end.set(ylabel=f'{metric}, last', title='runs, mean and its 95 % interval')
    end.set_xticks(range(len(kinds)), map(label, kinds))
    end.margins(x=0.3)
    write_figure(figure, out)
    return last


def _plot_end(axis, place, values, colour):
    axis.plot([place] * len(values), values, '.', color=colour)
    mean = statistics.mean(values)
    axis.errorbar(place, mean, margin(values), color=colour, marker='_', markersize=24, capsize=6)


def _last(kind, work_dirs, metric):
    """The metric's last value of each run of a kind."""
    last, iterations = [], []
    for work_dir in work_dirs:
        values = scalars(work_dir, metric)
        if not values:
            raise UserError(_without(work_dir, metric))
        iterations.append(max(values))
        last.append(values[max(values)])
        if not math.isfinite(last[-1]):
            raise UserError(
                f'{metric!r} of {str(work_dir)!r} ends with {last[-1]}; leave this run out'
            )
    if len(set(iterations)) > 1:
        text = f'the runs of {kind!r} end at different iterations: {iterations}'
        print_log(text, logger='current', level=logging.WARNING)
    return last


def _without(work_dir, metric):
    """What to say of a folder in which no log has the metric."""
    if not _logs(work_dir):
        return (
            f'{str(work_dir)!r} is not the work dir of a run: it has no TIME/vis_data/scalars.json'
        )
    names = {name for log in _logs(work_dir) for line in _read_log(log) for name in line}
    return f'no {metric!r} in the latest run of {str(work_dir)!r}; its logs have {sorted(names)}'


def _plot(axis, values, **style):
    axis.plot(list(values), list(values.values()), linewidth=1.2, **style)
