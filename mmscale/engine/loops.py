"""A training loop that can go on in the middle of an epoch."""

from collections.abc import Iterable
from itertools import islice
from typing import Any

from mmengine.config import Config
from mmengine.dist import get_world_size
from mmengine.runner import EpochBasedTrainLoop
from torch.utils.data import DataLoader

from mmscale.registry import LOOPS, type_name

DONE = 'samples_done'  # where the message hub keeps how much of the epoch was trained on
# What the loader of the rest of an epoch has of the whole one's.
KEPT = (
    'num_workers', 'collate_fn', 'pin_memory', 'timeout', 'worker_init_fn',
    'multiprocessing_context', 'generator', 'prefetch_factor',
)  # fmt: skip


def use_resumable_loop(cfg: Config) -> None:
    """Have a config that trains by epochs do it with :class:`EpochTrainLoop`."""
    given = cfg.train_cfg
    by_epoch = given.get('by_epoch', False) if 'type' not in given else None
    if by_epoch or type_name(given.get('type', '')) == 'EpochBasedTrainLoop':
        given.pop('by_epoch', None)
        given['type'] = 'mmscale.EpochTrainLoop'


@LOOPS.register_module()
class EpochTrainLoop(EpochBasedTrainLoop):
    """mmengine's, which begins its first epoch where a run that was interrupted has stopped."""

    def run_epoch(self) -> None:
        """Iterate over what is left of one epoch."""
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        done = self.runner.message_hub.pop_info(DONE, 0) // self._step_size()
        for idx, data_batch in enumerate(self._batches(done), done):
            self.run_iter(idx, data_batch)
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1

    def samples(self, batches: int) -> int:
        """How many images that many batches have, over all processes."""
        return batches * self._step_size()

    def iterations(self, epochs: int, samples: int) -> int:
        """How many iterations it takes to get to a place of a later epoch."""
        return epochs * len(self.dataloader) + samples // self._step_size()

    def _step_size(self):
        batch = self.runner.cfg.get('train_dataloader', {}).get('batch_size') or 1
        return batch * get_world_size()

    def _batches(self, done: int) -> Iterable[Any]:
        """The epoch's batches without the first ones, which are not loaded."""
        loader = self.dataloader
        if not done:
            return loader
        rest = list(islice(loader.batch_sampler, done, None))
        return DataLoader(
            loader.dataset, batch_sampler=rest, **{name: getattr(loader, name) for name in KEPT}
        )
