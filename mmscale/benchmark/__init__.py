"""Speed and memory of models side by side: interleaved runs in one process.

A case is a model in a form: ``rexnet-100:fused``. The models are rows of `MODELS`, the forms
functions in `FORMS`.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmscale.benchmark.forms import FORMS, MODELS, TRAINED, Case, build
from mmscale.benchmark.measuring import (
    MIB,
    ceilings,
    machine,
    measure,
    peak_memory,
    prepare,
    saved_bytes,
)
from mmscale.benchmark.profiling import profile
from mmscale.errors import UserError
from mmscale.utils.figures import new_figure, write_figure

__all__ = [
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


def run(
    cases: Sequence[str],
    shapes: Sequence[str] | None = None,
    *,
    training: bool = False,
    memory: bool = False,
    profiles: bool = False,
    rounds: int = 9,
) -> dict[str, Any]:
    """What ``tools/benchmark.py`` prints.

    Args:
        cases (Sequence[str]): ``model:form``, or the model alone for eager.
        shapes (Sequence[str], optional): ``NxHxW``. Default: ``16x224x224``.
        training, memory, rounds: As in :func:`measure`.
        profiles (bool): Also each case's time by operator.

    Returns:
        dict: `machine`, `rows` (see :func:`measure`) and `profiles` (see :func:`profile`).

    Raises:
        UserError: If a name or a shape is wrong, or a package is missing.
    """
    parsed = [Case.parse(text) for text in cases]
    sizes = [_shape(text) for text in shapes or ['16x224x224']]
    rows = []
    for size in sizes if parsed else ():
        rows += measure(parsed, size, training=training, rounds=rounds, memory=memory)
    limits = ceilings()
    profiled = [
        profile(case, size, limits, training=training)
        for size in sizes
        for case in (parsed if profiles else ())
    ]
    return dict(machine=dict(**machine(), **limits), rows=rows, profiles=profiled)


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
    rows, machine = result['rows'], result['machine']
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
    what = 'training step' if rows[0]['training'] else 'inference'
    device = machine['gpu'] or f'{machine["processor"]}, {machine["threads"]} threads'
    axes.set_title(
        f'{what}, {", ".join(shapes)}\n{device}, torch {machine["versions"]["torch"]}', fontsize=8
    )
    write_figure(figure, out)
