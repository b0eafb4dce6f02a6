"""What a model really does with its layers, in small forward passes that are watched.

A trace of one module shows which of its layers feeds which. It does not show who else takes a
weight, calls a layer or reads its output: another module may do so under any name. A pass shows
that, whatever the source says.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable

import torch
from torch import nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten  # tree_leaves: torch 2.2

Stack = tuple[str, ...]  # names of the modules that are running, the outermost first


class Watch(TorchDispatchMode):
    """Watches the modules of a model, which is of no other use afterwards.

    Seen are calls of a module's forward pass, reads of a parameter or buffer by its name, and every
    operator's inputs: storages are compared, so that views and ``.data`` count too.

    Args:
        model (nn.Module): In eval mode.
        norm_of (dict[tuple[str, str], str]): The name of the norm that a layer, called by a module,
            is to feed, by the names of the module and the layer.

    Attributes:
        uses (dict[str, set[Stack]]): By a module's name, what was running when it was called or one
            of its tensors was read. It ends with the module itself if that did it.
        spoilt (set): Keys of `norm_of` whose layer fed something else, or nothing.
        fed (set[str]): Norms that took something else than their layer's output.
    """

    def __init__(self, model: nn.Module, norm_of: dict[tuple[str, str], str]) -> None:
        super().__init__()
        self.norm_of = norm_of
        self.norms = set(norm_of.values())
        self.running: list[str] = []
        self.uses: dict[str, set[Stack]] = defaultdict(set)
        self.spoilt: set[tuple[str, str]] = set()
        self.fed: set[str] = set()
        self.owners: dict[int, str] = {}  # names of modules by their tensors' storages
        # Of layers, by storage: a weak reference, the key, and how often the norm has read it.
        self.outputs: dict[int, list] = {}
        for name, module in model.named_modules():
            self._watch(name, module)

    def run(self, call: Callable, model: nn.Module) -> None:
        """Watch one pass, ``call(model)``.

        Raises:
            Exception: Whatever the pass raises. What it did until then was seen.
        """
        self.running.clear()
        self.outputs.clear()
        with self:
            result = call(model)
        for reference, key, reads in self.outputs.values():
            if reads != 1 or not reference.expired():  # the caller, or some module, has it still
                self.spoilt.add(key)
        del result
        self.outputs.clear()

    def only_within(self, name: str, inner: Iterable[str]) -> bool:
        """Whether a module was called, and what is inside it was used by it alone."""
        return bool(self.uses[name]) and all(
            name in stack for member in (name, *inner) for stack in self.uses[member]
        )

    def only_by(self, module: str, layer: str) -> bool:
        """Whether a layer was called, and only by a module itself, and nothing else read it."""
        stacks = self.uses[layer]
        return bool(stacks) and all(stack[-2:] == (module, layer) for stack in stacks)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        """Note what an operator reads."""
        for value in tree_flatten((args, kwargs or {}))[0]:
            if isinstance(value, torch.Tensor) and (storage := _storage(value)) is not None:
                self._note(storage)
        return func(*args, **(kwargs or {}))

    def _note(self, storage):
        if storage in self.owners:
            self._use(self.owners[storage])
        if storage in self.outputs:
            _, key, _ = self.outputs[storage]
            if self.running[-1:] != [self.norm_of[key]]:
                self.spoilt.add(key)

    def _use(self, name):
        self.uses[name].add(tuple(self.running))

    def _watch(self, name, module):
        for kind in ('_parameters', '_buffers'):
            members = vars(module)[kind]
            for tensor in members.values():
                if tensor is not None and (storage := _storage(tensor)) is not None:
                    self.owners[storage] = name
            vars(module)[kind] = _Members(members, lambda: self._use(name))
        if not isinstance(module, torch.jit.ScriptModule):
            vars(module)['forward'] = self._watched(name, module.forward)

    def _watched(self, name, forward):
        def watched(*args, **kwargs):
            self.running.append(name)
            try:
                self._use(name)
                if name in self.norms:
                    self._take(name, args)
                output = forward(*args, **kwargs)
            finally:
                self.running.pop()
            key = (self.running[-1], name) if self.running else None
            if key in self.norm_of:
                storage = _storage(output)
                if storage is None:
                    self.spoilt.add(key)
                else:
                    reference = StorageWeakRef(output.untyped_storage())
                    self.outputs[storage] = [reference, key, 0]
            return output

        return watched

    def _take(self, norm, args):
        output = self.outputs.get(_storage(args[0])) if args else None
        if output is None or self.norm_of[output[1]] != norm:
            self.fed.add(norm)
        else:
            output[2] += 1


class _Members(dict):
    """A module's parameters or buffers, which say when one is taken by its name."""

    def __init__(self, members, taken):
        super().__init__(members)
        self.taken = taken

    def __getitem__(self, name):
        self.taken()
        return super().__getitem__(name)


def _storage(tensor):
    """What tells a tensor's memory from others; None for tensors without any, as under vmap."""
    try:
        return tensor.untyped_storage()._cdata if tensor.layout is torch.strided else None
    except (NotImplementedError, RuntimeError):
        return None
