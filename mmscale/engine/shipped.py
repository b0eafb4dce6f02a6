"""The configs that come with the package: listed, and copied to be edited."""

import ast
import posixpath
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mmscale.engine.config import FOLDER, MODULE, PURE, find_config, load_config, shipped_files
from mmscale.errors import UserError
from mmscale.registry import SCOPE
from mmscale.utils.files import check_out, written_aside


class Shipped(NamedTuple):
    """A config of the package.

    Attributes:
        name (str): Its name with its folder and without ``.py``, as every command takes it.
        title (str): The first line of what it says of itself, which some leave to their names.
    """

    name: str
    title: str


def shipped_configs(word: str = '') -> Iterator[Shipped]:
    """The package's configs, by name.

    Args:
        word (str): Only those that have it in their name or title, in any case.
    """
    for name, path in sorted(shipped_files().items()):
        if name.startswith('_base_'):
            continue
        text = ast.get_docstring(ast.parse(path.read_text(encoding='utf-8'))) or ''
        title = text.partition('\n')[0]
        if word.lower() in f'{name} {title}'.lower():
            yield Shipped(name, title)


def copy_config(name: str, out: str | Path, *, force: bool = False) -> Path:
    """Copy one of them, to be edited: it inherits from the package wherever it lies.

    Args:
        name (str): With or without its folder and ``.py``.
        out (str | Path): The copy, NAME.py.
        force (bool): Write over a file that is there.

    Returns:
        Path: `out`.

    Raises:
        UserError: If there is no such config, or the file is there or cannot be written.
    """
    source = find_config(name)
    if not {FOLDER.resolve(), PURE.resolve()} & {*source.resolve().parents}:
        raise UserError(f'{name!r} is no config of this package; mmscale configs lists them')
    out = check_out(out, ('.py',), inputs=[source])
    if out.exists() and not force:
        raise UserError(f'{str(out)!r} is there, and may have been edited: --force writes over it')
    text = _with_named_bases(source)
    with written_aside(out) as temporary:
        temporary.write_text(text, encoding='utf-8')
        load_config(temporary)
    return out


def _with_named_bases(path):
    """A config's text, whose bases are named by the package where they were relative to it."""
    text = path.read_text(encoding='utf-8')
    if path.is_relative_to(PURE):
        return text.replace('from ._base_.', f'from {MODULE}_base_.')
    lines = text.splitlines(keepends=True)
    folder = path.parent.resolve().relative_to(FOLDER.resolve())
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], 'id', '') == '_base_':
            named = [inner for inner in ast.walk(node.value) if isinstance(inner, ast.Constant)]
            for inner in reversed(named):
                if '::' not in str(inner.value):
                    base = posixpath.normpath(posixpath.join(folder.as_posix(), str(inner.value)))
                    line = lines[inner.lineno - 1]
                    lines[inner.lineno - 1] = (
                        f"{line[: inner.col_offset]}'{SCOPE}::{base}'{line[inner.end_col_offset :]}"
                    )
    return ''.join(lines)
