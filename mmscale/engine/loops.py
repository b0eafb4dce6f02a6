"""Training loops that go on where a run has stopped, on the same data."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from mmengine.config import Config
from mmengine.dataset import InfiniteSampler
from mmengine.dist import get_world_size
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop
from torch.utils.data import DataLoader

from mmscale.registry import LOOPS, type_name

DONE = 'samples_done'  # where the message hub keeps how much of the epoch was trained on
# What the loader of the rest of an epoch has of the whole one's.
KEPT = (
    'num_workers', 'collate_fn', 'pin_memory', 'timeout', 'worker_init_fn',
    'multiprocessing_context', 'generator', 'prefetch_factor',
)  # fmt: skip


def use_resumable_loop(cfg: Config) -> None:
    """Have a config that trains by mmengine's loops do it with those of this module."""
    given = cfg.train_cfg
    kind = type_name(given.get('type', ''))
    if not kind and 'by_epoch' in given:
        kind = 'EpochBasedTrainLoop' if given['by_epoch'] else 'IterBasedTrainLoop'
    own = {'EpochBasedTrainLoop': EpochTrainLoop, 'IterBasedTrainLoop': IterTrainLoop}.get(kind)
    if own is not None:
        given.pop('by_epoch', None)
        given['type'] = f'mmscale.{own.__name__}'


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
        return _of_batches(loader, list(islice(loader.batch_sampler, done, None)))


@LOOPS.register_module()
class IterTrainLoop(IterBasedTrainLoop):
    """mmengine's, which does not load again what the run was trained on before it has stopped.

    Before onedl-mmengine 0.10.12 it does, and draws random numbers for it.
    """

    dataloader_iterator: Any

    def run(self) -> Any:
        """Train to the last iteration."""
        given = self.dataloader_iterator
        sampler = getattr(self.dataloader.batch_sampler, 'sampler', None)
        endless = isinstance(sampler, InfiniteSampler)
        if endless and not hasattr(given, 'skip_iter'):
            self.dataloader_iterator = self._rest()
        return super().run()

    def _rest(self) -> Iterator[Any]:
        """A None for each batch that is done, and the batches after them."""
        done, loader = self._iter, self.dataloader
        yield from [None] * done
        # Not before: a hook seeds the loader's processes when the run begins.
        yield from _of_batches(loader, islice(loader.batch_sampler, done, None))


def _of_batches(loader, batches):
    """The loader's batches of these indices."""
    kept = {name: getattr(loader, name) for name in KEPT}
    return DataLoader(loader.dataset, batch_sampler=batches, **kept)
