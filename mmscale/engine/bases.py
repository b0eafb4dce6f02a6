"""What configs inherit from, looked up where mmengine would only say that a file is missing."""

import ast
import difflib
import importlib.util
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mmscale.registry import SCOPE
from mmscale.utils.environment import MMSEG
from mmscale.utils.words import short

PACKAGES = ('mmdet', 'mmpretrain', 'mmseg', 'mmrotate', SCOPE)


def near(wanted: str, known: Iterable[str]) -> str:
    """The names that may have been meant, as the end of a message; nothing if there are none."""
    close = difflib.get_close_matches(wanted, list(known), n=3)
    return f'; close to it: {", ".join(close)}' if close else ''


def other_fault(name: str) -> str | None:
    """Why there is no config of a name such as ``mmdet::faster_rcnn/...``; None if there is."""
    scope, _, wanted = name.partition('::')
    # mmengine would install something of that name.
    spec: Any = importlib.util.find_spec(scope) if scope.isidentifier() else None
    if not spec:
        reason = f': {MMSEG}' if scope == 'mmseg' else near(scope, PACKAGES)
        return f'the package {scope!r} is not installed{reason}'
    folders = [Path(place, '.mim/configs') for place in spec.submodule_search_locations or ()]
    known = {
        p.relative_to(f).with_suffix('').as_posix(): p for f in folders for p in f.rglob('*.py')
    }
    wanted = wanted.removesuffix('.py')
    if not known or wanted in known:
        return None
    stems = {path.stem for path in known.values()}
    close = near(wanted, known) or near(wanted.rpartition('/')[2], stems)
    return f'{scope} has none of that name{close}'


def base_fault(path: str | Path) -> str | None:
    """Why a config cannot inherit as it wants to, or one that it inherits from.

    Args:
        path (str | Path): A config that mmengine did not read.

    Returns:
        str | None: The file, the line and what is wrong; None if it is not that.
    """
    return _fault(Path(os.path.abspath(path)), ())


def _fault(path: Path, heirs: tuple[Path, ...]) -> str | None:
    if path in heirs:
        return f'{str(path)!r} inherits from itself: take that out of _base_'
    line, bases = _bases(path)
    for base in bases:
        where = f'line {line}: ' if not heirs else f'{str(path)!r}, line {line}: '
        if not isinstance(base, str):
            return f'{where}_base_={short(base)}: a path belongs there, or a list of paths'
        file = path.parent / base
        if '::' in base:
            if fault := other_fault(base):
                return f'{where}{base!r}: {fault}'
            if '/' not in base:
                return f'{where}{base!r}: in _base_ a config is called PACKAGE::FOLDER/NAME.py'
        elif not os.path.isfile(file):
            file = Path(os.path.normpath(file))
            if file.is_dir():
                return f'{where}{str(file)!r} is a folder: name a config in it'
            there = os.listdir(file.parent) if file.parent.is_dir() else ()
            return f'{where}there is no file {str(file)!r} to inherit from{near(file.name, there)}'
        elif file.suffix == '.py' and (fault := _fault(file.resolve(), (*heirs, path))):
            return fault
    return None


def _bases(path: Path) -> tuple[int, list[Any]]:
    """The line and what is in it of the ``_base_`` of a text config; none where it is computed."""
    try:
        body = ast.parse(path.read_bytes()).body
    except (OSError, SyntaxError, ValueError):  # said by mmengine
        return 0, []
    for line in body:
        if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == '_base_':
            try:
                bases = ast.literal_eval(line.value)
            except ValueError:
                return 0, []
            return line.lineno, bases if isinstance(bases, list) else [bases]
    return 0, []
