"""The folder of a run: made, held by one run at a time, and rid of what killed runs left."""

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from mmengine.logging import print_log

from mmscale.errors import UserError
from mmscale.utils.files import cannot_write, sweep
from mmscale.utils.locks import Unsupported, process_lock
from mmscale.utils.texts import is_utf_8

LOCK = '.mmscale.lock'
# Where launchers tell a process its number.
RANKS = {'pytorch': 'RANK', 'slurm': 'SLURM_PROCID', 'mpi': 'OMPI_COMM_WORLD_RANK'}


def rank_of(launcher: str) -> int:
    """This process's number in its run, before the processes are connected."""
    return int(os.environ.get(RANKS.get(launcher, ''), 0))


@contextlib.contextmanager
def held(work_dir: str | Path, launcher: str = 'none') -> Iterator[None]:
    """Hold a work dir against other training runs inside the block; the first process does it.

    The lock ends with the process, however it ends; its file stays. Temporary files of runs that
    were killed are removed.

    Raises:
        UserError: If another run holds it, or it cannot be written.
    """
    if rank_of(launcher):
        yield
        return
    folder = Path(work_dir)
    if not is_utf_8(str(folder)):  # mmengine writes it into files
        raise UserError(f'work dir {str(folder)!r} is not UTF-8: give another --work-dir')
    with contextlib.ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            holder = stack.enter_context(process_lock(folder / LOCK))
        except Unsupported as error:
            print_log(
                f'{folder} has no locks ({error.strerror or error}): nothing keeps a second run '
                'out of it',
                logger='current',
                level=logging.WARNING,
            )
        except OSError as error:
            raise cannot_write(folder, error) from error
        else:
            if holder:
                raise UserError(
                    f'work dir {str(folder)!r} is in use by {holder}: wait for it, stop it, or '
                    'give another --work-dir'
                )
            for path in sweep(folder):
                print_log(f'{path}, left by a run that was killed, is removed', logger='current')
        yield
