"""Training on mmengine's Runner, for detectors and classifiers alike."""

from collections.abc import Mapping
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.runner import Runner

from mmscale.checkpoints import trusting
from mmscale.engine.checks import check_run
from mmscale.engine.running import build_runner, prepare
from mmscale.engine.weights import check_resumable, guard_weights, load_from, newest_checkpoint
from mmscale.errors import UserError


def train(
    config: str,
    *,
    work_dir: Any = None,
    amp: bool = False,
    auto_scale_lr: bool = False,
    resume: str | None = None,
    trust_checkpoint: bool = False,
    overrides: Mapping[str, Any] | None = None,
    launcher: str = 'none',
) -> Runner:
    """Train a detector or classifier.

    Args:
        config (str): Path or bare name.
        work_dir (str | Path, optional): Where logs and checkpoints go. Default: the config's own,
            or ``work_dirs/CONFIG``.
        amp (bool): Automatic mixed precision (on an accelerator).
        auto_scale_lr (bool): Scale the learning rate to the actual batch size.
        resume (str, optional): 'auto' goes on from the newest checkpoint of `work_dir`, if there is
            one; a path goes on from that checkpoint.
        trust_checkpoint (bool): Let that checkpoint, and those that the config names, run code.
        overrides (dict, optional): As in :func:`mmscale.engine.config.load_config`.
        launcher (str): 'none', 'pytorch', 'slurm' or 'mpi'.

    Returns:
        mmengine.runner.Runner: The runner, after training.

    Raises:
        UserError: If config, data or options do not fit.
    """
    cfg = prepare(config, overrides, work_dir, launcher)
    if amp:
        _use_amp(cfg)
    if resume is None and cfg.get('resume'):  # the config's own switch
        resume = cfg.get('load_from') or 'auto'
    if resume is not None:
        cfg.load_from = newest_checkpoint(cfg.work_dir) if resume == 'auto' else resume
        # Where there is none, mmengine would look for itself, and load what it finds.
        cfg.resume = cfg.load_from is not None
    with trusting(trust_checkpoint):
        guard_weights(cfg)
        if cfg.get('load_from'):
            load_from(cfg, cfg.load_from, whole=cfg.get('resume', False))
        if cfg.get('resume') and cfg.load_from:
            check_resumable(cfg)
            print_log(
                '--resume: optimiser and schedule are those of the checkpoint, not of any option',
                logger='current',
            )
        check_run(cfg, ('train', 'val'))
        if auto_scale_lr:
            _scale_learning_rate(cfg, config)
        runner = build_runner(cfg)
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
