"""Training on mmengine's Runner, for detectors, classifiers and segmentors alike."""

import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.runner import Runner

from mmscale.checkpoints import trusting
from mmscale.checks.findings import settle
from mmscale.checks.types import find_types
from mmscale.engine.checks import check_run
from mmscale.engine.hooks import EpochSeedHook
from mmscale.engine.interruptions import InterruptionHook
from mmscale.engine.loops import use_resumable_loop
from mmscale.engine.opening import OpeningHook
from mmscale.engine.progress import ProgressHook
from mmscale.engine.resuming import BatchHook, check_pointer, check_resumable, newest_checkpoint
from mmscale.engine.running import build_runner, prepare
from mmscale.engine.saving import FiniteHook, checkpoint_folder
from mmscale.engine.tracking import track
from mmscale.engine.tuning import tune_training
from mmscale.engine.weights import guard_weights, load_from
from mmscale.engine.work_dirs import held
from mmscale.errors import UserError
from mmscale.utils.files import writing
from mmscale.utils.logs import warnings_to_file
from mmscale.utils.progress import Bars

NEEDED = ('model', 'train_dataloader', 'train_cfg', 'optim_wrapper')


@warnings_to_file()
def train(
    config: str,
    *,
    work_dir: Any = None,
    amp: bool = False,
    auto_scale_lr: bool = False,
    resume: str | None = None,
    trackers: Sequence[str] = (),
    trust_checkpoint: bool = False,
    overrides: Mapping[str, Any] | None = None,
    launcher: str = 'none',
) -> Runner:
    """Train a detector, classifier or segmentor.

    Args:
        config (str): Path or bare name.
        work_dir (str | Path, optional): Where logs and checkpoints go. Default: the config's own,
            or ``work_dirs/CONFIG``.
        amp (bool): Automatic mixed precision (on an accelerator).
        auto_scale_lr (bool): Scale the learning rate to the actual batch size.
        resume (str, optional): 'auto' goes on from the newest whole checkpoint of `work_dir`, if
            there is one; a path goes on from that checkpoint.
        trackers (Sequence[str]): See :func:`mmscale.engine.tracking.track`.
        trust_checkpoint (bool): Let that checkpoint, and those that the config names, run code.
        overrides (dict, optional): As in :func:`mmscale.engine.config.load_config`.
        launcher (str): 'none', 'pytorch', 'slurm' or 'mpi'.

    Returns:
        mmengine.runner.Runner: The runner, after training.

    Raises:
        UserError: If config, data or options do not fit, another run has the work dir, a loss is
            not finite, or the disk is full.
        SystemExit: If SIGTERM or SIGINT stopped the run, which is saved then.
    """
    cfg = prepare(config, overrides, work_dir, launcher)
    track(cfg, trackers)
    if amp:
        _use_amp(cfg)
    lacks = [key for key in NEEDED if not cfg.get(key)]
    if lacks:
        raise UserError(
            f'the config cannot be trained, it lacks {lacks}: inherit them by _base_ from a config '
            'that has them (mmscale configs)'
        )
    use_resumable_loop(cfg)
    check_pointer(checkpoint_folder(cfg))
    with trusting(trust_checkpoint):
        _choose_checkpoint(cfg, resume, trust_checkpoint)
        settle(find_types(cfg))  # before weights are fetched for them
        guard_weights(cfg)
        if cfg.get('load_from'):
            load_from(cfg, cfg.load_from, whole=cfg.get('resume', False))
        if cfg.get('resume'):
            check_resumable(cfg)
            print_log(
                '--resume: optimiser and schedule are those of the checkpoint, not of any option',
                logger='current',
            )
        check_run(cfg, ('train', 'val'))
        if auto_scale_lr:
            _scale_learning_rate(cfg, config)
        with held(cfg.work_dir, launcher):
            return _run(cfg)


def _choose_checkpoint(cfg, resume, trust):
    """Have the run go on from a checkpoint, if that is asked for and there is one."""
    if resume is None and cfg.get('resume'):  # the config's own switch
        resume = cfg.get('load_from') or 'auto'
    if resume is None:
        return
    if resume == 'auto':
        folder = checkpoint_folder(cfg)
        resume = newest_checkpoint(folder, trust=trust)
        if resume is None:
            found = 'holds no checkpoint' if os.path.isdir(folder) else 'is missing'
            start = cfg.get('load_from')
            print_log(
                f'--resume: {str(folder)!r} {found}: the run starts from '
                + (f'the weights of {start!r}' if start else 'scratch'),
                logger='current',
                level=logging.WARNING,
            )
    cfg.resume = resume is not None
    cfg.load_from = resume or cfg.get('load_from')


def _run(cfg):
    runner = build_runner(cfg)
    interruption, bars = InterruptionHook(), Bars()
    opening = OpeningHook(tune_training(runner))
    for hook in (FiniteHook(), BatchHook(), opening, ProgressHook(bars), interruption):
        runner.register_hook(hook)
    if not any(isinstance(hook, EpochSeedHook) for hook in runner.hooks):
        runner.register_hook(EpochSeedHook())
    with interruption.listening(), writing(cfg.work_dir), bars.shown():
        runner.train()
    return runner


def _use_amp(cfg: Config) -> None:
    if not torch.cuda.is_available():
        raise UserError('--amp needs a GPU: mmengine has no mixed precision on CPUs')
    cfg.optim_wrapper.type = 'AmpOptimWrapper'
    cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')


def _scale_learning_rate(cfg: Config, config: str) -> None:
    """Have mmengine scale the learning rate by the batch of a step, over that of the config."""
    if 'base_batch_size' not in cfg.get('auto_scale_lr', {}):
        raise UserError(
            f'--auto-scale-lr: {config} does not say what batch its learning rate is for; '
            'add auto_scale_lr=dict(base_batch_size=...) to it'
        )
    cfg.auto_scale_lr.enable = True
    # mmengine compares with the batch that is computed at once, not with that of a step.
    cfg.auto_scale_lr.base_batch_size /= cfg.optim_wrapper.get('accumulative_counts', 1)
