"""Runs that are killed or told to stop, at any moment, go on as if they had not been."""

import json
import os
import signal
import subprocess
import sys

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


def environment():
    path = f'{ROOT / "tests/helpers"}:{os.environ.get("PYTHONPATH", "")}'
    return {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': path}


def figures_of(tmp_path, kind, how, count):
    config = tmp_path / 'config.py'
    config.write_text(CONFIGS[kind])
    command = [
        sys.executable,
        str(ROOT / 'tests/helpers/killing.py'),
        config,
        tmp_path / 'runs',
        how,
    ]
    done = subprocess.run(
        [*map(str, command), str(count)], env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def assert_nothing_is_lost(figures):
    wrong = {key: figures[key] for key in ('lost', 'wrong', 'failed', 'left')}
    assert wrong == dict(lost=0, wrong=0, failed=0, left=0), figures


@pytest.mark.parametrize(
    ('kind', 'how'), [('epochs', 'events'), ('iterations', 'events'), ('iterations', 'SIGTERM')]
)
def test_a_few_kills(kind, how, tmp_path):
    figures = figures_of(tmp_path, kind, how, 6)
    assert figures['events'] > 40
    assert figures['kills'] >= 4
    assert_nothing_is_lost(figures)


@pytest.mark.slow
@pytest.mark.parametrize('kind', ['epochs', 'iterations'])
@pytest.mark.parametrize('how', HOW)
def test_many_kills(kind, how, tmp_path):
    figures = figures_of(tmp_path, kind, how, 110)
    print(kind, how, figures)
    assert_nothing_is_lost(figures)


@pytest.mark.slow
@pytest.mark.parametrize('kind', ['detector', 'classifier'])
@pytest.mark.parametrize('how', HOW)
def test_real_networks_end_bit_for_bit(shapes, kind, how, tmp_path):
    figures = figures_of(tmp_path, kind, how, 8)
    print(kind, how, figures)
    assert figures['kills'] >= 3
    assert_nothing_is_lost(figures)


@pytest.mark.slow
@pytest.mark.parametrize('tool', ['convert', 'allocate', 'plot', 'shapes', 'export'])
def test_tools_are_killed_at_their_writes(tool, tmp_path):
    command = [sys.executable, ROOT / 'tests/helpers/killing_tools.py', tool, tmp_path / 'runs']
    done = subprocess.run(
        [*map(str, command), '20'], env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    figures = json.loads(done.stdout.splitlines()[-1])
    print(tool, figures)
    assert figures['kills'] >= 3
    assert (figures['torn'], figures['failed'], figures['left']) == (0, 0, 0)


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
