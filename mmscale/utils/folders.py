"""Folders that are there whole or not at all, whenever the program is stopped."""

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from mmscale.utils.files import aside_of, asides, cannot_write, sweep
from mmscale.utils.locks import claimed

OLD = '-old'  # after the temporary name: the folder that is being replaced


@contextlib.contextmanager
def folder_aside(out: str | Path) -> Iterator[Path]:
    """A temporary folder beside `out`, for the block to fill and move.

    It is removed in the end, and so are those that killed programs have left.

    Yields:
        Path: The folder, which exists, as its parents do.

    Raises:
        UserError: If it cannot be made.
    """
    out = Path(out)
    folder = aside_of(out)
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise cannot_write(out, error) from error
    try:
        with claimed(folder):
            sweep(out.parent, out)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def replace_folder(out: Path, new: Path, keep: Iterable[Path] = ()) -> None:
    """Move a finished folder of :func:`folder_aside` to its place.

    Args:
        out (Path): What is there goes only once the new folder has its name.
        new (Path): The finished folder.
        keep (Iterable[Path]): Files of `out`, relative to it, that the new one is to have too.
    """
    for path in keep:
        (new / path).parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(out / path, new / path, follow_symlinks=False)
        except OSError:  # a file system without links
            shutil.copy2(out / path, new / path, follow_symlinks=False)
    old = new.with_name(f'{new.name}{OLD}')
    if out.exists():
        out.rename(old)
    try:
        new.rename(out)
    except BaseException:
        if old.exists():
            old.rename(out)
        raise
    shutil.rmtree(old, ignore_errors=True)


def put_back(out: Path) -> None:
    """Undo or finish what a program that was killed has left of :func:`replace_folder`."""
    for old in asides(out.parent, out, OLD) if out.parent.is_dir() else ():
        if out.exists():
            shutil.rmtree(old, ignore_errors=True)
        else:
            old.rename(out)
