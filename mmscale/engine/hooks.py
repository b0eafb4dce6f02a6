"""Hooks for mmengine's Runner."""

import gc
from functools import partial
from typing import Any

import numpy as np
import torch
from mmengine.dataset import worker_init_fn
from mmengine.dist import get_rank, get_world_size
from mmengine.hooks import EMAHook, Hook
from mmengine.logging import print_log
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import BaseLoop, Runner, set_random_seed
from torch.nn.parallel import DistributedDataParallel

from mmscale import checkpoints
from mmscale.datasets.checks import check_labels
from mmscale.deploy import to_channels_last
from mmscale.engine.interruptions import outlive_signals
from mmscale.errors import UserError
from mmscale.registry import HOOKS


@HOOKS.register_module()
class ChannelsLastHook(Hook):
    """Runs the model's convolutions in channels-last memory, which is faster on CPUs.

    See :func:`mmscale.deploy.to_channels_last`. Weights that begin at random have been drawn by
    then, so that they are those of a run without this hook.
    """

    def __init__(self) -> None:
        self.converted: Any = None

    def before_train(self, runner: Runner) -> None:
        """Convert the model before it is first used."""
        model = inner_model(runner.model)
        if model is self.converted:
            return
        self.converted = to_channels_last(model)
        if isinstance(runner.model, DistributedDataParallel):
            # It has prepared for gradients of the old layout, and would reduce them wrongly.
            runner.model = None
            gc.collect()  # takes its hooks off the parameters
            runner.model = runner.wrap_model(runner.cfg.get('model_wrapper_cfg'), model)

    before_val = before_test = before_train


@HOOKS.register_module()
class CheckpointFitHook(Hook):
    """Ends a run whose checkpoint does not fit the model, where mmengine would only warn.

    Args:
        whole (bool): Every tensor of the model has to be in the checkpoint, as for testing and
            resuming; else only the backbone's, as for fine-tuning on other classes.
        exact (bool): Nor may the checkpoint hold more than the model, as for resuming.
    """

    priority = 'VERY_HIGH'

    def __init__(self, whole: bool, exact: bool = False) -> None:
        self.whole = whole
        self.exact = exact

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Compare the checkpoint with the model before it is loaded."""
        model = inner_model(runner.model)  # mmengine loads into this too
        known = (checkpoint.get('meta') or {}).get('resolutions')
        if 'state_dict' in checkpoint:
            checkpoint['state_dict'] = checkpoints.in_order_of(
                model, checkpoint['state_dict'], known
            )
        state_dict = checkpoint.get('state_dict', checkpoint)
        named = str(runner._load_from).removeprefix(checkpoints.SCHEME)
        required = '' if self.whole else 'backbone.'
        checkpoints.require_fit(model, state_dict, named, required=required, exact=self.exact)
        if self.whole:
            _check_classes(runner, checkpoint, named)
        averaged = any(isinstance(hook, EMAHook) for hook in runner.hooks)
        if self.exact and 'ema_state_dict' in checkpoint and not averaged:
            raise UserError(
                f'{named} is of a run with averaged weights (EMA), which this config does not '
                'have: give it the same EMAHook, as by default_hooks.ema.type=EMAHook'
            )


def _check_classes(runner, checkpoint, named):
    """Compare the classes of a checkpoint with those of the set that it is to be used on."""
    loops = [loop for loop in (runner._train_loop, runner._test_loop) if isinstance(loop, BaseLoop)]
    own = getattr(loops[0].dataloader.dataset, 'metainfo', {}).get('classes') if loops else None
    known = ((checkpoint.get('meta') or {}).get('dataset_meta') or {}).get('classes')
    check_labels(named, known, own)


def inner_model(model: Any) -> Any:
    """A run's model without the wrappers of distribution and test-time augmentation."""
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = model.module
    return model


@HOOKS.register_module()
class EpochSeedHook(Hook):
    """Draws the randomness of every iteration from the run's seed and the iteration's number alone.

    mmengine saves no random state. With this hook, a run that was stopped and resumed ends with the
    same weights, bit for bit, as one that was not (on a CPU, in one process). Worker processes are
    seeded for every epoch, for which they must not be persistent: with them, this holds for runs
    that were stopped at the end of an epoch. Gradients that are being accumulated go into the
    checkpoint.
    """

    def __init__(self) -> None:
        self.gradients: dict[str, torch.Tensor] = {}

    def before_train(self, runner: Runner) -> None:
        """Go on from the gradients of the checkpoint."""
        if getattr(runner.train_dataloader, 'persistent_workers', False):
            print_log(
                'a resumed run will differ: persistent worker processes keep random states of '
                'their own; train_dataloader.persistent_workers=False',
                logger='current',
            )
        for name, parameter in inner_model(runner.model).named_parameters():
            if name in self.gradients:
                parameter.grad = self.gradients[name].to(parameter)
        self.gradients = {}

    def before_train_epoch(self, runner: Runner) -> None:
        """Seed the generators of this process and of its loader's."""
        _seed(runner, runner.iter)
        loader, (seed, of_loader) = runner.train_dataloader, _draw(runner, runner.epoch, 2)
        loader.worker_init_fn = partial(
            _start_worker, num_workers=loader.num_workers, rank=0, seed=seed // 2
        )
        # Else an iterator takes a number of torch's own, and a resumed run makes one more of them.
        loader.generator = torch.Generator().manual_seed(of_loader)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict[str, Any] | None = None,
    ) -> None:
        """Seed this process's generators for the next iteration."""
        _seed(runner, runner.iter + 1)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Do it again: a resumed run does not repeat the validation."""
        _seed(runner, runner.iter)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Keep the gradients that no step has used yet."""
        named = inner_model(runner.model).named_parameters()
        pending = {name: p.grad.cpu() for name, p in named if p.grad is not None}
        if pending:
            checkpoint['gradients'] = pending

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Take them from there when resuming."""
        self.gradients = checkpoint.get('gradients') or {} if runner._resume else {}


def _draw(runner, number, count):
    """Seeds from the run's own, a number and this process's rank."""
    return map(int, np.random.SeedSequence([runner.seed, number, get_rank()]).generate_state(count))


def _seed(runner, iteration):
    """Seed Python's, NumPy's and torch's generators, each process differently."""
    set_random_seed(*_draw(runner, iteration, 1))


def _start_worker(worker_id, **options):
    """Seed a data loader's process, which is to outlive signals that all processes get."""
    worker_init_fn(worker_id, **options)
    outlive_signals()


@HOOKS.register_module()
class ThroughputHook(Hook):
    """Adds ``images_per_second`` to what a test reports: the median batch, loading included.

    Nothing is added where mmengine's IterTimerHook is switched off, or batches differ in size.
    """

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Take the times that mmengine's IterTimerHook has measured."""
        times = runner.message_hub.log_scalars.get('test/time')
        size = runner.test_dataloader.batch_size  # None with a batch_sampler
        if metrics is None or times is None or size is None:
            return
        seconds, _ = times.data
        metrics['images_per_second'] = size * get_world_size() / float(np.median(seconds))
        runner.message_hub.update_scalar('test/images_per_second', metrics['images_per_second'])
