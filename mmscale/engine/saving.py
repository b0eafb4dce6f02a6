"""Checkpoints of a run: what is old goes only after what is new, and nothing bad is saved."""

import contextlib
from pathlib import Path
from typing import Any

import torch
from mmengine import hooks
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.logging import MessageHub
from mmengine.runner import Runner

from mmscale.checkpoints import SCHEME, require_finite
from mmscale.errors import UserError
from mmscale.registry import HOOKS, type_name

# Where the message hub keeps the name of an interrupted run's checkpoint, and of those that were to
# be removed once the one that it is saved with was whole.
INTERRUPTED, OUTDATED = 'interrupted', 'outdated'
SHOWN = 8  # images that a message names


def save_whole(cfg: Config) -> None:
    """Have every checkpoint of a run written aside and renamed, and the old one removed after it.

    Args:
        cfg (mmengine.Config): The run's; it is changed. Checkpoints that go to a store (``s3://``)
            are left to it.
    """
    hook = cfg.setdefault('default_hooks', {}).setdefault(
        'checkpoint', dict(type='CheckpointHook', interval=1)
    )
    if not hook or '://' in str(hook.get('out_dir')) or hook.get('file_client_args'):
        return
    if hook.get('backend_args') is None:
        hook['backend_args'] = dict(backend='mmscale.whole')
    if type_name(hook.get('type', '')) == 'CheckpointHook':
        hook['type'] = 'mmscale.CheckpointHook'


def checkpoint_folder(cfg: Config) -> Path:
    """Where a run keeps its checkpoints, as mmengine's CheckpointHook says."""
    out_dir = (cfg.get('default_hooks', {}).get('checkpoint') or {}).get('out_dir')
    folder = Path(cfg.work_dir)
    return Path(out_dir, folder.resolve().name) if out_dir and '://' not in out_dir else folder


class _Later:
    """A file backend that notes what is to be removed, in the checkpoint too that is saved next."""

    def __init__(self, backend: Any, hub: MessageHub) -> None:
        self.backend = backend
        self.hub = hub
        self.removed: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.backend, name)

    def remove(self, path: str) -> None:
        self.removed.append(path)
        self.hub.update_info(OUTDATED, [*self.hub.get_info(OUTDATED, []), Path(path).name])


@HOOKS.register_module()
class CheckpointHook(hooks.CheckpointHook):
    """mmengine's, but an old checkpoint is removed only once the new one is there.

    In a work dir that was copied, only its own files are.
    """

    file_backend: Any
    best_ckpt_path: Any
    best_ckpt_path_dict: dict[str, Any]

    def before_train(self, runner: Runner) -> None:
        """Find the best checkpoints of a resumed run in this run's folder."""
        super().before_train(runner)

        def here(path):
            return path and self.file_backend.join_path(self.out_dir, Path(path).name)

        if getattr(self, 'best_ckpt_path', None):
            self.best_ckpt_path = here(self.best_ckpt_path)
        best = getattr(self, 'best_ckpt_path_dict', {})
        best.update({key: here(path) for key, path in best.items()})
        # Those that the run would have removed, had it not been killed just then.
        outdated = runner.message_hub.pop_info(OUTDATED, [])
        resumed = Path(str(runner._load_from).removeprefix(SCHEME)).resolve()
        if runner._resume and resumed.parent == Path(self.out_dir).resolve():
            self._remove([here(name) for name in outdated], kept=[here(resumed.name)])

    def _save_checkpoint_with_step(self, runner, step, meta):
        interrupted = runner.message_hub.pop_info(INTERRUPTED, None)
        with self._removing_later(runner) as backend:
            if interrupted:  # what it holds will be in the new one
                backend.remove(backend.join_path(self.out_dir, Path(interrupted).name))
            super()._save_checkpoint_with_step(runner, step, meta)

    def _save_best_checkpoint(self, runner, metrics):
        with self._removing_later(runner):
            super()._save_best_checkpoint(runner, metrics)

    @contextlib.contextmanager
    def _removing_later(self, runner):
        backend = self.file_backend
        self.file_backend = later = _Later(backend, runner.message_hub)
        try:
            yield later
        finally:
            self.file_backend = backend
            runner.message_hub.pop_info(OUTDATED)
        self._remove(later.removed, kept=[self.last_ckpt])

    def _remove(self, paths, kept):
        best = [
            getattr(self, 'best_ckpt_path', None),
            *getattr(self, 'best_ckpt_path_dict', {}).values(),
        ]
        for path in paths if is_main_process() else ():
            if path not in (*kept, *best) and self.file_backend.isfile(path):
                self.file_backend.remove(path)


class FiniteHook(Hook):
    """Ends a run at the first loss that is not finite, before anything is saved."""

    priority = 'VERY_HIGH'

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict[str, Any] | None = None,
    ) -> None:
        """Look at the losses that the model has returned."""
        for name, value in (outputs or {}).items():
            if 'loss' in name and not torch.isfinite(torch.as_tensor(value)).all():
                rates = runner.optim_wrapper.get_lr()
                rate = ', '.join(f'{key} {values[0]:g}' for key, values in rates.items() if values)
                raise UserError(
                    f'{name} is {float(value)} at iteration '
                    f'{runner.iter + 1}, {rate}, images {_images(data_batch)}: the run has ended '
                    'and nothing of it was saved. Look at these images and their annotations; '
                    'then a smaller learning rate, a longer warm-up or '
                    'optim_wrapper.clip_grad.max_norm=10, and --resume from the last checkpoint'
                )

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Look at the weights: a step may spoil them though the loss was finite."""
        require_finite(checkpoint['state_dict'], 'the checkpoint is not written')


def _images(data_batch):
    """The names of a batch's images, as far as it tells them."""
    samples = data_batch.get('data_samples') if isinstance(data_batch, dict) else None
    paths = [getattr(sample, 'img_path', None) for sample in samples or ()]
    names = [str(path) for path in paths if path]
    more = f' and {len(names) - SHOWN} more' if len(names) > SHOWN else ''
    return (', '.join(names[:SHOWN]) or 'unknown') + more
