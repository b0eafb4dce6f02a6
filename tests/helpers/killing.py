"""Kills short runs again and again, resumes each to its end, and counts what was lost.

    python tests/helpers/killing.py CONFIG FOLDER HOW COUNT

HOW: 'events' kills at the n-th opening for writing, renaming, removing, truncating or half-written
file, for COUNT values of n over all of a run; 'moments' kills at COUNT random moments; 'SIGTERM'
and 'SIGINT' send that signal at random moments. Prints the figures as JSON. One process imports
everything and is forked for each run, which takes a fraction of a second then.
"""

import functools
import json
import os
import random
import shutil
import signal
import sys
import time
from importlib import import_module
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.runner import runner as mmengine_runner

from mmscale.engine.config import load_config
from mmscale.engine.resuming import newest_checkpoint
from mmscale.engine.training import train

EVENTS = ('os.rename', 'os.remove', 'os.truncate', 'os.mkdir')
write_bytes = Path.write_bytes


def fork(run, before=None):
    """Call `run` in a process of its own."""
    process = os.fork()
    if process:
        return process
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    if before:
        before()
    status = 1
    try:
        run()
        status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    finally:
        os._exit(status)


def counting(folder, kill_at=None, report=None):
    """Have this process count what it does to the folder, and kill itself at the n-th event."""
    seen = 0

    def happened():
        nonlocal seen
        seen += 1
        if report:
            os.write(report, b'.')
        if seen == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def audit(event, arguments):
        write = event == 'open' and isinstance(arguments[2], int) and arguments[2] & os.O_ACCMODE
        if (write or event in EVENTS) and str(arguments[0]).startswith(str(folder)):
            happened()

    def half(path, data):
        with open(path, 'wb') as file:
            file.write(data[: len(data) // 2])
            file.flush()
            happened()
            file.write(data[len(data) // 2 :])

    Path.write_bytes = half
    sys.addaudithook(audit)


def ended(process):
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def events_of(run, folder):
    """How many events in a folder a whole run has."""
    reader, writer = os.pipe()
    assert ended(fork(run, before=lambda: counting(folder, report=writer))) == 0
    os.close(writer)
    return len(os.read(reader, 1 << 16))


def training(config, work_dir):
    """A run to be forked."""
    return functools.partial(train, config, work_dir=work_dir, resume='auto')


def weights(folder):
    content = torch.load(newest_checkpoint(folder), weights_only=False)
    averaged = content.get('ema_state_dict', {})
    return content['meta']['iter'], {**content['state_dict'], **averaged}


def main(config, folder, how, count):
    folder, count = Path(folder), int(count)
    mmengine_runner.collect_env = dict  # asks compilers for their versions, for seconds
    Config.pretty_text = property(lambda cfg: str(cfg._cfg_dict))  # of which yapf takes seconds
    cfg, config = load_config(config), folder / 'config.py'
    folder.mkdir(parents=True)
    config.write_text('\n'.join(f'{key} = {value!r}' for key, value in cfg.to_dict().items()))
    scope = cfg.get('default_scope')
    if scope != 'mmengine':
        import_module(f'{scope}.apis')
    rng = random.Random(0)
    start = time.monotonic()
    assert ended(fork(training(config, folder / 'whole'))) == 0
    duration = time.monotonic() - start
    last, expected = weights(folder / 'whole')
    total = events_of(training(config, folder / 'counted'), folder / 'counted')
    figures = dict(kills=0, lost=0, wrong=0, failed=0, left=0, outdated=0, events=total, stopped=0)
    for number in range(count):
        run = folder / f'{number}'
        if how == 'events':
            at = 1 + number * total // count
            before = functools.partial(counting, run, at)
            code = ended(fork(training(config, run), before))
        else:
            reader, writer = os.pipe()
            before = functools.partial(counting, run, report=writer)
            process = fork(training(config, run), before)
            os.close(writer)
            # By its progress, not by a clock alone: the machine may be busy.
            at = rng.randrange(total // 4, total)
            while at > 0 and (seen := os.read(reader, at)):
                at -= len(seen)
            time.sleep(rng.uniform(0, 2) * duration / total)
            os.kill(process, signal.SIGKILL if how == 'moments' else signal.Signals[how])
            code = ended(process)
            os.close(reader)
        if code == 0:
            shutil.rmtree(run)
            continue
        figures['kills'] += 1
        figures['stopped'] += code > 128
        noted = (run / 'last_checkpoint').exists()
        figures['lost'] += noted and newest_checkpoint(run) is None
        if ended(fork(training(config, run))):
            figures['failed'] += 1
            continue
        iteration, actual = weights(run)
        same = actual.keys() == expected.keys() and iteration == last
        figures['wrong'] += not same or not all(
            torch.equal(value, actual[name]) for name, value in expected.items()
        )
        names = sorted(path.name for path in run.iterdir())
        figures['left'] += any('.tmp' in name for name in names)
        # A whole checkpoint that is kept though it is outdated costs room, nothing else.
        figures['outdated'] += sum('.pth' in name for name in names) > 2
        shutil.rmtree(run)
    print(json.dumps(figures))


if __name__ == '__main__':
    main(*sys.argv[1:])
