"""mmpretrain beside a transformers that its language models do not fit.

mmpretrain imports them wherever transformers is installed, and so it cannot be imported at all
beside transformers 5, which no longer has what they take from it. They are left out then.
Only the standard library is needed here.
"""

import logging
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import spec_from_file_location
from types import ModuleType

DEPENDENCY = 'mmpretrain.utils.dependency'  # has the flag that the other modules look at
TAKEN = (
    'apply_chunking_to_forward',
    'find_pruneable_heads_and_indices',
    'prune_linear_layer',
)


class DependencyFinder(MetaPathFinder):
    """Finds `DEPENDENCY`, whose flag says afterwards whether the language models fit."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See :meth:`importlib.abc.MetaPathFinder.find_spec`."""
        if fullname != DEPENDENCY:
            return None
        found = PathFinder.find_spec(fullname, path, target)
        if found is None or found.origin is None:
            return None
        loader = _Loader(fullname, found.origin)
        return spec_from_file_location(fullname, found.origin, loader=loader)


class _Loader(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        if getattr(module, 'WITH_MULTIMODAL', False) and not _fits():
            module.WITH_MULTIMODAL = False  # type: ignore[attr-defined]


def install() -> None:
    """Have mmpretrain imported without its language models where transformers does not fit."""
    if not any(isinstance(finder, DependencyFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, DependencyFinder())


def _fits():
    try:
        utils = import_module('transformers.pytorch_utils')
        missing = [name for name in TAKEN if not hasattr(utils, name)]
    except Exception as error:  # a transformers that does not fit its own needs ends with anything
        missing = [str(error).strip().splitlines()[0] if str(error).strip() else repr(error)]
    if missing:
        logging.getLogger('mmscale').warning(
            "mmpretrain's language models are left out, since transformers does not fit them: %s",
            missing[0],
        )
    return not missing
