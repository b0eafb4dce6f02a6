"""Locks that end with the process that holds them, however it ends."""

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl

    HAS_LOCKS = True
except ImportError:  # Windows
    HAS_LOCKS = False


class Unsupported(OSError):
    """The file system has no locks."""


@contextlib.contextmanager
def claimed(path: str | Path) -> Iterator[bool]:
    """Mark a temporary file or folder as one that is in use.

    Args:
        path (str | Path): It exists.

    Yields:
        bool: Whether nobody else holds it; False too where the file system has no locks.
    """
    if not HAS_LOCKS:
        yield False
        return
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:  # gone, or not ours
        yield False
        return
    try:
        yield _try(handle)
    finally:
        os.close(handle)


def _try(handle):
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


@contextlib.contextmanager
def process_lock(path: str | Path) -> Iterator[str]:
    """Hold a lock file; processes that are forked do not inherit it.

    Args:
        path (str | Path): The file, which is made if missing, and stays. It names the holder.

    Yields:
        str: Who else holds it, '' if nobody does.

    Raises:
        Unsupported: If there are no locks here.
        OSError: If the file cannot be written.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        yield _lock(handle)
    finally:
        os.close(handle)  # which ends the lock


def _lock(handle):
    if not HAS_LOCKS:
        raise Unsupported('this system has no locks')
    try:
        # Not flock: the data loaders' processes would hold it on when the run has been killed.
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return os.read(handle, 200).decode(errors='replace').strip() or 'another process'
    except OSError as error:
        raise Unsupported(*error.args) from error
    # By this handle: to close another one of the same file would end the lock.
    os.truncate(handle, 0)
    os.write(handle, f'process {os.getpid()} on {socket.gethostname()}\n'.encode())
    return ''
