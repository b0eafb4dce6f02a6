"""One run in a folder, and one line where it cannot be written."""

import os
import signal
import subprocess
import sys

import pytest
import toy_runs
from commands import ROOT

from mmscale.engine import work_dirs
from mmscale.engine.training import train
from mmscale.engine.work_dirs import LOCK, held
from mmscale.errors import UserError
from mmscale.utils.locks import Unsupported

HOLD = """
import sys, time
from mmscale.engine.work_dirs import held
import os
with held(sys.argv[1]):
    child = os.fork()
    if not child:
        time.sleep(60)
    print(child, flush=True)
    time.sleep(60)
"""


def holder(folder):
    """A process that holds the folder, and the number of its own child."""
    process = subprocess.Popen(
        [sys.executable, '-W', 'ignore', '-c', HOLD, str(folder)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    return process, int(process.stdout.readline())


def test_a_second_run_is_refused_while_the_first_lives(tmp_path):
    config = tmp_path / 'toy.py'
    config.write_text(toy_runs.BY_EPOCH)
    process, child = holder(tmp_path / 'run')
    try:
        before = sorted(os.listdir(tmp_path / 'run'))
        with pytest.raises(UserError, match=f'in use by process {process.pid} on .*--work-dir'):
            train(config, work_dir=tmp_path / 'run')
        assert sorted(os.listdir(tmp_path / 'run')) == before
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    with held(tmp_path / 'run'):  # though its child lives
        os.kill(child, 0)
    os.kill(child, signal.SIGKILL)


def test_a_name_that_is_no_utf_8_is_refused(tmp_path):
    held_one = held(tmp_path / 'a\udcff')
    with pytest.raises(UserError, match=r"udcff' is not UTF-8: give another --work-dir"), held_one:
        pass
    assert not list(tmp_path.iterdir())


def test_other_processes_of_a_run_do_not_hold(tmp_path, monkeypatch):
    monkeypatch.setenv('RANK', '1')
    with held(tmp_path / 'run', 'pytorch'):
        assert not (tmp_path / 'run').exists()


def test_a_file_system_without_locks_is_said(tmp_path, monkeypatch, log):
    def refuse(path):
        raise Unsupported(95, 'Operation not supported')

    monkeypatch.setattr(work_dirs, 'process_lock', refuse)
    with held(tmp_path / 'run'):
        pass
    assert any('has no locks (Operation not supported)' in line for line in log)


def test_left_overs_of_killed_runs_are_swept_and_nothing_else(tmp_path, log):
    kept = ['epoch_1.pth', 'notes.tmp.pth', 'a.0123abcd.tmp.bak.pth', 'x.0123abcd.pth', 'log.txt']
    for name in [*kept, 'epoch_2.0123abcd.tmp.pth', 'iter_9.89abcdef.tmp']:
        (tmp_path / name).write_text('x')
    (tmp_path / 'pictures.0123abcd.tmp').mkdir()
    (tmp_path / 'pictures.0123abcd.tmp/file').write_text('x')
    with held(tmp_path):
        pass
    assert sorted(os.listdir(tmp_path)) == sorted([*kept, LOCK])
    assert sum('left by a run that was killed' in line for line in log) == 3


@pytest.mark.parametrize('kind', ['file', 'long', 'below a file'])
def test_a_folder_that_cannot_be_made_is_one_line(kind, tmp_path):
    (tmp_path / 'file').write_text('')
    folder = {'file': 'file', 'long': 'x' * 300, 'below a file': 'file/run'}[kind]
    with pytest.raises(UserError, match='cannot be written: .*; '), held(tmp_path / folder):
        pass


FULL = """
import resource, signal, sys
from mmscale.cli.train import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)),) * 2)
main()
"""


@pytest.mark.parametrize('limit', [1000, 3000, 8000])
def test_a_full_disk_is_one_line(limit, tmp_path):
    config = tmp_path / 'toy.py'
    config.write_text(toy_runs.BY_EPOCH)
    path = f'{ROOT}:{ROOT / "tests/helpers"}:{os.environ.get("PYTHONPATH", "")}'
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', FULL, str(limit), str(config)]
        + ['--work-dir', str(tmp_path / 'run')],
        env={**os.environ, 'PYTHONPATH': path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith('error: '), done.stderr[-2000:]
    assert str(tmp_path / 'run') in last
    assert 'File too large' in last
    assert 'Traceback' not in done.stderr
    assert done.stderr.count('the log goes on here') == (limit < 8000)
    assert not list((tmp_path / 'run').glob('*.pth'))
