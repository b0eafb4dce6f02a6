"""Runs that are killed or told to stop, at any moment, go on as if they had not been."""

import json
import os
import signal
import subprocess
import sys
from itertools import product

import pytest
import small_runs
import toy_runs
from commands import ROOT

CONFIGS = {
    'epochs': toy_runs.BY_EPOCH,
    'iterations': toy_runs.BY_ITERATION,
    'detector': small_runs.DETECTOR,
    'classifier': small_runs.CLASSIFIER,
}
HOW = ('events', 'moments', 'SIGTERM', 'SIGINT')
FAULTS = ('fails', 'full', 'memory', 'allocations')
TOOLS = ('convert', 'allocate', 'plot', 'shapes', 'export')
NONE = dict(lost=0, wrong=0, failed=0, silent=0, hung=0, left=0)


def environment():
    path = f'{ROOT / "tests/helpers"}:{os.environ.get("PYTHONPATH", "")}'
    return {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': path}


def figures_of(program, *arguments):
    """What one of the helpers prints at its end."""
    command = [sys.executable, ROOT / 'tests/helpers' / program, *arguments]
    done = subprocess.run([*map(str, command)], env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    figures = json.loads(done.stdout.splitlines()[-1])
    print(*arguments, figures)
    return figures


def assert_nothing_is_lost(tmp_path, kind, how, count, least):
    if how == 'allocations':
        pytest.importorskip('_testcapi')
    config = tmp_path / 'config.py'
    config.write_text(CONFIGS[kind])
    figures = figures_of('killing.py', config, tmp_path / 'runs', how, count)
    assert {key: figures[key] for key in NONE} == NONE, figures
    assert figures['kills'] >= least
    assert how not in ('fails', 'full') or figures['tracebacks'] == 0, figures
    return figures


@pytest.mark.parametrize(
    ('kind', 'how'),
    [('epochs', 'events'), ('iterations', 'events'), ('iterations', 'SIGTERM'), ('epochs', 'full')],
)
def test_a_few_kills(kind, how, tmp_path):
    figures = assert_nothing_is_lost(tmp_path, kind, how, 6, least=4)
    assert figures['events'] > 40


@pytest.mark.slow
@pytest.mark.parametrize('kind', ['epochs', 'iterations'])
@pytest.mark.parametrize('how', HOW)
def test_many_kills(kind, how, tmp_path):
    assert_nothing_is_lost(tmp_path, kind, how, 110, least=60)


@pytest.mark.slow
@pytest.mark.parametrize('kind', ['epochs', 'iterations'])
@pytest.mark.parametrize('how', FAULTS)
def test_faults_at_writes_and_allocations(kind, how, tmp_path):
    assert_nothing_is_lost(tmp_path, kind, how, 40, least=20)


@pytest.mark.slow
@pytest.mark.parametrize('kind', ['detector', 'classifier'])
@pytest.mark.parametrize('how', [*HOW, 'full', 'allocations'])
def test_real_networks_end_bit_for_bit(shapes, kind, how, tmp_path):
    assert_nothing_is_lost(tmp_path, kind, how, 8, least=3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ('how', 'tool'),
    # What infer draws is not written aside: a kill may leave half a picture.
    [*product(('events', 'fails', 'full', 'memory'), TOOLS), ('fails', 'infer'), ('full', 'infer')],
)
def test_tools_write_whole_or_not_at_all(how, tool, tmp_path):
    figures = figures_of('killing_tools.py', tool, tmp_path / 'runs', how, 20)
    assert figures['kills'] >= 3
    wrong = ['torn', 'lost', 'silent', 'failed', 'left'] + ['tracebacks'] * (how != 'memory')
    assert [figures[key] for key in wrong] == [0] * len(wrong), figures


def stopping_config(tmp_path, kind, number, place, workers=0):
    """A config of a run that gets a signal at a certain place, with all processes of its group."""
    config = tmp_path / f'{kind}.py'
    text = CONFIGS[kind].replace('num_workers=0', f'num_workers={workers}')
    hook = dict(type='SignalHook', number=int(number), place=place)
    config.write_text(text + f'\ncustom_hooks = [{hook}]\n')
    return config


def start(config, work_dir, *options):
    code = 'from mmscale.cli.train import main; main()'
    command = [sys.executable, '-W', 'ignore', '-c', code, config, '--work-dir', work_dir]
    return subprocess.run(
        [*map(str, command), '--resume', '--cfg-options', 'randomness.seed=3', *options],
        env=environment(),
        capture_output=True,
        text=True,
        start_new_session=True,
    )


@pytest.mark.parametrize(
    ('kind', 'number', 'place', 'workers', 'saved'),
    [
        ('epochs', signal.SIGTERM, 'train', 1, 'iter_7.pth'),
        ('iterations', signal.SIGINT, 'train', 1, 'iter_7.pth'),
        ('epochs', signal.SIGTERM, 'val', 0, 'epoch_2.pth'),
        ('epochs', signal.SIGTERM, 'metrics', 1, 'epoch_2.pth'),
    ],
)
def test_a_stopped_run_says_where_it_is_saved(kind, number, place, workers, saved, tmp_path):
    config, run = stopping_config(tmp_path, kind, number, place, workers), tmp_path / 'run'
    done = start(config, run)
    assert done.returncode == 128 + number, done.stderr[-2000:]
    assert 'Traceback' not in done.stderr
    assert f'{number.name}: the run has stopped after iteration' in done.stdout + done.stderr
    assert f'is saved in {run / saved}' in done.stdout + done.stderr
    assert (run / saved).is_file()
    done = start(config, run, 'custom_hooks=[]')
    assert done.returncode == 0, done.stderr[-2000:]
    assert not (run / 'iter_7.pth').exists()  # it went with the next regular checkpoint
