"""The forms of one model side by side: which is the fastest here and computes the same."""

import statistics
import time
from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import Any, NamedTuple

import torch
from torch.utils._pytree import tree_flatten, tree_unflatten

from mmscale.benchmark.forms import FORMS, InEngine
from mmscale.benchmark.measuring import MIB, wait
from mmscale.deploy.native import NativeBottleneck, NativeScaleBottleneck, WinogradConv2d
from mmscale.errors import UserError, check_number, first_line

# In float32; the first is what the others are compared with.
EXACT = tuple(name for name in FORMS if name not in ('bfloat16', 'compiled-plain'))
NATIVE = (NativeBottleneck, NativeScaleBottleneck, WinogradConv2d)
AGREES = 1e-4  # of a tensor's largest value
LEAST_ROUNDS, MOST_ROUNDS = 3, 1000


class Tried(NamedTuple):
    """A form that was tried.

    Attributes:
        form (str): A name of `FORMS`.
        run (Callable | None): From the input to the model's outputs, without gradients.
        ms, best_ms (float | None): Median and least time of a call.
        difference (float | None): From the first form: the most, of a tensor's largest value; None
            if the outputs are no tensors.
        mib (float | None): Of its weights, or of its files.
        note (str): Why it could not be tried, or is not to be taken; or nothing.
    """

    form: str
    run: Callable[[torch.Tensor], Any] | None = None
    ms: float | None = None
    best_ms: float | None = None
    difference: float | None = None
    mib: float | None = None
    note: str = ''


class Best(NamedTuple):
    """What :func:`best` found.

    Attributes:
        run (Callable): From an input like the example to the model's outputs, without gradients.
        form (str): Its name.
        tried (list[Tried]): All that were tried.
    """

    run: Callable[[torch.Tensor], Any]
    form: str
    tried: list[Tried]


def best(model: torch.nn.Module, example: torch.Tensor, *, seconds: float = 2.0) -> Best:
    """The fastest form of a model on this machine, for inputs like the example, by trying them.

    The model as it is, in channels-last memory, fused, fused with C++ (native), compiled, and in
    ONNX Runtime and OpenVINO if they are installed: what cannot be made is left out. All run in
    turns, and the fastest counts of those whose outputs agree with the model's to 1e-4 of the
    largest value. Compiling takes a minute or two for each new model and size.

    Args:
        model: Any that takes one tensor and gives tensors, in any mode; it stays as it is.
        example: What it takes, on the model's device: the engines and torch.compile are made for
            this very size.
        seconds: How long each form is timed.

    Returns:
        Best: The form, and what was measured.

    Raises:
        UserError: If `model` is not a module, `example` not a tensor or empty, the outputs are no
            tensors, or the model as it is cannot be run.

    Example:
        >>> import torch
        >>> from mmscale.deploy import best
        >>> from mmscale.models import ReXNet
        >>> images = torch.rand(1, 3, 224, 224)
        >>> found = best(ReXNet(width_mult=1.0), images)  # doctest: +SKIP
        >>> found.form, [tuple(x.shape) for x in found.run(images)][-1]  # doctest: +SKIP
        ('native', (1, 185, 7, 7))
    """
    if not isinstance(model, torch.nn.Module):
        raise UserError(f'{type(model).__name__} has no forms: give a torch.nn.Module, built')
    if not isinstance(example, torch.Tensor):
        raise UserError(
            f'example is a {type(example).__name__}: give the tensor that the model takes'
        )
    if not example.numel():
        raise UserError(
            f'example has no values, its shape is {tuple(example.shape)}: give one image or more'
        )
    check_number('seconds', seconds, 0)
    tried = try_forms(
        model, example, EXACT, seconds, check=lambda plain: _check_plain(plain, example)
    )
    fastest = min((one for one in tried if one.ms is not None and not one.note), key=_milliseconds)
    assert fastest.run is not None  # as it was timed
    return Best(fastest.run, fastest.form, tried)


def _check_plain(plain, example):
    if plain.run is None:
        raise UserError(
            f'the model cannot be run on the example, {tuple(example.shape)} of {example.dtype}: '
            f'{plain.note}; give the shape and type that it takes'
        )
    if plain.difference is None:
        raise UserError('the outputs of the model are no tensors, so that forms cannot be compared')


def _milliseconds(tried):
    return tried.ms


def try_forms(
    model: torch.nn.Module,
    x: torch.Tensor,
    forms: Iterable[str],
    seconds: float,
    check: Callable[[Tried], None] | None = None,
) -> list[Tried]:
    """Make forms of a model, time them in turns and compare their outputs.

    Args:
        model: In any mode; it stays as it is.
        x: What it takes.
        forms (Iterable[str]): Names of `FORMS`, beginning with what the others are compared with.
        seconds (float): For each form, after a call to warm up; three calls at least, and a
            thousand at most.
        check (Callable, optional): Gets the first form, before others are made, and may raise.

    Returns:
        list[Tried]: In the order of `forms`.
    """
    model = deepcopy(model)
    model.eval()  # mmdet's return None
    rows: dict[str, Tried] = {}
    expected = None
    for form in forms:
        try:
            rows[form], outputs = _made(model, x, form)
        except Exception as error:  # anyone's model, and engines that may refuse it in any way
            note = str(error) if isinstance(error, UserError) else first_line(error)
            rows[form], outputs = Tried(form, note=note), None
        if check and len(rows) == 1:
            check(rows[form])
        if expected is None:
            expected = outputs
        elif outputs is not None:
            rows[form] = _compared(rows[form], outputs, expected)
    times = _timed({form: row.run for form, row in rows.items() if row.run}, x, seconds)
    return [
        row._replace(ms=statistics.median(times[form]), best_ms=min(times[form]))
        if form in times
        else row
        for form, row in rows.items()
    ]


def _made(model, x, form):
    """A form, and its outputs."""
    with torch.no_grad():
        outputs, structure = tree_flatten(model(x))
        own = FORMS[form](deepcopy(model), x)
    if form == 'native' and not any(isinstance(m, NATIVE) for m in own.modules()):
        raise UserError(
            'it has neither blocks of ReXNet or ScaleNet nor 3x3 convolutions of 32 channels'
        )

    def run(x):
        with torch.no_grad():
            found = own(x)
        if isinstance(own, InEngine) and len(found) == len(outputs):
            found = [torch.from_numpy(array) for array in found]
            return tree_unflatten(found, structure)
        return found

    size = own.size if isinstance(own, InEngine) else _bytes(model)
    difference = 0.0 if all(isinstance(y, torch.Tensor) for y in outputs) else None
    return Tried(form, run, difference=difference, mib=size / MIB), run(x)


def _bytes(model):
    return sum(t.numel() * t.element_size() for t in model.state_dict().values())


def _compared(row, outputs, expected):
    """The row with the difference; with a note if it is too large."""
    ours, theirs = (tree_flatten(y)[0] for y in (outputs, expected))
    if row.difference is None:
        return row
    if [y.shape for y in ours] != [y.shape for y in theirs]:
        return row._replace(difference=None, note='its outputs have other shapes')
    difference = max(map(_difference, ours, theirs), default=0.0)
    note = '' if difference <= AGREES else f'its outputs differ by more than {AGREES:.0e}'
    return row._replace(difference=difference, note=note)


def _difference(ours, theirs):
    ours, theirs = ours.double().cpu(), theirs.double().cpu()
    if not torch.equal(ours.isfinite(), theirs.isfinite()):
        return float('inf')
    both = theirs.isfinite()
    largest = theirs[both].abs().max().item() if both.any() else 0.0
    most = (ours - theirs)[both].abs().max().item() if both.any() else 0.0
    return most / largest if largest else most


def _timed(runs, x, seconds):
    """Milliseconds of calls in turns, by form; what is through with its seconds waits."""
    times: dict[str, list[float]] = {form: [] for form in runs}
    spent = dict.fromkeys(runs, 0.0)
    for run in runs.values():
        run(x)
    while runs:
        for form, run in list(runs.items()):
            wait()
            start = time.perf_counter()
            run(x)
            wait()
            times[form].append(1000 * (time.perf_counter() - start))
            spent[form] += times[form][-1]
            calls = len(times[form])
            if calls >= MOST_ROUNDS or (calls >= LEAST_ROUNDS and spent[form] >= 1000 * seconds):
                del runs[form]
    return times
