"""Unpickling without running code, within bounds.

A pickle is a program: it names functions, calls them, and changes what they return. Here the names
are those of :mod:`mmscale.checkpoints.plain` and no others. What a small file can grow to is
bounded as well: the steps, the bytes, and the size when written out.
"""

import pickle
from collections import Counter, OrderedDict
from types import SimpleNamespace
from typing import Any

import torch
from mmengine.logging import HistoryBuffer

from mmscale.checkpoints.plain import (
    CALLABLE,
    CALLED,
    NAMED,
    Unsafe,
    are,
    check_keys,
    is_plain,
    set_state,
    shown,
)

STEPS = 500_000  # of a pickle, about 20,000 tensors
BYTES = 1 << 28  # of a pickle without its tensors; histories of long runs take many
NESTED = 100  # containers inside each other


class TooLarge(Exception):
    """A pickle grows beyond what a checkpoint needs."""


class Storages:
    """How many bytes a file has for its tensors; a pickle may say anything.

    Args:
        records (dict[str, int] | None): Bytes of each record of an archive; None for the older
            format, which has them one after the other.
        size (int): Of the file.
    """

    def __init__(self, records: dict[str, int] | None, size: int) -> None:
        self.records = records
        self.size = size
        self.wanted: dict = {}

    def require(self, key: Any, size: int) -> None:
        """Note that tensors want so many bytes of a storage.

        Raises:
            ValueError: If they are not in the file.
        """
        self.wanted[key] = max(size, self.wanted.get(key, 0))
        if self.records is None:
            held, wanted = self.size, sum(self.wanted.values())
        else:
            held, wanted = self.records.get(f'data/{key}', 0), size
        if wanted > held:
            raise ValueError(f'tensors want {wanted} bytes where the file has {held}')


class _Counted(dict):
    """A table of a pickle's operations that ends after so many look-ups."""

    left = STEPS

    def __getitem__(self, code):
        self.left -= 1
        if self.left < 0:
            raise TooLarge(f'more than {STEPS} steps')
        return super().__getitem__(code)


class _Metered:
    """A file of which so many bytes can be read."""

    def __init__(self, file):
        self.file, self.left = file, BYTES

    def read(self, count):
        self._take(count)
        return self.file.read(count)

    def readline(self):
        line = self.file.readline(self.left + 1)
        self._take(len(line))
        return line

    def _take(self, count):
        self.left -= count
        if self.left < 0:
            raise TooLarge(f'more than {BYTES} bytes beside its tensors')


_Watchable: Any = pickle._Unpickler  # the one in Python, whose steps can be watched
# Operations that nothing in a checkpoint needs: other ways to call, and lengths without content.
_REFUSED = (
    pickle.INST, pickle.OBJ, pickle.NEWOBJ_EX, pickle.EXT1, pickle.EXT2, pickle.EXT4,
    pickle.PERSID, pickle.LONG4, pickle.BYTEARRAY8, pickle.NEXT_BUFFER, pickle.READONLY_BUFFER,
)  # fmt: skip


class _Unpickler(_Watchable):
    """Knows the names of plain data, and changes nothing else."""

    dispatch = dict(_Watchable.dispatch)
    storages: Any = None

    def __init__(self, file, **options):
        super().__init__(_Metered(file), **options)
        self.dispatch = _Counted(self.dispatch)

    def find_class(self, module, name):
        module = {'__builtin__': 'builtins', 'copy_reg': 'copyreg'}.get(module, module)
        known = CALLED.get(f'{module}.{name}') or NAMED.get(f'{module}.{name}')
        if known is not None:
            return known
        of_torch = module in ('torch', 'torch.storage') and '.' not in name
        found = getattr(torch, name, None) if of_torch else None
        if isinstance(found, torch.dtype):
            return found
        if isinstance(found, type) and name.endswith('Storage'):
            return found  # torch makes it itself, in load_binpersid
        raise Unsafe(f'{module}.{name}'[:120])

    def load_mark(self):
        if len(self.metastack) > NESTED:
            raise TooLarge(f'more than {NESTED} containers inside each other')
        super().load_mark()

    def load_reduce(self):
        arguments = self.stack.pop()
        function = self.stack[-1]
        if id(function) not in CALLABLE or type(arguments) is not tuple:
            raise Unsafe(f'a call of {shown(function)}')
        self.stack[-1] = function(*arguments)

    def load_newobj(self):
        arguments = self.stack.pop()
        if self.stack[-1] is not HistoryBuffer or type(arguments) is not tuple or arguments:
            raise Unsafe(f'an object of {shown(self.stack[-1])}')
        self.stack[-1] = HistoryBuffer()

    def load_build(self):
        state = self.stack.pop()
        set_state(self.stack[-1], state)

    def load_setitem(self):
        self._require((dict, OrderedDict, Counter), self.stack[-3])
        check_keys(self.stack[-2:-1])
        super().load_setitem()

    def load_setitems(self):
        self._require((dict, OrderedDict, Counter), self.metastack[-1][-1])
        check_keys(self.stack[::2])
        super().load_setitems()

    def load_append(self):
        self._require((list,), self.stack[-2])
        super().load_append()

    def load_appends(self):
        self._require((list,), self.metastack[-1][-1])
        super().load_appends()

    def load_additems(self):
        self._require((set,), self.metastack[-1][-1])
        check_keys(self.stack)
        super().load_additems()

    def load_frozenset(self):
        check_keys(self.stack)
        super().load_frozenset()

    def load_binpersid(self):
        """A storage; torch makes it, once its length is known to be in the file."""
        named = self.stack[-1]
        known = type(named) is tuple and len(named) in (5, 6) and are((str, bytes), named[:1])
        if not known or named[0] not in ('storage', b'storage'):  # Python 2 wrote bytes
            raise Unsafe('something else than a storage')
        kind, key, place, count, *view = named[1:]
        numbers = view[0] if view else None
        plain = are((str, bytes, int), (key, place)) and are((int,), (count,)) and count >= 0
        if not plain or not (numbers is None or is_plain(numbers)):
            raise Unsafe('a strange storage')
        dtype = torch.uint8 if kind is torch.UntypedStorage else kind.dtype
        self.storages.require(key, count * torch._utils._element_size(dtype))
        super().load_binpersid()

    def refuse(self):
        raise Unsafe('an operation that no checkpoint needs')

    def _require(self, kinds, owner):
        if type(owner) not in kinds:
            raise Unsafe(f'an item for {shown(owner)}')

    dispatch[pickle.MARK[0]] = load_mark
    dispatch[pickle.REDUCE[0]] = load_reduce
    dispatch[pickle.NEWOBJ[0]] = load_newobj
    dispatch[pickle.BUILD[0]] = load_build
    dispatch[pickle.SETITEM[0]] = load_setitem
    dispatch[pickle.SETITEMS[0]] = load_setitems
    dispatch[pickle.APPEND[0]] = load_append
    dispatch[pickle.APPENDS[0]] = load_appends
    dispatch[pickle.ADDITEMS[0]] = load_additems
    dispatch[pickle.FROZENSET[0]] = load_frozenset
    dispatch[pickle.BINPERSID[0]] = load_binpersid
    for _code in _REFUSED:
        dispatch[_code[0]] = refuse


def safe_pickle(storages: Storages) -> SimpleNamespace:
    """What torch.load takes as a pickle module.

    Args:
        storages (Storages): Of the file that is read.

    Returns:
        SimpleNamespace: The module.
    """
    recording = type('Unpickler', (_Unpickler,), dict(storages=storages))
    load = lambda file, **options: recording(file, **options).load()  # noqa: E731
    return SimpleNamespace(Unpickler=recording, load=load, __name__='pickle')


def check_extent(content: Any) -> None:
    """Check that what was unpickled can be walked through, copied and written out.

    Containers that are held many times count as often: forty lists, each of which holds the one
    before twice, are a million million.

    Raises:
        TooLarge: If there are more than `STEPS` of them, or more than `NESTED` inside each other.
    """
    extents: dict[int, int] = {}
    above: set[int] = set()
    waiting = [(content, False)]
    while waiting:
        value, entered = waiting.pop()
        inner = _inner(value)
        if entered:
            above.discard(id(value))
            extents[id(value)] = 1 + sum(extents.get(id(item), 1) for item in inner)
            if extents[id(value)] > STEPS:
                raise TooLarge(f'more than {STEPS} values when it is written out')
        elif id(value) in above:
            raise TooLarge('a container that holds itself')
        elif inner and id(value) not in extents:
            above.add(id(value))
            if len(above) > NESTED:
                raise TooLarge(f'more than {NESTED} containers inside each other')
            waiting.append((value, True))
            waiting += [(item, False) for item in inner]


def _inner(value):
    if isinstance(value, dict):
        return list(value.values())
    return value if type(value) in (tuple, list) else ()
