"""Files that are there whole or not at all, whenever the program is stopped."""

import contextlib
import os
import secrets
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

from mmscale.errors import UserError


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
    if out.is_dir():
        raise UserError(f'{str(out)!r} is a folder; give the name of a file')
    if not out.parent.is_dir():
        raise UserError(f'folder {str(out.parent)!r} for {out.name!r} is missing')
    try:
        with tempfile.TemporaryFile(dir=out.parent):
            pass
    except OSError as error:
        raise UserError(f'{str(out)!r} cannot be written: {error.strerror}') from error
    for path in inputs:
        if out.exists() and Path(path).exists() and out.samefile(path):
            raise UserError(
                f'{str(out)!r} is read, or comes with the package: give another name to write to'
            )
    return out


@contextlib.contextmanager
def written_aside(out: str | Path) -> Iterator[Path]:
    """Write a file under a temporary name, which becomes `out` when the block ends well.

    Yields:
        Path: The temporary name, with the suffix of `out`.
    """
    out = Path(out)
    temporary = out.with_name(f'{out.stem}.{secrets.token_hex(4)}.tmp{out.suffix}')
    try:
        yield temporary
        with open(temporary, 'rb') as file:
            os.fsync(file.fileno())
        temporary.replace(out)
    finally:
        temporary.unlink(missing_ok=True)


@register_backend('mmscale.whole')
class WholeFileBackend(LocalBackend):
    """Writes checkpoints aside and renames them; for a CheckpointHook's ``backend_args``.

    A run that is killed while it writes leaves no broken file behind.
    """

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write `obj` (bytes) to `filepath`, all of it or nothing."""
        with written_aside(filepath) as temporary:
            super().put(obj, temporary)
