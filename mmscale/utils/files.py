"""Files that are there whole or not at all, whenever the program is stopped."""

import contextlib
import errno
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

from mmscale.errors import UserError
from mmscale.utils.locks import claimed

ASIDE = re.compile(r'.+\.[0-9a-f]{8}\.tmp(\.\w+)?')
STEM = 48  # characters of a name that its temporary name repeats: names have at most 255 bytes

FULL = 'free some space there, or name a place on another disk'
FORBIDDEN = 'give this user the right to it, or name another place'
REMEDIES = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: FULL,
    errno.EFBIG: 'raise the limit on the size of files (ulimit -f)',
    errno.EROFS: 'name a place that can be written',
    errno.EACCES: FORBIDDEN,
    errno.EPERM: FORBIDDEN,
    errno.ENAMETOOLONG: 'choose a shorter path',
    errno.ENOTDIR: 'name another place: a part of this path is a file',
}


def cannot_write(path: str | Path, error: OSError) -> UserError:
    """What to raise where the system does not let a file or folder be written."""
    return UserError(f'{str(path)!r} cannot be written: {_reason(error)}')


def _reason(error):
    remedy = REMEDIES.get(error.errno or 0, 'name another place')
    return f'{error.strerror or error}; {remedy}'


@contextlib.contextmanager
def writing(folder: str | Path = '') -> Iterator[None]:
    """Turn a full disk, a missing right or a name that is too long into one line.

    Args:
        folder (str | Path): Where the block writes, for errors that name no file.

    Raises:
        UserError: In the place of these errors of the system; others pass.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in REMEDIES:
            raise
        place = str(error.filename or folder)
        named = f'{place!r}: ' if place else ''
        raise UserError(f'{named}{_reason(error)}') from error


def check_out(
    out: str | Path, suffixes: Sequence[str] | None = None, inputs: Iterable[str | Path] = ()
) -> Path:
    """Look whether a file can be written, before the work that it is for.

    Args:
        out (str | Path): The file.
        suffixes (Sequence[str], optional): What its name may end in.
        inputs (Sequence[str | Path]): Files that must not be written over.

    Returns:
        Path: `out`.

    Raises:
        UserError: If it ends otherwise, is a folder or an input, or its folder is missing or takes
            no files.
    """
    out = Path(out)
    if not out.name:
        raise UserError(f'{str(out)!r} is not the name of a file')
    if suffixes and out.suffix not in suffixes:
        raise UserError(f'{str(out)!r} must end in {" or ".join(suffixes)}')
    try:
        if out.is_dir():
            raise UserError(f'{str(out)!r} is a folder; give the name of a file')
        if not out.parent.is_dir():
            raise UserError(f'folder {str(out.parent)!r} for {out.name!r} is missing')
        out.exists()  # a name that is too long is found here
        with tempfile.TemporaryFile(dir=out.parent):
            pass
    except OSError as error:
        raise cannot_write(out, error) from error
    for path in inputs:
        if out.exists() and Path(path).exists() and out.samefile(path):
            raise UserError(
                f'{str(out)!r} is read, or comes with the package: give another name to write to'
            )
    return out


def aside_of(out: Path) -> Path:
    """A temporary name beside a file or folder: ``NAME.0123abcd.tmp.pth``."""
    return out.with_name(f'{out.stem[:STEM]}.{secrets.token_hex(4)}.tmp{out.suffix}')


def asides(folder: str | Path, out: Path | None = None, end: str = '') -> list[Path]:
    """What lies in a folder under such names: all, or those that were to become `out`.

    Args:
        folder (str | Path): Its own folders are not searched.
        out (Path, optional): The file or folder.
        end (str): What follows the temporary name.
    """
    stem, suffix = (r'.+', r'(\.\w+)?')
    if out is not None:
        stem, suffix = re.escape(out.stem[:STEM]), re.escape(out.suffix)
    name = re.compile(rf'{stem}\.[0-9a-f]{{8}}\.tmp{suffix}{re.escape(end)}')
    found = sorted(path for path in Path(folder).iterdir() if name.fullmatch(path.name))
    return [path for path in found if not path.is_symlink()]


@contextlib.contextmanager
def written_aside(out: str | Path) -> Iterator[Path]:
    """Write a file under a temporary name, which becomes `out` when the block ends well.

    What earlier programs left when they were killed while they wrote the same file is removed.

    Yields:
        Path: The temporary name, with the suffix of `out`; `out` itself if it is such a name.

    Raises:
        UserError: If the file cannot be written; it is as it was then.
    """
    out = Path(out)
    if ASIDE.fullmatch(out.name):  # of a temporary name of its own nobody would know the file
        yield out
        return
    temporary = aside_of(out)
    try:
        try:
            temporary.touch()
            with claimed(temporary):
                sweep(out.parent, out)
                yield temporary
                with open(temporary, 'rb') as file:
                    os.fsync(file.fileno())
                temporary.replace(out)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        place = error.filename if str(error.filename) != str(temporary) else None
        raise cannot_write(place or out, error) from error


def sweep(folder: str | Path, out: Path | None = None) -> list[Path]:
    """Remove the temporary files and folders of programs that were killed.

    Args:
        folder (str | Path): Where they lie; not what is inside its folders.
        out (Path, optional): Only what was to become this file or folder.

    Returns:
        list[Path]: What was removed. What a living program holds stays.
    """
    removed = []
    for path in asides(folder, out):
        with claimed(path) as free:
            if free:
                _remove(path)
                removed.append(path)
    return removed


def _remove(path):
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@register_backend('mmscale.whole')
class WholeFileBackend(LocalBackend):
    """Writes checkpoints aside and renames them; for a CheckpointHook's ``backend_args``.

    A run that is killed while it writes leaves no broken file behind.
    """

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write `obj` (bytes) to `filepath`, all of it or nothing."""
        with written_aside(filepath) as temporary:
            temporary.write_bytes(obj)
