"""Speed and memory of models side by side: interleaved runs in one process.

A case is a model in a form: ``rexnet-100:fused``. The models are rows of `MODELS`, the forms
functions in `FORMS`.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmscale.benchmark.formats import EXACT, try_forms
from mmscale.benchmark.forms import FORMS, MODELS, TRAINED, Case, build
from mmscale.benchmark.measuring import (
    MIB,
    ceilings,
    machine,
    measure,
    model_and_images,
    peak_memory,
    prepare,
    saved_bytes,
)
from mmscale.benchmark.profiling import profile
from mmscale.errors import UserError, check_choice
from mmscale.utils.figures import new_figure, write_figure

__all__ = [
    'EXACT',
    'FORMS',
    'MIB',
    'MODELS',
    'TRAINED',
    'Case',
    'build',
    'ceilings',
    'draw',
    'machine',
    'measure',
    'peak_memory',
    'prepare',
    'profile',
    'run',
    'saved_bytes',
    'shape_text',
]


SECONDS = 3.0  # that a form is timed with `formats`


def run(
    cases: Sequence[str],
    shapes: Sequence[str] | None = None,
    *,
    training: bool = False,
    memory: bool = False,
    profiles: bool = False,
    rounds: int = 9,
    formats: Sequence[str] = (),
) -> dict[str, Any]:
    """What ``tools/benchmark.py`` prints.

    Args:
        cases (Sequence[str]): ``model:form``, or the model alone for eager.
        shapes (Sequence[str], optional): ``NxHxW``. Default: ``16x224x224``.
        training, memory, rounds: As in :func:`measure`.
        profiles (bool): Also each case's time by operator.
        formats (Sequence[str]): Forms that each case, a model alone, is tried in; not with the
            options above.

    Returns:
        dict: `machine`, `rows` (see :func:`measure`) and `profiles` (see :func:`profile`). Rows of
        `formats` have the `difference` of the outputs from those of the first form, the `mib` of
        the weights and a `note`, and no times if the form cannot be made. Nor have rows of a shape
        that cannot be run once another was.

    Raises:
        UserError: If a name or a shape is wrong, a package is missing, or the first shape cannot
            be run.
    """
    parsed = [Case.parse(text) for text in cases]
    sizes = [_shape(text) for text in shapes or ['16x224x224']]
    if formats:
        _check_formats(parsed, formats)
    rows = []
    measured: list[tuple[int, ...]] = []
    for size in sizes if parsed else ():
        try:
            if formats:
                rows += [row for case in parsed for row in _in_formats(case, size, formats)]
            else:
                rows += measure(parsed, size, training=training, rounds=rounds, memory=memory)
        except UserError as error:
            if not measured:
                raise
            rows += [_failed(case, size, training, error) for case in parsed]
        else:
            measured.append(size)
    limits = ceilings()
    profiled = [
        profile(case, size, limits, training=training)
        for size in measured
        for case in (parsed if profiles else ())
    ]
    return dict(machine=dict(**machine(), **limits), rows=rows, profiles=profiled)


def _check_formats(cases, formats):
    for case in cases:
        if case.form != 'eager':
            raise UserError(f'--formats names the forms: give {case.model!r} without {case.form!r}')
    for form in formats:
        check_choice('--formats', form, FORMS)


def _failed(case, size, training, error):
    """A row without times."""
    row = dict(case=str(case), shape=list(size), training=training, ms=None, best_ms=None)
    return {**row, 'note': str(error).removeprefix(f'{case} ')}


def _in_formats(case, size, formats):
    """A row for each form of a model."""
    model, x = model_and_images(case, size)
    for tried in try_forms(model, x, formats, SECONDS):
        row = {**tried._asdict(), 'case': f'{case.model}:{tried.form}', 'shape': list(size)}
        keys = ('case', 'shape', 'ms', 'best_ms', 'difference', 'mib', 'note')
        yield {key: row[key] for key in keys}


def _shape(text):
    parts = text.split('x')
    if len(parts) != 3 or not all(part.isdigit() and int(part) > 0 for part in parts):
        raise UserError(f'--shape {text!r} must be NxHxW, such as 16x224x224')
    return tuple(map(int, parts))


def shape_text(shape: Sequence[int]) -> str:
    """(16, 224, 224) as ``16x224x224``."""
    return 'x'.join(map(str, shape))


def draw(result: dict[str, Any], out: str | Path) -> None:
    """Bars of the times, one for each of the `rows` of :func:`run`, or lines where shapes vary."""
    rows, machine = [row for row in result['rows'] if row['ms']], result['machine']
    cases = list(dict.fromkeys(row['case'] for row in rows))
    shapes = list(dict.fromkeys(shape_text(row['shape']) for row in rows))
    figure, [[axes]] = new_figure(1)
    if len(shapes) == 1:
        axes.barh(cases, [row['ms'] for row in rows])
        axes.invert_yaxis()
        axes.set_xlabel('ms')
    else:
        for case in cases:
            own = [row for row in rows if row['case'] == case]
            megapixels = [math.prod(row['shape']) / 1e6 for row in own]
            axes.plot(megapixels, [row['ms'] for row in own], marker='o', label=case)
        axes.set_xlabel('megapixels of a batch')
        axes.set(ylabel='ms', ylim=(0, None))
        axes.legend()
    what = 'training step' if any(row.get('training') for row in rows) else 'inference'
    device = machine['gpu'] or f'{machine["processor"]}, {machine["threads"]} threads'
    axes.set_title(
        f'{what}, {", ".join(shapes)}\n{device}, torch {machine["versions"]["torch"]}', fontsize=8
    )
    write_figure(figure, out)
