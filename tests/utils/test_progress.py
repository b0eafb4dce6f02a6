"""How far something is: live on a terminal, in plain lines elsewhere."""

import os
import pty
import subprocess
import sys

import pytest

from mmscale.utils import progress
from mmscale.utils.progress import Bars, duration, track


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test sets."""
    now = [1000.0]
    monkeypatch.setattr(progress.time, 'monotonic', lambda: now[0])
    return now


def test_plain_lines_come_with_the_first_step_and_each_half_minute(clock, log):
    bar = Bars().start('training', 100)
    for step in range(20):
        clock[0] += 7
        bar.step(lambda step=step: f'loss {step}')
    said = [line for line in log if line.startswith('training')]
    assert said[0] == 'training: 1 of 100, 7 s each, loss 0, 11 min 33 s left'
    assert said[1] == 'training: 6 of 100, 7 s each, loss 5, 10 min 58 s left'
    assert len(said) == 4


def test_nothing_is_said_of_what_is_over_soon(clock, log):
    bar = Bars().start('validation', 10)
    for _ in range(10):
        clock[0] += 2
        bar.step()
    bar.wait('computing the metrics')
    assert log == []


def test_a_resumed_run_counts_from_where_it_was(clock, log):
    bar = Bars().start('training', 1000, done=900)
    clock[0] += 0.5
    bar.step()
    assert log.with_word('901 of 1000').endswith('2 a second, 50 s left')


def test_without_a_total_there_is_no_time_left(clock, log):
    bar = Bars().start('reading')
    clock[0] += 4
    bar.step()
    assert log == ['reading: 1, 4 s each']


def test_track_yields_what_it_is_given(clock, log):
    assert list(track([1, 2, 3], 'converting')) == [1, 2, 3]
    assert list(track(iter('ab'), 'converting')) == ['a', 'b']


def test_a_time_in_words():
    assert [duration(s) for s in (0.4, 59.6, 3600)] == ['0 s', '1 min 00 s', '1 h 00 min']


LIVE = """
from mmengine.logging import MMLogger
from mmscale.utils.progress import Bars
logger = MMLogger.get_instance('run')
bars = Bars()
with bars.shown():
    training, validation = bars.start('training', 40), bars.start('validation', 2)
    for step in range(40):
        training.step(f'loss {step}')
    validation.step()
    logger.info('a line of the log')
    print('a line of a library')
    validation.end()
logger.info('afterwards')
"""


def on_a_terminal(code):
    """What a program writes to a terminal."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, 'TERM': 'xterm', 'COLUMNS': '100'}
    child = subprocess.Popen(
        [sys.executable, '-c', code], stdout=theirs, stderr=theirs, stdin=theirs, env=environment
    )
    os.close(theirs)
    parts = []
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # the terminal of a program that has ended
            break
        if not part:
            break
        parts.append(part)
    os.close(ours)
    assert child.wait() == 0
    return b''.join(parts).decode()


def test_a_terminal_has_live_lines_below_the_log():
    written = on_a_terminal(LIVE)
    for text in ('training', '40/40', 'loss 39'):
        assert text in written
    assert '━' in written
    for text in ('a line of the log', 'a line of a library', 'afterwards'):
        assert any(line.rstrip().endswith(text) for line in written.split('\n'))
