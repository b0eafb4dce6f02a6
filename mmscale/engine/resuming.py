"""Which checkpoint of a run is used or resumed from, and whether it is one."""

import logging
import os
import re
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import CheckpointLoader, Runner

from mmscale.checkpoints import damage_of, read_file
from mmscale.engine.loops import DONE, EpochTrainLoop
from mmscale.errors import UserError

POINTER = 'last_checkpoint'  # mmengine's file with the path of the newest
LONGEST = 4096  # bytes that last_checkpoint may have: one path


def newest_checkpoint(work_dir: str | Path, *, trust: bool = False) -> str | None:
    """The last whole checkpoint of a run, by what the run wrote down and by the numbers in names.

    Only files of this folder count, whatever ``last_checkpoint`` says: it may have been copied or
    moved. A file that is cut off, empty or damaged is named in a warning, and the one before it is
    taken.

    Args:
        work_dir (str | Path): Where the run keeps its checkpoints.
        trust (bool): As in :func:`mmscale.checkpoints.read_file`, for a folder with checkpoints of
            epochs and of iterations.

    Returns:
        str: The path; None if there is no checkpoint.

    Raises:
        UserError: If there are some, but none is whole.
    """
    folder = Path(work_dir)
    named = _named(folder)
    if named and _is_whole(named):
        return str(named)
    saved = [_saved(folder, kind, named) for kind in ('epoch', 'iter')]
    whole = [path for paths in saved if (path := next(filter(_is_whole, paths), None))]
    if not whole and (named or any(saved)):
        raise UserError(
            f'no checkpoint in {str(folder)!r} is whole; remove them to start from scratch'
        )
    if len(whole) < 2:
        return str(whole[0]) if whole else None
    return str(max(whole, key=lambda path: _iteration(path, trust)))


def best_checkpoint(work_dir: str | Path, *, trust: bool = False) -> str:
    """The checkpoint of a run to use: the newest that is marked as the best, or the last.

    Args:
        work_dir, trust: As in :func:`newest_checkpoint`.

    Returns:
        str: The path.

    Raises:
        UserError: If there is none that is whole.
    """
    best = sorted(Path(work_dir).glob('best_*.pth'), key=lambda path: path.stat().st_mtime)
    whole = [str(path) for path in best if path.is_file() and damage_of(path) is None]
    found = whole[-1] if whole else newest_checkpoint(work_dir, trust=trust)
    if found is None:
        raise UserError(f'work dir {str(work_dir)!r} has no checkpoint (best_*.pth, epoch_*.pth)')
    print_log(f'{work_dir}: {os.path.basename(found)} is taken', logger='current')
    return found


def check_pointer(folder: Path) -> None:
    """Refuse a folder where the name of the last checkpoint cannot be written.

    Raises:
        UserError: If ``last_checkpoint`` is a folder there, or a pipe, on which a run would wait.
    """
    pointer = folder / POINTER
    if pointer.is_dir() or pointer.is_fifo():
        kind = 'folder' if pointer.is_dir() else 'pipe'
        raise UserError(
            f'{str(pointer)!r} is a {kind}, where a run keeps the name of its last checkpoint; '
            'remove it'
        )


def _named(folder):
    """The file of the folder whose name ``last_checkpoint`` gives, or None."""
    pointer = folder / POINTER
    if not pointer.is_file():  # a pipe would be waited for
        return None
    try:
        with open(pointer, 'rb') as file:
            text = file.read(LONGEST).decode()
    except (OSError, UnicodeDecodeError):
        return None
    name = re.split(r'[\\/]', text.strip())[-1]
    found = re.fullmatch(r'[^\0]+\.pth', name) and os.path.isfile(folder / name)
    return folder / name if found else None


def _saved(folder, kind, named):
    """A kind's checkpoints, newest first; but what is newer than `named` is of an earlier run."""

    def number(path):
        found = re.fullmatch(rf'{kind}_(\d+)', path.stem)
        return int(found[1]) if found else -1

    last = number(named) if named else -1
    paths = [path for path in folder.glob(f'{kind}_*.pth') if number(path) >= 0 and path != named]
    return sorted(paths, key=lambda path: (number(path) > last >= 0, -number(path)))


def _is_whole(path):
    damage = damage_of(path)
    if damage:
        print_log(
            f'{path} {damage}: it is passed over for the one before',
            logger='current',
            level=logging.WARNING,
        )
    return damage is None


def _iteration(path, trust):
    iteration = (read_file(path, trust=trust).get('meta') or {}).get('iter')
    return iteration if isinstance(iteration, int) else -1


def check_resumable(cfg: Config) -> None:
    """Resume with the seed of the checkpoint: mmengine shuffles the data before it looks there.

    Raises:
        UserError: If the checkpoint is not that of a run.
    """
    content = CheckpointLoader.load_checkpoint(cfg.load_from, map_location='cpu')
    meta, hub, optimizer = (
        value if isinstance(value := content.get(key), dict) else {}
        for key in ('meta', 'message_hub', 'optimizer')
    )
    several = any('.' in str(key) for key in optimizer)  # optimizers, under the names of parts
    lacks = [f'meta.{key}' for key in ('epoch', 'iter') if not isinstance(meta.get(key), int)]
    if not isinstance(meta.get('seed', 0), (int, type(None))):
        lacks.append('meta.seed as a number')
    if not {'log_scalars', 'runtime_info'} <= set(hub):
        lacks.append('message_hub')
    if 'param_groups' not in optimizer and not several:
        lacks.append('optimizer')
    if lacks:
        raise UserError(
            f'{cfg.load_from.partition(":")[2]} cannot be resumed: it lacks {lacks}. To start from '
            'its weights: --cfg-options load_from=FILE, without --resume'
        )
    if meta.get('seed') is not None and cfg.get('randomness', {}).get('seed') is None:
        cfg.randomness = dict(cfg.get('randomness', {}), seed=meta['seed'])


class BatchHook(Hook):
    """Says when a resumed run has another batch than its checkpoint, and what that does."""

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Note how many images a step has."""
        checkpoint['meta']['batch'] = _batch(runner)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Compare, when resuming."""
        now, before = _batch(runner), (checkpoint.get('meta') or {}).get('batch')
        if not runner._resume or not isinstance(before, dict) or before in ({}, now):
            return
        given = ', '.join(f'{key} {before.get(key)} -> {value}' for key, value in now.items())
        print_log(
            f'another batch than that of the checkpoint ({given}): the learning rate stays the '
            "checkpoint's, --auto-scale-lr or not, and schedules that count iterations end after "
            f'as many as before{self._count_anew(runner.train_loop, checkpoint)}',
            logger='current',
            level=logging.WARNING,
        )

    def _count_anew(self, loop, checkpoint):
        """Have a run by epochs count its iterations as if they all had had the new batch."""
        if not isinstance(loop, EpochTrainLoop):
            return ''
        meta = checkpoint['meta']
        samples = checkpoint['message_hub'].get('runtime_info', {}).get(DONE, 0)
        earlier, meta['iter'] = meta['iter'], loop.iterations(meta['epoch'], samples)
        return f'. The run goes on at iteration {meta["iter"]} instead of {earlier}'


def _batch(runner):
    cfg = runner.cfg
    return dict(
        processes=runner.world_size,
        batch_size=(cfg.get('train_dataloader') or {}).get('batch_size'),
        accumulative_counts=(cfg.get('optim_wrapper') or {}).get('accumulative_counts', 1),
    )
