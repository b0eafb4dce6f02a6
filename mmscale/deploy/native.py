"""ReXNet's blocks on a CPU by `bottleneck.cpp`, compiled for the processor that it runs on.

A C++ compiler builds the file the first time, in a few seconds. The library stays in
``$XDG_CACHE_HOME/mmscale`` (``~/.cache/mmscale``), under a name of its own for each version of the
file, compiler and processor.
"""

import ctypes
import functools
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from mmscale.errors import UserError
from mmscale.utils.files import writing, written_aside
from mmscale.utils.following import is_followed

SOURCE = Path(__file__).with_name('bottleneck.cpp')
# Neither errno nor traps: a minimum is one instruction then. NaN and infinity are kept.
FLAGS = [
    '-std=c++17', '-O3', '-fno-math-errno', '-fno-trapping-math', '-fopenmp', '-shared', '-fPIC'
]  # fmt: skip
NATIVE = {'x86_64': '-march=native', 'aarch64': '-mcpu=native'}
INSTALL = 'on Debian and Ubuntu: apt install g++. CXX names another compiler'
SIZES = ('in_', 'hidden', 'out', 'stride', 'dilation', 'gates', 'expands', 'silu', 'shortcut')
ARRAYS = (
    'expand', 'expand_bias', 'depthwise', 'depthwise_bias', 'project', 'project_bias',
    'reduce', 'reduce_bias', 'excite', 'excite_bias',
)  # fmt: skip


class _Block(ctypes.Structure):
    """The struct of that name in `bottleneck.cpp`."""

    _fields_ = [
        *((name, ctypes.c_long) for name in SIZES),
        *((name, ctypes.c_void_p) for name in ARRAYS),
    ]


# The library


@functools.cache
def library() -> ctypes.CDLL:
    """The functions of `bottleneck.cpp`; compiled if they are not there yet.

    Raises:
        UserError: If there is no compiler, it refuses the file, or the library cannot be written.
    """
    command = _command()
    root = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    path = Path(root, 'mmscale', f'bottleneck-{_digest(command)}.so')
    with writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    if not path.is_file():
        with written_aside(path) as temporary:
            done = _run([*command, '-o', str(temporary), str(SOURCE)])
            if done.returncode:
                errors = [line for line in done.stderr.splitlines() if 'error' in line]
                raise UserError(
                    f"{shlex.join(command)} does not compile ReXNet's blocks: "
                    f'{(errors or done.stderr.splitlines() or ["no message"])[0]}. It was tried '
                    f'with GCC 12 on Linux; {INSTALL}'
                )
    try:
        found = ctypes.CDLL(str(path))
    except OSError as error:
        raise UserError(f'{str(path)!r} cannot be loaded: {error}; remove it') from error
    found.lanes.restype = found.scratch_size.restype = ctypes.c_long
    return found


def _command():
    """The compiler, with what it is told."""
    named = shlex.split(os.environ.get('CXX', ''))
    usual = [name for name in ('c++', 'g++', 'clang++') if shutil.which(name)]
    compiler = named or usual[:1]
    if not compiler or not shutil.which(compiler[0]):
        missing = f'the compiler {compiler[0]!r} is missing' if compiler else 'there is no compiler'
        raise UserError(f"ReXNet's blocks are to be compiled, but {missing}; {INSTALL}")
    own = NATIVE.get(platform.machine())
    return [*compiler, *FLAGS, *([own] if own else [])]


def _run(command):
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _digest(command):
    """A name for what comes out of the compiler."""
    version = _run([command[0], '--version']).stdout
    listed = Path('/proc/cpuinfo')
    lines = listed.read_text(encoding='utf-8').splitlines() if listed.is_file() else []
    processor = next((line for line in lines if line.lower().startswith(('flags', 'features'))), '')
    parts = (SOURCE.read_text(encoding='utf-8'), *command, version, platform.machine(), processor)
    return hashlib.sha256('\0'.join(parts).encode()).hexdigest()[:16]


# Blocks


class NativeBottleneck(nn.Module):
    """A ReXNet block that `bottleneck.cpp` computes, for float32 on a CPU without gradients.

    What traces, compiles or exports meets the block itself, and so do other devices and types.

    Args:
        block: In eval mode, with its norms folded; see :func:`can_be_native`.
    """

    scratch = threading.local()  # maps between two passes, for all blocks that a thread runs

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block
        self._convs: tuple[Any, ...] = tuple(m for m in block.modules() if isinstance(m, nn.Conv2d))
        self._packed: tuple | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Without pointers, which are another process's or copy's."""
        return {**self.__dict__, '_packed': None}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Take (N, in_channels, H, W) to (N, out_channels, H / stride, W / stride)."""
        if is_followed() or not self._fits(x):
            return self.block(x)
        native, described = library(), self._described()
        x = x.contiguous(memory_format=torch.channels_last)
        count, _, height, width = x.shape
        sides = ((side - 1) // described.stride + 1 for side in (height, width))
        y = torch.empty((count, described.out, *sides), memory_format=torch.channels_last)
        sizes = [ctypes.c_long(n) for n in (count, height, width, torch.get_num_threads())]
        block = ctypes.byref(described)
        scratch = self._scratch(native.scratch_size(block, *sizes))
        native.run(block, _pointer(x), _pointer(y), _pointer(scratch), *sizes)
        return y

    def _fits(self, x):
        first = self._convs[0]
        return (
            type(x) is torch.Tensor
            and x.dtype == first.weight.dtype == torch.float32
            and x.device.type == first.weight.device.type == 'cpu'
            and x.layout == torch.strided
            and not (torch.is_grad_enabled() and (x.requires_grad or first.weight.requires_grad))
            and x.dim() == 4
            and x.numel() > 0
            and x.size(1) == (first.in_channels if first.groups == 1 else first.out_channels)
        )

    def _scratch(self, size):
        """Memory of that many floats, which is kept: fresh pages take longer than the maps."""
        kept = getattr(self.scratch, 'floats', None)
        if kept is None or kept.numel() < size:
            kept = self.scratch.floats = torch.empty(size)
        return kept

    def _described(self):
        """The block for `bottleneck.cpp`, made anew when a weight is another one."""
        tensors = [tensor for conv in self._convs for tensor in (conv.weight, conv.bias)]
        key = [(t.data_ptr(), 0 if t.is_inference() else t._version) for t in tensors]
        if self._packed is None or self._packed[0] != key:
            with torch.no_grad():
                self._packed = (key, *_describe(self.block))
        return self._packed[1]


def _pointer(tensor):
    return ctypes.c_void_p(tensor.data_ptr())


def _describe(block):
    """A block as `bottleneck.cpp` takes it, and the arrays that this points to."""
    native = library()
    lanes = native.lanes()

    def padded(tensor, last=True):  # the last dimension to whole vectors
        tensor = tensor.detach().clone(memory_format=torch.contiguous_format)
        return F.pad(tensor, (0, -tensor.size(-1) % lanes)) if last else tensor

    def packed(matrix):
        out, depth = matrix.shape
        result = torch.empty((out + -out % lanes) * depth)
        sizes = ctypes.c_long(out), ctypes.c_long(depth)
        native.pack(_pointer(matrix), *sizes, _pointer(result))
        return result

    depthwise, project = block.depthwise.conv, block.project.conv
    arrays = dict(
        depthwise=padded(depthwise.weight.flatten(1).t()),
        depthwise_bias=padded(depthwise.bias),
        project=packed(padded(project.weight.flatten(1))),
        project_bias=padded(project.bias),
    )
    described = _Block(
        in_=depthwise.in_channels,
        hidden=depthwise.out_channels,
        out=project.out_channels,
        stride=depthwise.stride[0],
        dilation=depthwise.dilation[0],
        shortcut=block.shortcut,
    )
    if not isinstance(block.expand, nn.Identity):
        expand = block.expand.conv
        described.in_ = expand.in_channels
        described.expands, described.silu = True, isinstance(block.expand.act, nn.SiLU)
        arrays['expand'] = packed(padded(expand.weight.flatten(1), last=False))
        arrays['expand_bias'] = padded(expand.bias)
    if not isinstance(block.se, nn.Identity):
        reduce, excite = block.se.reduce, block.se.expand
        described.gates = reduce.out_channels
        arrays['reduce'] = padded(reduce.weight.flatten(1))
        arrays['reduce_bias'] = padded(reduce.bias)
        arrays['excite'] = padded(excite.weight.flatten(1).t())
        arrays['excite_bias'] = padded(excite.bias)
    for name, array in arrays.items():
        setattr(described, name, array.data_ptr())
    return described, arrays


def can_be_native(block: Any) -> bool:
    """Whether a block computes what `bottleneck.cpp` does: its norms folded, nothing exchanged."""
    depthwise, expands = block.depthwise.conv, not isinstance(block.expand, nn.Identity)
    squeezes = not isinstance(block.se, nn.Identity)
    acts: list[tuple] = [(block.act, nn.ReLU6)]
    pointwise = [block.project.conv]
    norms = [block.depthwise.norm, block.project.norm]
    if expands:
        pointwise.append(block.expand.conv)
        norms.append(block.expand.norm)
        kind = nn.SiLU if isinstance(block.expand.act, nn.SiLU) else nn.ReLU6
        acts.append((block.expand.act, kind))
    if squeezes:
        pointwise += [block.se.reduce, block.se.expand]
        norms.append(block.se.norm)
        acts.append((block.se.act, nn.ReLU))
    stride, dilation = depthwise.stride[0], depthwise.dilation[0]
    return (
        all(type(norm) is nn.Identity for norm in norms)
        and all(type(act) is kind for act, kind in acts)
        and all(_is_usual(conv, 1, 1, 0, 1, 1) for conv in pointwise)
        and _is_usual(depthwise, 3, stride, dilation, dilation, depthwise.out_channels)
        and stride in (1, 2)
    )


def _is_usual(conv, size, stride, padding, dilation, groups):
    return (
        type(conv) is nn.Conv2d
        and conv.bias is not None
        and conv.padding_mode == 'zeros'
        and (conv.kernel_size, conv.stride) == ((size, size), (stride, stride))
        and (conv.padding, conv.dilation) == ((padding, padding), (dilation, dilation))
        and conv.groups == groups
    )
