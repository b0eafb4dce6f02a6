"""How far something is: a live line on a terminal, else a plain line each half minute."""

import contextlib
import logging
import math
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import TypeVar

from mmengine.dist import is_main_process
from mmengine.logging import MMLogger, print_log
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

EVERY = 30.0  # seconds between plain lines
OFTEN = 0.25  # seconds between two changes of a live line
WINDOW = 100  # steps that the speed is taken from

T = TypeVar('T')


class Bar:
    """How far one thing is.

    Args:
        what (str): Its name, such as 'training'.
        total (int, optional): Its steps; None if nobody knows.
        done (int): Those of an earlier run.
        screen (rich.progress.Progress, optional): Where it is shown live.
    """

    def __init__(self, what: str, total: int | None, done: int, screen: Progress | None) -> None:
        self.what = what
        self.total = total
        self.done = done
        self.times = deque([(time.monotonic(), done)], maxlen=WINDOW)
        self.said = -math.inf  # when: the first step is due at once
        self.screen = screen
        self.task = screen.add_task(what, total=total, completed=done, text='') if screen else None

    def step(self, note: Callable[[], str] | str = '', count: int = 1) -> None:
        """Go on.

        Args:
            note (str | Callable): What to say beside the speed. A function is called only when
                something is said.
            count (int): Steps that were done.
        """
        now = time.monotonic()
        self.done += count
        self.times.append((now, self.done))
        if self.screen:
            due = now - self.said >= OFTEN or self.done == self.total
        else:  # nobody waits for what is over soon
            due = now - self.said >= EVERY and self._seconds_left() >= EVERY
        if not due:
            return
        self.said = now
        left = self._seconds_left()
        words = [
            self._speed(),
            note if isinstance(note, str) else note(),
            f'{duration(left)} left' if 0 < left < math.inf else '',
        ]
        self._say(', '.join(word for word in words if word))

    def wait(self, words: str) -> None:
        """Say what happens now that has no steps, if anybody waits."""
        if self.screen or self.said > -math.inf:
            self._say(words)

    def end(self) -> None:
        """Take the live line away."""
        if self.screen and self.task is not None:
            self.screen.remove_task(self.task)

    def _say(self, text):
        if self.screen and self.task is not None:
            self.screen.update(self.task, completed=self.done, text=text)
        else:
            of = f' of {self.total}' if self.total else ''
            print_log(f'{self.what}: {self.done}{of}, {text}', logger='current')

    def _rate(self):
        (begun, first), (now, last) = self.times[0], self.times[-1]
        return (last - first) / max(now - begun, 1e-9)

    def _speed(self):
        rate = self._rate()
        return f'{rate:.3g} a second' if rate >= 1 else f'{1 / rate:.3g} s each' if rate else ''

    def _seconds_left(self):
        rate = self._rate()
        if not self.total or not rate:
            return math.inf
        return max(self.total - self.done, 0) / rate


class Bars:
    """The live lines of a program, one below the other, below what is printed meanwhile."""

    def __init__(self) -> None:
        self.screen: Progress | None = None

    @contextlib.contextmanager
    def shown(self) -> Iterator['Bars']:
        """Have the lines live inside the block, if there is a terminal, by the first process."""
        console = Console(stderr=True)
        if not console.is_terminal or console.is_dumb_terminal or not is_main_process():
            yield self
            return
        columns = (
            TextColumn('{task.description}'),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn('{task.fields[text]}'),
        )
        self.screen = Progress(
            *columns,
            console=console,
            transient=True,
            # What goes to a file or a pipe is none of the terminal's.
            redirect_stdout=sys.stdout.isatty(),
        )
        with self.screen, _logging_above():
            yield self
        self.screen = None

    def start(self, what: str, total: int | None = None, done: int = 0) -> Bar:
        """Another line (see :class:`Bar`), which its :meth:`Bar.end` takes away."""
        return Bar(what, total, done, self.screen)


@contextlib.contextmanager
def _logging_above():
    """Have loggers write to what stands for the terminal while a live line is at its bottom."""
    handlers = [
        handler
        for logger in [logging.getLogger(), *MMLogger._instance_dict.values()]
        for handler in logger.handlers
        if type(handler) is logging.StreamHandler
    ]
    before = [handler.stream for handler in handlers]
    for handler in handlers:
        handler.setStream(sys.stderr if handler.stream is sys.__stderr__ else sys.stdout)
    try:
        yield
    finally:
        for handler, stream in zip(handlers, before):
            handler.setStream(stream)


def track(items: Iterable[T], what: str, total: int | None = None) -> Iterator[T]:
    """Yield items, and say how far it is.

    Args:
        items (Iterable): Of which the length is asked for where `total` is not given.
        what (str): What is done with them, such as 'converting'.
        total (int, optional): How many there are.
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    with Bars().shown() as bars:
        bar = bars.start(what, total)
        for item in items:
            yield item
            bar.step()


def duration(seconds: float) -> str:
    """A time in words.

    Example:
        >>> duration(7300), duration(61), duration(4.2)
        ('2 h 01 min', '1 min 01 s', '4 s')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f'{hours} h {minutes:02} min'
    return f'{minutes} min {rest:02} s' if minutes else f'{rest} s'
