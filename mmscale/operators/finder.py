"""Where Python finds ``mmcv._ext`` when mmcv was installed without its compiled operators.

Only the standard library is needed here; torch is imported when mmcv asks for its operators.
"""

import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

from mmscale.errors import check_choice

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
        """See :meth:`importlib.abc.MetaPathFinder.find_spec`."""
        if fullname != 'mmcv._ext' or _choice() == 'compiled':
            return None
        return spec_from_file_location(fullname, EXTENSION)


def install() -> None:
    """Let the stand-in be found, as the environment's ``MMSCALE_OPERATORS`` says.

    The finder goes behind all others, so that compiled operators are taken where there are any;
    with ``torchvision`` it goes before them.

    Raises:
        UserError: If the variable has an unknown value.
    """
    first = _choice() == 'torchvision'
    if not any(isinstance(finder, OperatorsFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0 if first else len(sys.meta_path), OperatorsFinder())


def _choice():
    choice = os.environ.get(SWITCH) or 'auto'
    check_choice(SWITCH, choice, CHOICES)
    return choice
