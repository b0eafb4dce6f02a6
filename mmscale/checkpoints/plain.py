"""What a pickle may make: tensors, plain containers, and mmengine's histories.

Every name that it may use stands for a function of this module, which takes plain data and checks
it. None of them hashes, compares or writes out what it has not looked at: of a list that is doubled
forty times that never ends.
"""

import re
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from torch import nn


class Unsafe(Exception):
    """A pickle asks for more than data."""


class _DType:
    """Stands for a numpy type of plain numbers; the pickle never gets hold of a real one."""

    def __init__(self, kind, *_):
        fits = type(kind) is str and re.fullmatch(r'[biufc]\d{1,2}|bool|u?int\d\d?|float\d\d', kind)
        if not fits:
            raise Unsafe(f'numpy.dtype({shown(kind)})')
        self.real = np.dtype(kind)


def _array(owner, shape, kind):
    """In the place of numpy's _reconstruct: an empty array, filled by its state."""
    if owner is _NDARRAY and type(kind) in (bytes, str) and kind in (b'b', 'b'):
        return np.empty(0, np.int8)
    raise Unsafe('numpy._reconstruct')


def _scalar(kind, data):
    if type(kind) is _DType and type(data) is bytes and len(data) == kind.real.itemsize:
        return np.frombuffer(data, kind.real)[0]
    raise Unsafe('numpy.scalar')


def _statistic(owner, name):
    """In getattr's place: mmengine's histories refer to their own methods by it."""
    if owner is HistoryBuffer and type(name) is str and name in ('min', 'max', 'mean', 'current'):
        return getattr(HistoryBuffer, name)
    raise Unsafe(f'getattr of {shown(name)}')


def _bytes(*arguments):
    """How empty byte strings are pickled."""
    if arguments:
        raise Unsafe('builtins.bytes')
    return b''


def _encode(text, encoding):
    """How byte strings are pickled."""
    if type(text) is str and type(encoding) is str and encoding in ('latin1', 'latin-1'):
        return text.encode('latin1')
    raise Unsafe('_codecs.encode')


def _bytearray(*arguments):
    """From bytes, not from a number, which would be a length."""
    if not arguments:
        return bytearray()
    if len(arguments) == 2:
        return bytearray(_encode(*arguments))
    if len(arguments) == 1 and type(arguments[0]) is bytes:
        return bytearray(arguments[0])
    raise Unsafe('builtins.bytearray')


def _complex(real, imaginary):
    if are((int, float), (real, imaginary)):
        return complex(real, imaginary)
    raise Unsafe('builtins.complex')


def _slice(*limits):
    if are((int, type(None)), limits):
        return slice(*limits)
    raise Unsafe('builtins.slice')


def _size(sides):
    if type(sides) in (tuple, list) and are((int,), sides):
        return torch.Size(sides)
    raise Unsafe('torch.Size')


def _device(*named):
    if are((str, int), named):
        return torch.device(*named)
    raise Unsafe('torch.device')


def _set(items=()):
    return set(check_keys(_listed(items)))


def _frozenset(items=()):
    return frozenset(check_keys(_listed(items)))


def _counter(counts=None):
    if type(counts) is dict:
        return Counter(counts)
    return Counter(check_keys(_listed(counts or ())))


def _ordered(pairs=()):
    if type(pairs) is dict:
        return OrderedDict(pairs)
    pairs = _listed(pairs)
    if any(type(pair) not in (tuple, list) or len(pair) != 2 for pair in pairs):
        raise Unsafe('collections.OrderedDict')
    check_keys([key for key, _ in pairs])
    return OrderedDict(pairs)


def _tensor(storage, offset, sides, strides):
    """A view of a storage, within it and without any number twice.

    torch would make a storage longer that is too short.
    """
    fits = isinstance(storage, torch.storage.TypedStorage) and all(
        type(given) in (tuple, list, torch.Size) and are((int,), given)
        for given in ((offset,), sides, strides)
    )
    if not fits or len(sides) != len(strides) or min(offset, *sides, *strides, 0) < 0:
        raise Unsafe('a tensor of strange shape')
    last = offset + sum((side - 1) * stride for side, stride in zip(sides, strides))
    count = 1
    for side in sides:
        count *= side
    held = storage._size()
    if count and (last >= held or count > held):
        raise ValueError(f'a tensor wants more numbers than the {held} of its storage')
    return torch._utils._rebuild_tensor(storage, offset, tuple(sides), tuple(strides))


def _tensor_2(storage, offset, sides, strides, requires_grad=False, hooks=None, metadata=None):
    """With what else torch writes; hooks of a file are not taken over."""
    if metadata:
        raise Unsafe('a tensor with metadata')
    tensor = _tensor(storage, offset, sides, strides)
    tensor.requires_grad = requires_grad is True
    return tensor


def _tensor_3(storage, offset, sides, strides, requires_grad, hooks, dtype, metadata=None):
    """Of number formats that have no storage of their own."""
    if not isinstance(dtype, torch.dtype) or metadata:
        raise Unsafe('a tensor with metadata')
    size = dtype.itemsize if hasattr(dtype, 'itemsize') else torch._utils._element_size(dtype)
    untyped = storage._untyped_storage
    typed = torch.storage.TypedStorage(wrap_storage=untyped, dtype=dtype, _internal=True)
    if len(untyped) % size:
        raise ValueError(f'a storage of {len(untyped)} bytes holds no {dtype}')
    return _tensor_2(typed, offset, sides, strides, requires_grad)


def _parameter(data, requires_grad=True, *_):
    """Without hooks, and without the attributes that a file may want to set."""
    if type(data) is not torch.Tensor:
        raise Unsafe('a parameter without a tensor')
    return nn.Parameter(data.detach(), requires_grad is True)


_NDARRAY = object()  # stands for numpy.ndarray, which nobody may call
# Tensors and plain containers, and what mmengine declares safe beside them (its
# get_torch_safe_globals): the numbers and histories of its message hub.
CALLED: dict[str, Callable] = {
    '_codecs.encode': _encode,
    'builtins.bytearray': _bytearray,
    'builtins.bytes': _bytes,
    'builtins.complex': _complex,
    'builtins.frozenset': _frozenset,
    'builtins.getattr': _statistic,
    'builtins.set': _set,
    'builtins.slice': _slice,
    'collections.Counter': _counter,
    'collections.OrderedDict': _ordered,
    'numpy.dtype': _DType,
    'numpy.core.multiarray._reconstruct': _array,
    'numpy._core.multiarray._reconstruct': _array,
    'numpy.core.multiarray.scalar': _scalar,
    'numpy._core.multiarray.scalar': _scalar,
    'torch.Size': _size,
    'torch.device': _device,
    'torch._utils._rebuild_parameter': _parameter,
    'torch._utils._rebuild_parameter_with_state': _parameter,
    'torch._utils._rebuild_tensor': _tensor,
    'torch._utils._rebuild_tensor_v2': _tensor_2,
    'torch._utils._rebuild_tensor_v3': _tensor_3,
    'torch.nn.parameter.Parameter': _parameter,
}
NAMED = {
    'numpy.ndarray': _NDARRAY,
    'mmengine.logging.history_buffer.HistoryBuffer': HistoryBuffer,
}
CALLABLE = {id(function) for function in CALLED.values()}
_HISTORY = {'max_length', '_log_history', '_count_history', 'statistics_methods'}


def are(kinds: Sequence[type], values: Iterable) -> bool:
    """Whether all values are of these types, and of no subtype."""
    return all(type(value) in kinds for value in values)


def is_plain(numbers: Any) -> bool:
    """Whether it is a tuple of texts and whole numbers."""
    return type(numbers) is tuple and are((str, int), numbers)


def _listed(items):
    if type(items) not in (tuple, list, set, frozenset):
        raise Unsafe('a container made of something else')
    return items


def check_keys(values: Collection) -> Collection:
    """Check what goes into a dict or a set.

    Raises:
        Unsafe: If it is something else than a text, a number or None.
    """
    for value in values:
        # Larger numbers can be chosen so that all have one hash.
        whole = type(value) is int and -(1 << 63) <= value < 1 << 63
        if not whole and type(value) not in (str, bytes, bool, type(None)):
            raise Unsafe(f'a key of type {type(value).__name__}')
    return values


def shown(value: Any) -> str:
    """A text, for a message; of anything else the type, as writing it out may never end."""
    return f'{value[:60]!r}' if type(value) is str else f'a {type(value).__name__}'


def set_state(owner: Any, state: Any) -> None:
    """Give an object its state: only those that hold data, and only data.

    Raises:
        Unsafe: If it is another object or state.
    """
    if type(owner) is _DType and _is_byte_order(state):
        owner.real = owner.real.newbyteorder(state[1])
    elif type(owner) is np.ndarray and _is_array(state):
        version, shape, kind, fortran, data = state
        owner.__setstate__((version, shape, kind.real, fortran, data))
    elif type(owner) is HistoryBuffer and type(state) is dict and set(state) <= _HISTORY:
        # Not its methods, which it would share with all others.
        most = state.get('max_length', 1000000)
        if not are((int,), (most,)):
            raise Unsafe('a history of strange length')
        owner.__init__(max_length=most)
        for name in ('_log_history', '_count_history'):
            setattr(owner, name, _numbers(state.get(name, [])))
    elif type(owner) is OrderedDict and type(state) is dict and set(state) <= {'_metadata'}:
        owner.__dict__.update(state)
    else:
        raise Unsafe(f'a state of {shown(owner)}')


def _is_byte_order(state):
    return (
        type(state) is tuple
        and len(state) == 8
        and state[1] in ('<', '>', '=', '|')
        and are((type(None), int), state[2:])
        and state[2:] == (None,) * 3 + (-1, -1, 0)
    )


def _is_array(state):
    if type(state) is not tuple or len(state) != 5:
        return False
    _, shape, kind, _, data = state
    whole = type(shape) is tuple and are((int,), shape)
    return whole and type(kind) is _DType and type(data) is bytes


def _numbers(history):
    if type(history) is np.ndarray:
        return history
    if type(history) is list and are((int, float, np.float64), history):
        return np.asarray(history)
    raise Unsafe('a history of something else than numbers')
