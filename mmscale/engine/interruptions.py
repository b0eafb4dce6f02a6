"""Runs that are told to stop: they save where they are, and end with the signal's code."""

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import all_reduce, barrier, get_world_size
from mmengine.hooks import CheckpointHook, EMAHook, Hook
from mmengine.logging import print_log
from mmengine.runner import Runner

from mmscale.engine.loops import DONE, EpochTrainLoop
from mmscale.engine.saving import INTERRUPTED
from mmscale.errors import first_line
from mmscale.utils.files import written_aside

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class _MetricsLeft(BaseException):
    """A signal came while metrics were computed."""


class InterruptionHook(Hook):
    """On SIGTERM or SIGINT, saves a checkpoint after the iteration and ends the program.

    The exit status is 128 + the signal's number. A second SIGINT (Ctrl-C) ends it at once. Several
    processes stop together, at the end of the same training iteration; a process alone stops in the
    middle of a validation too, and while its metrics are computed.
    """

    priority = 'LOWEST'  # after the schedule's step and the regular checkpoint

    def __init__(self) -> None:
        self.received = 0
        self.process = 0
        self.listens = False
        self.measuring = False  # metrics are computed now

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Have :meth:`before_train` listen to signals, which the block's end undoes.

        Raises:
            SystemExit: If a signal ended the block in another way than by :meth:`after_train_iter`:
                at once, or because it ended the data loaders' processes.
        """
        if threading.current_thread() is not threading.main_thread():
            yield  # other threads cannot listen to signals
            return
        before = {number: signal.getsignal(number) for number in SIGNALS}
        self.listens = True
        try:
            yield
        except (RuntimeError, KeyboardInterrupt) as error:
            if not self.received:
                raise
            print_log(
                f'{self._name}: the run has stopped at once ({first_line(error)}); --resume goes '
                'on from its last checkpoint',
                logger='current',
                level=logging.WARNING,
            )
            raise SystemExit(128 + self.received) from error
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def before_train(self, runner: Runner) -> None:
        """Listen from here on: there is something to save."""
        if self.listens:
            self.process = os.getpid()
            for number in SIGNALS:
                signal.signal(number, self._note)
            if runner.val_loop is not None and get_world_size() == 1:
                self._leave_metrics(runner)

    def _leave_metrics(self, runner):
        """Stop while they are computed: one whose processes the signal has ended waits for ever."""
        evaluator = runner.val_loop.evaluator
        evaluate = evaluator.evaluate

        def interruptible(size):
            try:
                self.measuring = True
                if self.received:  # since the last picture
                    raise _MetricsLeft
                found = evaluate(size)
                self.measuring = False
            except _MetricsLeft:
                self._stop_validating(runner)
            return found

        evaluator.evaluate = interruptible

    def _note(self, number, frame):
        if os.getpid() != self.process:
            _in_a_fork(number)
        elif number == signal.SIGINT == self.received and get_world_size() == 1:
            raise KeyboardInterrupt
        elif not self.received:
            self.received = int(number)
            again = ', or at once if it comes again' if number == signal.SIGINT else ''
            os.write(2, f'{self._name}: the run stops after this iteration{again}\n'.encode())
            if self.measuring:
                raise _MetricsLeft

    @property
    def _name(self):
        return signal.Signals(self.received).name

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict[str, Any] | None = None,
    ) -> None:
        """Stop here if any process was told to."""
        if get_world_size() > 1:
            received = torch.tensor(self.received)
            all_reduce(received, 'max')
            self.received = int(received)
        if self.received:
            loop = runner.train_loop
            if isinstance(loop, EpochTrainLoop):
                runner.message_hub.update_info(DONE, loop.samples(batch_idx + 1))
            self._stop(runner, runner.iter + 1, ())

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
    ) -> None:
        """Stop here too: a validation may take longer than the time that is left."""
        if self.received and get_world_size() == 1 and self.process:
            self._stop_validating(runner)

    def _stop_validating(self, runner):
        for hook in runner.hooks:
            if isinstance(hook, EMAHook):
                hook.after_val_epoch(runner)  # takes the averaged weights out of the model
        self._stop(runner, runner.iter, (f'epoch_{runner.epoch}.pth',))

    def _stop(self, runner, iteration, same):
        path = _save(runner, iteration, same)
        barrier()  # the launcher stops all processes as soon as one has ended
        runner.visualizer.close()
        print_log(
            f'{self._name}: the run has stopped after iteration {iteration} and is saved in '
            f'{path}; --resume goes on from there',
            logger='current',
        )
        raise SystemExit(128 + self.received)


def _in_a_fork(number):
    """What a process does that has inherited the handler: Ctrl-C is for the run itself."""
    if number == signal.SIGTERM:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


def outlive_signals() -> None:
    """Have a data loader's process go on when all processes of the run are told to stop.

    The run needs it until the end of its iteration, and then ends it: a SIGTERM of its parent's
    counts, those of others do not.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, 'sigwaitinfo'):  # not on macOS; a handler is not told who has sent it
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_wait_for_the_parent, daemon=True).start()


def _wait_for_the_parent():
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        continue
    os._exit(0)


def _save(runner, iteration, same):
    """Save the run as it is, unless the regular checkpoint of this moment (`same`) is there."""
    hook = next((hook for hook in runner.hooks if isinstance(hook, CheckpointHook)), None)
    folder, last = (hook.out_dir, hook.last_ckpt) if hook else (runner.work_dir, None)
    name = f'iter_{iteration}.pth'
    if last and Path(last).name in (name, *same):
        return last
    path = Path(folder, name)
    runner.message_hub.update_info(INTERRUPTED, name)
    runner.save_checkpoint(
        str(folder),
        name,
        meta=dict(epoch=runner.epoch, iter=iteration),
        by_epoch=False,
        backend_args=hook.backend_args if hook else dict(backend='mmscale.whole'),
    )
    if runner.rank == 0:
        with written_aside(Path(runner.work_dir, 'last_checkpoint')) as temporary:
            temporary.write_text(str(path))
    return path
