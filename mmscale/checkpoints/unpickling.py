"""Unpickling without running code: tensors, plain containers, and mmengine's histories."""

import pickle
import re
from collections import Counter, OrderedDict
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer


class Unsafe(Exception):
    """A pickle asks for more than data."""


class _DType:
    """Stands for a numpy type of plain numbers; the pickle never gets hold of a real one."""

    def __init__(self, kind, *_):
        if not re.fullmatch(r'[biufc]\d{1,2}|bool|u?int\d\d?|float\d\d', str(kind)):
            raise Unsafe(f'numpy.dtype({kind!r})')
        self.real = np.dtype(kind)


def _array(owner, shape, kind):
    """In the place of numpy's _reconstruct: an empty array, filled by its state."""
    if owner is _NDARRAY and kind in (b'b', 'b'):
        return np.empty(0, np.int8)
    raise Unsafe('numpy._reconstruct')


def _scalar(kind, data):
    if isinstance(kind, _DType) and type(data) is bytes and len(data) == kind.real.itemsize:
        return np.frombuffer(data, kind.real)[0]
    raise Unsafe('numpy.scalar')


def _statistic(owner, name):
    """In getattr's place: mmengine's histories refer to their own methods by it."""
    if owner is HistoryBuffer and name in ('min', 'max', 'mean', 'current'):
        return getattr(HistoryBuffer, name)
    raise Unsafe(f'getattr of {name!r}')


def _bytes(*arguments):
    """How empty byte strings are pickled."""
    if arguments:
        raise Unsafe('builtins.bytes')
    return b''


_NDARRAY = object()  # stands for numpy.ndarray, which nobody may call
# Tensors and plain containers, and what mmengine declares safe beside them (its
# get_torch_safe_globals): the numbers and histories of its message hub.
_SAFE = {
    'builtins': {'bytearray', 'complex', 'frozenset', 'set', 'slice'},
    'collections': {'Counter', 'OrderedDict'},
    'torch': {'Size', 'device'},
    'torch._utils': {
        '_rebuild_parameter', '_rebuild_parameter_with_state', '_rebuild_tensor',
        '_rebuild_tensor_v2', '_rebuild_tensor_v3',
    },
    'torch.nn.parameter': {'Parameter'},
    '_codecs': {'encode'},
    'mmengine.logging.history_buffer': {'HistoryBuffer'},
}  # fmt: skip
_REPLACED: dict = {
    'builtins.bytes': _bytes,
    'builtins.getattr': _statistic,
    'numpy.dtype': _DType,
    'numpy.ndarray': _NDARRAY,
    'numpy.core.multiarray._reconstruct': _array,
    'numpy._core.multiarray._reconstruct': _array,
    'numpy.core.multiarray.scalar': _scalar,
    'numpy._core.multiarray.scalar': _scalar,
}
_HISTORY = {'max_length', '_log_history', '_count_history', 'statistics_methods'}


def _set_state(owner, state):
    """Give an object its state: only those that hold data, and only data."""
    if type(owner) is _DType and type(state) is tuple and state[2:] == (None,) * 3 + (-1, -1, 0):
        owner.real = owner.real.newbyteorder(state[1])
    elif type(owner) is np.ndarray and _is_array(state):
        version, shape, kind, fortran, data = state
        owner.__setstate__((version, shape, kind.real, fortran, data))
    elif type(owner) is HistoryBuffer and type(state) is dict and set(state) <= _HISTORY:
        # Not its methods, which it would share with all others.
        owner.__init__(max_length=int(state.get('max_length', 1000000)))
        for name in ('_log_history', '_count_history'):
            setattr(owner, name, np.asarray(state.get(name, [])))
    elif type(owner) is OrderedDict and type(state) is dict and set(state) <= {'_metadata'}:
        owner.__dict__.update(state)
    else:
        raise Unsafe(f'a state of {owner!r:.80}')


def _is_array(state):
    if type(state) is not tuple or len(state) != 5:
        return False
    _, shape, kind, _, data = state
    return type(shape) is tuple and type(kind) is _DType and type(data) is bytes


_Watchable: Any = pickle._Unpickler  # the one in Python, whose steps can be watched


class _Unpickler(_Watchable):
    """Refuses names outside `_SAFE` before they are imported, and changes of anything but data."""

    dispatch = dict(_Watchable.dispatch)
    sizes: dict = {}

    def find_class(self, module, name):
        module = {'__builtin__': 'builtins', 'copy_reg': 'copyreg'}.get(module, module)
        if f'{module}.{name}' in _REPLACED:
            return _REPLACED[f'{module}.{name}']
        found = getattr(torch, name, None) if module == 'torch' and '.' not in name else None
        of_torch = isinstance(found, torch.dtype) or (
            isinstance(found, type) and name.endswith('Storage')
        )
        if not of_torch and name not in _SAFE.get(module, ()):
            raise Unsafe(f'{module}.{name}')
        return super().find_class(module, name)

    def load_build(self):
        state = self.stack.pop()
        _set_state(self.stack[-1], state)

    def load_setitem(self):
        self._require_dict(self.stack[-3])
        super().load_setitem()

    def load_setitems(self):
        self._require_dict(self.metastack[-1][-1])
        super().load_setitems()

    def load_binpersid(self):
        named = self.stack[-1]
        super().load_binpersid()  # torch's, which checks what is named
        if len(named) == 5:  # in an archive; the older format says more and is checked by torch
            _, kind, key, _, count = named
            dtype = torch.uint8 if kind is torch.UntypedStorage else kind.dtype
            self.sizes[key] = max(self.sizes.get(key, 0), count * torch._utils._element_size(dtype))

    def _require_dict(self, owner):
        if type(owner) not in (dict, OrderedDict, Counter):
            raise Unsafe(f'an item for {owner!r:.80}')

    dispatch[pickle.BUILD[0]] = load_build
    dispatch[pickle.SETITEM[0]] = load_setitem
    dispatch[pickle.SETITEMS[0]] = load_setitems
    dispatch[pickle.BINPERSID[0]] = load_binpersid


def safe_pickle() -> tuple[SimpleNamespace, dict[str, int]]:
    """What torch.load takes as a pickle module.

    Returns:
        tuple[SimpleNamespace, dict[str, int]]: The module; and, once something was loaded, how many
        bytes the tensors need of each record of the archive.
    """
    sizes: dict = {}
    recording = type('Unpickler', (_Unpickler,), dict(sizes=sizes))
    load = lambda file, **options: recording(file, **options).load()  # noqa: E731
    return SimpleNamespace(Unpickler=recording, load=load, __name__='pickle'), sizes
