"""Where Python finds ``mmcv._ext`` when mmcv was installed without its compiled operators.

Only the standard library is needed here; torch is imported when mmcv asks for its operators.
"""

import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

from mmscale.errors import check_choice
from mmscale.utils.environment import COMPILE

SWITCH = 'MMSCALE_OPERATORS'
CHOICES = (
    'auto',  # the compiled ones where there are any
    'compiled',  # mmcv's own or none
    'torchvision',  # the stand-in, even where there are compiled ones
)
EXTENSION = Path(__file__).with_name('extension.py')


class OperatorsFinder(MetaPathFinder):
    """Finds the module ``mmcv._ext`` and nothing else."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See :meth:`importlib.abc.MetaPathFinder.find_spec`.

        Raises:
            UserError: If the environment's ``MMSCALE_OPERATORS`` is unknown.
        """
        if fullname != 'mmcv._ext':
            return None
        choice = os.environ.get(SWITCH) or 'auto'
        check_choice(SWITCH, choice, CHOICES)
        if choice != 'torchvision':
            found = PathFinder.find_spec(fullname, path, target)
            if found:
                return found
        if choice == 'compiled':
            raise ModuleNotFoundError(
                f"No module named 'mmcv._ext': mmcv is not compiled, and {SWITCH}=compiled forbids "
                'what stands in for it. Leave the variable out, or compile it (in a checkout of '
                f'mmscale make setup OPERATORS=compiled does it):\n{COMPILE}',
                name=fullname,
            )
        return spec_from_file_location(fullname, EXTENSION)


def install() -> None:
    """Let the stand-in be found, as the environment's ``MMSCALE_OPERATORS`` says."""
    if not any(isinstance(finder, OperatorsFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, OperatorsFinder())
