"""Time and memory of cases, and what the machine is."""

import contextlib
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from mmscale.benchmark.forms import FORMS, TRAINED, Case, build
from mmscale.errors import UserError, check_whole, first_line

PACKAGES = ('torch', 'timm', 'onnxruntime', 'openvino', 'pycocotools', 'hotcoco')
ALLOCATOR = ('MALLOC_MMAP_THRESHOLD_', 'MALLOC_TRIM_THRESHOLD_', 'THP_MEM_ALLOC_ENABLE')
MIB = 2**20
SHORT = 100  # ms: below, what ran before is felt
# Of torch's errors, on CPUs and GPUs.
ALONE = 'more than 1 value per channel'
TOO_LARGE = ("can't allocate memory", 'not enough memory', 'out of memory', 'overflow')


def prepare(case: Case, shape: Sequence[int], training: bool = False) -> Callable[[], None]:
    """A function without arguments that does one pass, or one training step.

    Args:
        case (Case): What to run.
        shape (Sequence[int]): Images, height and width.
        training (bool): Forward, backward and a step of SGD on random maps, in training mode.

    Raises:
        UserError: If the form cannot be trained, a package is missing, or the shape is too small
            or too large.
    """
    model, x = model_and_images(case, shape)
    with _fitting(case, shape):
        run = _training_step(case, model, x) if training else _pass(case, model, x)

    def once():
        with _fitting(case, shape):
            run()

    return once


def _pass(case, model, x):
    with torch.no_grad():
        run = FORMS[case.form](model, x)

    def once():
        with torch.no_grad():
            run(x)
        wait()

    return once


@contextlib.contextmanager
def _fitting(case, shape):
    """Has what torch says of images that are too small or too large name them."""
    try:
        yield
    except UserError:
        raise
    except (ValueError, RuntimeError, MemoryError) as error:
        size = 'x'.join(map(str, shape))
        if ALONE in str(error):
            raise UserError(
                f'{case} cannot be trained on --shape {size}: a norm has one value per channel '
                'there; give more images or larger ones'
            ) from error
        if isinstance(error, MemoryError) or any(text in str(error) for text in TOO_LARGE):
            raise UserError(
                f'{case} does not fit into memory with --shape {size}; give fewer images or '
                'smaller ones'
            ) from error
        raise UserError(f'{case} cannot be run on --shape {size}: {first_line(error)}') from error


def model_and_images(case: Case, shape: Sequence[int]) -> tuple[torch.nn.Module, torch.Tensor]:
    """A case's model and random images (N, 3, H, W), on the GPU if there is one."""
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    count, height, width = shape
    generator = torch.Generator().manual_seed(0)
    with _fitting(case, shape):
        x = torch.randn(count, 3, height, width, generator=generator).to(device)
    return build(case.model).to(device), x


def _training_step(case, model, x):
    if case.form not in TRAINED:
        raise UserError(f'{case} cannot be trained; choose from {TRAINED}')
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9)
    run = FORMS[case.form](model, x)

    def once():
        loss = sum(y.square().mean() for y in run(x))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        wait()

    return once


def wait() -> None:
    """Until a GPU has done what it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def measure(
    cases: Sequence[Case],
    shape: Sequence[int],
    *,
    training: bool = False,
    rounds: int = 9,
    memory: bool = False,
) -> list[dict[str, Any]]:
    """Time cases in turns, so that what else the machine does hits all of them alike.

    Args:
        cases (Sequence[Case]): What to run.
        shape (Sequence[int]): Images, height and width.
        training (bool): Training steps instead of inference.
        rounds (int): Of which the median counts, after one to warm up. Short calls are warmed up in
            each, by one that is not timed.
        memory (bool): Also the peak memory, each case in a process of its own.

    Returns:
        list[dict]: For each case `case`, `shape`, `training`, `ms` (median), `best_ms` and, if
        asked for, `peak_mib`: of a child process in which the case ran twice, beyond what it held
        before; on a GPU, the most that torch had allocated. For training also `saved_mib`:
        what is held after one forward pass (see :func:`saved_bytes`).
    """
    check_whole('--rounds', rounds)
    runs = {case: prepare(case, shape, training) for case in cases}
    times: dict[Case, list[float]] = {case: [] for case in cases}
    for run in runs.values():
        run()
    for _ in range(rounds):
        for case, run in runs.items():
            if times[case] and min(times[case]) < SHORT:
                run()  # with its own data in the cache, and the threads of the one before at rest
            start = time.perf_counter()
            run()
            times[case].append(1000 * (time.perf_counter() - start))
    rows = []
    for case in cases:
        row = dict(case=str(case), shape=list(shape), training=training)
        row |= dict(ms=statistics.median(times[case]), best_ms=min(times[case]))
        if memory:
            row['peak_mib'] = peak_memory(case, shape, training)
            if training:
                row['saved_mib'] = _saved(case, shape) / MIB
        rows.append(row)
    return rows


def peak_memory(case: Case, shape: Sequence[int], training: bool = False) -> float:
    """The peak memory of a case in MiB, in a process of its own (see :func:`measure`)."""
    code = (
        'import sys; from mmscale.benchmark.measuring import print_peak; print_peak(*sys.argv[1:])'
    )
    command = [sys.executable, '-W', 'ignore', '-c', code, str(case), json.dumps(list(shape))]
    child = subprocess.run(
        [*command, str(int(training))], check=False, capture_output=True, text=True
    )
    if child.returncode:
        raise UserError(f'{case} failed: {child.stderr.strip().splitlines()[-1]}')
    return float(child.stdout.splitlines()[-1])


def print_peak(case: str, shape: str, training: str) -> None:
    """What :func:`peak_memory` has a process of its own print."""
    sides = json.loads(shape)
    before = _resident()
    run = prepare(Case.parse(case), sides, bool(int(training)))
    run()
    run()
    if torch.cuda.is_available():
        print(torch.cuda.max_memory_allocated() / MIB)
    else:
        print(_resident() - before)


def _resident():
    """The most that this process ever held, in MiB."""
    status = Path('/proc/self/status')
    if status.is_file():  # there a child's ru_maxrss begins with its parent's
        return int(status.read_text().partition('VmHWM:')[2].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MIB  # macOS counts in bytes


def _saved(case, shape):
    model, x = model_and_images(case, shape)
    return saved_bytes(FORMS[case.form](model.train(), x), x)


class _Allocated(TorchDispatchMode):
    """Knows the storage of every tensor that was computed in its scope."""

    def __init__(self):
        super().__init__()
        self.sizes = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        outputs = func(*args, **(kwargs or {}))
        for leaf in tree_flatten(outputs)[0]:
            if isinstance(leaf, torch.Tensor):
                storage = leaf.untyped_storage()
                self.sizes[StorageWeakRef(storage)] = storage.nbytes()
        return outputs


def saved_bytes(model: torch.nn.Module, x: torch.Tensor) -> int:
    """Bytes that are held after a forward pass: what autograd keeps, and the outputs.

    Not of a compiled model, which runs as it was written here.
    """
    with _Allocated() as allocated:
        outputs = model(x)
    before = {StorageWeakRef(t.untyped_storage()) for t in (*model.state_dict().values(), x)}
    held = [s for s in allocated.sizes if s not in before and not s.expired()]
    del outputs
    return sum(allocated.sizes[storage] for storage in held)


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    versions = {}
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return dict(
        date=time.strftime('%Y-%m-%d'),
        processor=_processor(),
        threads=torch.get_num_threads(),
        capability=torch.backends.cpu.get_cpu_capability(),
        gpu=torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        python=platform.python_version(),
        versions=versions,
        allocator={name: os.environ[name] for name in ALLOCATOR if name in os.environ},
    )


def _processor():
    path = Path('/proc/cpuinfo')
    if path.is_file():
        for line in path.read_text(encoding='utf-8').splitlines():
            if line.startswith('model name'):
                return line.partition(':')[2].strip()
    return platform.processor()


def ceilings() -> dict[str, float]:
    """What the machine reaches: matrix products in GFLOP/s, copying in GB/s read and written."""
    a = torch.randn(2048, 2048)
    x, y = torch.randn(2**26), torch.empty(2**26)
    products, copies = [], []
    for _ in range(10):
        start = time.perf_counter()
        a @ a
        middle = time.perf_counter()
        y.copy_(x)
        products.append(middle - start)
        copies.append(time.perf_counter() - middle)
    return dict(
        matmul_gflops=2 * 2048**3 / min(products) / 1e9, copy_gbs=2 * y.nbytes / min(copies) / 1e9
    )
