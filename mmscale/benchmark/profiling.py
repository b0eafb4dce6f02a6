"""Where the time of a case goes, and how far its convolutions are from what the machine can do."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from torch._inductor import config as inductor  # older torch has no such attribute
from torch.profiler import ProfilerActivity
from torch.utils._python_dispatch import TorchDispatchMode

from mmscale.benchmark.forms import OUTSIDE, Case
from mmscale.benchmark.measuring import prepare
from mmscale.errors import UserError

LEAST = 0.01  # share of an operator that gets a line of its own


def profile(
    case: Case,
    shape: Sequence[int],
    ceilings: dict[str, float],
    *,
    training: bool = False,
    passes: int = 3,
) -> dict[str, Any]:
    """Time by operator, and the least time that the convolutions could take.

    Args:
        case (Case): What to run, in one of PyTorch's forms.
        shape (Sequence[int]): Images, height and width.
        ceilings (dict): What :func:`mmscale.benchmark.ceilings` measured.
        training (bool): A training step instead of inference.
        passes (int): Over which the times are averaged.

    Returns:
        dict: `case`, `shape`, `training`; for one pass `ms`, of all operators as the profiler sees
        them, and `convolutions_at_ceilings_ms`, each at the slower of its multiply-adds at the
        speed of matrix products and its tensors at that of copying; `operators`, the most costly
        first: `operator`, `ms`, `share`, `calls`.

    Raises:
        UserError: If an engine outside PyTorch runs the case.
    """
    if case.form in OUTSIDE:
        raise UserError(f'--profile: {case} runs outside PyTorch; profile another form')
    # Compiled kernels are functions of one large call, unless they announce themselves.
    with inductor.patch({'cpp.enable_kernel_profile': True}):
        run = prepare(case, shape, training)
        run()
    activities = [ProfilerActivity.CPU]
    if torch.cuda.is_available():
        activities.append(ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=activities) as profiler:
        for _ in range(passes):
            run()
    times: Counter = Counter()
    calls: Counter = Counter()
    for event in profiler.key_averages():
        # one compiled kernel of many alike: graph_0_cpp_fused_silu_12
        name = re.sub(r'^graph_\d+_|_\d+$', '', event.key)
        on_gpu = torch.cuda.is_available()
        own = event.self_device_time_total if on_gpu else event.self_cpu_time_total
        times[name] += own / 1000 / passes
        calls[name] += event.count / passes
    whole = times.total()
    operators = [
        dict(operator=name, ms=ms, share=ms / whole, calls=calls[name])
        for name, ms in times.most_common()
        if ms >= LEAST * whole
    ]
    least = convolutions_at(ceilings, case, shape, training)
    return dict(
        case=str(case),
        shape=list(shape),
        training=training,
        ms=whole,
        convolutions_at_ceilings_ms=1000 * least,
        operators=operators,
    )


def convolutions_at(
    ceilings: dict[str, float], case: Case, shape: Sequence[int], training: bool = False
) -> float:
    """Seconds that a case's convolutions take at the machine's ceilings (see :func:`profile`)."""
    run = prepare(case._replace(form='eager'), shape, training)
    with _Convolutions() as convolutions:
        run()
    products, memory = 1e9 * ceilings['matmul_gflops'], 1e9 * ceilings['copy_gbs']
    return sum(max(flops / products, size / memory) for flops, size in convolutions.costs)


class _Convolutions(TorchDispatchMode):
    """Writes down the operations and bytes of every convolution, forward and backward."""

    def __init__(self):
        super().__init__()
        self.costs = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        outputs = func(*args, **(kwargs or {}))
        if func is torch.ops.aten.convolution.default:
            self._add(args[0], args[1], outputs)
        elif func is torch.ops.aten.convolution_backward.default:
            for gradient in outputs[:2]:  # of the input and of the weights, if wanted
                if gradient is not None:
                    self._add(args[1], args[2], args[0])
        return outputs

    def _add(self, x, weight, y):
        size = sum(tensor.numel() * tensor.element_size() for tensor in (x, weight, y))
        self.costs.append((2 * y.numel() * weight[0].numel(), size))
