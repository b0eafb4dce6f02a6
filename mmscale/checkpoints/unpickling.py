"""Unpickling without running code: tensors, plain containers, and mmengine's histories."""

import pickle
import re
from collections import OrderedDict
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer


class Unsafe(Exception):
    """A pickle asks for more than data."""


def _statistic(owner, name):
    """In getattr's place: mmengine's histories refer to their own methods by it."""
    if owner is HistoryBuffer and name in STATISTICS:
        return getattr(HistoryBuffer, name)
    raise Unsafe(f'getattr of {name!r}')


def _dtype(kind, *_):
    """In numpy.dtype's place: plain numbers and texts, no objects and no records."""
    if kind in NUMBERS or re.fullmatch(r'[biufcSU]\d+', str(kind)):
        return np.dtype(kind)
    raise Unsafe(f'numpy.dtype({kind!r})')


def _array(owner, shape, kind):
    """In the place of numpy's _reconstruct: an empty array, filled by its state."""
    if owner is _NDARRAY and kind in (b'b', 'b'):
        return np.empty(0, np.int8)
    raise Unsafe('numpy._reconstruct')


STATISTICS = ('min', 'max', 'mean', 'current')
NUMBERS = ('bool', 'int32', 'int64', 'float32', 'float64')
_NDARRAY = object()  # stands for numpy.ndarray, which nobody may call
# Tensors and plain containers, and what mmengine declares safe beside them (its
# get_torch_safe_globals): the numbers and histories of its message hub.
_SAFE = {
    'builtins': {'bytearray', 'complex', 'set', 'slice'},
    'collections': {'Counter', 'OrderedDict'},
    'torch': {'Size', 'device'},
    'torch._utils': {
        '_rebuild_parameter', '_rebuild_parameter_with_state', '_rebuild_tensor',
        '_rebuild_tensor_v2',
    },
    'torch.nn.parameter': {'Parameter'},
    '_codecs': {'encode'},
    'numpy.core.multiarray': {'scalar'},
    'numpy._core.multiarray': {'scalar'},
    'mmengine.logging.history_buffer': {'HistoryBuffer'},
}  # fmt: skip
_REPLACED = {
    'builtins.getattr': _statistic,
    'numpy.dtype': _dtype,
    'numpy.ndarray': _NDARRAY,
    'numpy.core.multiarray._reconstruct': _array,
    'numpy._core.multiarray._reconstruct': _array,
}


def _state_is_plain(owner, state):
    """Whether an object may be given a state: only those that hold data, and only data."""
    if isinstance(owner, np.dtype):
        plain = isinstance(state, tuple) and len(state) == 8 and state[2:5] == (None,) * 3
        return plain and owner.kind in 'biufcSU' and state[7] == 0
    if type(owner) is np.ndarray:
        return isinstance(state[2], np.dtype) and isinstance(state[4], bytes)
    if type(owner) is HistoryBuffer:
        methods = state.get('statistics_methods', {})
        return all(k in STATISTICS and v is getattr(HistoryBuffer, k) for k, v in methods.items())
    return type(owner) is OrderedDict and isinstance(state, dict)


_Watchable: Any = pickle._Unpickler  # the one in Python, whose steps can be watched


class _Unpickler(_Watchable):
    """Refuses names outside `_SAFE` before they are imported, and states of anything but data."""

    dispatch = dict(_Watchable.dispatch)

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
        owner, state = self.stack[-2:]
        if not _state_is_plain(owner, state):
            raise Unsafe(f'a state of {owner!r:.80}')
        super().load_build()

    dispatch[pickle.BUILD[0]] = load_build


# What torch.load takes as a pickle module.
SAFE_PICKLE = SimpleNamespace(
    Unpickler=_Unpickler,
    load=lambda file, **options: _Unpickler(file, **options).load(),
    __name__='pickle',
)
