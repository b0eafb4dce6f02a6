"""Kills short runs again and again, resumes each to its end, and counts what was lost.

    python tests/helpers/killing.py CONFIG FOLDER HOW COUNT

HOW: 'events' kills at the n-th opening for writing, renaming, removing, truncating or half-written
file, for COUNT values of n over all of a run; 'moments' kills at COUNT random moments; 'SIGTERM'
and 'SIGINT' send that signal at random moments. Instead of a kill, 'fails' has the n-th of these
events fail for want of space, 'full' it and all after it but removals, 'memory' for want of memory;
'allocations' has the n-th allocation of Python's fail. Prints the figures as JSON. One process
imports everything and is forked for each run, which takes a fraction of a second then.
"""

import errno
import functools
import json
import os
import random
import shutil
import signal
import sys
import time
import traceback
from importlib import import_module
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.runner import runner as mmengine_runner

from mmscale.engine.config import load_config
from mmscale.engine.resuming import newest_checkpoint
from mmscale.engine.training import train
from mmscale.errors import UserError

EVENTS = ('os.rename', 'os.remove', 'os.truncate', 'os.mkdir')
MOMENTS = ('moments', 'SIGTERM', 'SIGINT')
HANGS = 1800  # seconds after which a run is ended that should have taken a few
write_bytes = Path.write_bytes


def fork(run, before=None, log=os.devnull):
    """Call `run` in a process of its own, whose output goes to a file."""
    process = os.fork()
    if process:
        return process
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    signal.alarm(HANGS)
    status = 1
    try:
        if before:
            before()
        run()
        status = 0
    except UserError as error:
        print(f'error: {error}', file=sys.stderr)
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def kill(event, path):
    """Die at once."""
    os.kill(os.getpid(), signal.SIGKILL)


def refuse(event, path):
    """Have it fail for want of space."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)


def fill_up(event, path):
    """Have it fail as on a full disk, where files can still be removed."""
    if event != 'os.remove':
        refuse(event, path)


def run_out(event, path):
    """Have it fail for want of memory."""
    raise MemoryError


def counting(folder, at=None, report=None, happens=kill, last=None):
    """Have this process count what it does to the folder, and something happen at the n-th event.

    Args:
        folder (Path): Whose events count, and that of what is in it.
        at (int, optional): The n-th.
        report (int, optional): A file descriptor that gets a dot for each event.
        happens (Callable): Gets the event's name and path.
        last (int, optional): The last event at which it happens too. Default: the n-th.
    """
    seen = 0

    def happened(event, path):
        nonlocal seen
        seen += 1
        if report:
            os.write(report, b'.')
        if at is not None and at <= seen <= (last or at):
            happens(event, path)

    def audit(event, arguments):
        write = event == 'open' and isinstance(arguments[2], int) and arguments[2] & os.O_ACCMODE
        if (write or event in EVENTS) and str(arguments[0]).startswith(str(folder)):
            happened(event, str(arguments[0]))

    def half(path, data):
        with open(path, 'wb') as file:
            file.write(data[: len(data) // 2])
            file.flush()
            happened('write', str(path))
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


def allocations_of(run, folder):
    """How many allocations of Python's a run has, to a power of two."""
    number = 1 << 10
    while ended(fork(functools.partial(run, folder / f'{number}'), starved(number))):
        number *= 2
        assert number < 1 << 31, 'it fails by itself'
    return number


def starved(at):
    """What has a process's n-th allocation fail."""
    import _testcapi  # which some builds of CPython are without

    return functools.partial(_testcapi.set_nomemory, at, at + 1)


def spoiler(how, folder, at):
    """What is to be called before a run for something to happen at its n-th event."""
    if how == 'allocations':
        return starved(at)
    happens = {'fails': refuse, 'full': fill_up, 'memory': run_out}.get(how, kill)
    last = sys.maxsize if how == 'full' else None
    return functools.partial(counting, folder, at, happens=happens, last=last)


def training(config, work_dir):
    """A run to be forked."""
    return functools.partial(train, config, work_dir=work_dir, resume='auto')


def weights(folder):
    content = torch.load(newest_checkpoint(folder), weights_only=False)
    averaged = content.get('ema_state_dict', {})
    return content['meta']['iter'], {**content['state_dict'], **averaged}


def stop(run, folder, how, total, duration, rng):
    """Run it until a signal comes at a random moment; its exit code."""
    reader, writer = os.pipe()
    process = fork(run, functools.partial(counting, folder, report=writer))
    os.close(writer)
    # By its progress, not by a clock alone: the machine may be busy.
    at = rng.randrange(total // 4, total)
    while at > 0 and (seen := os.read(reader, at)):
        at -= len(seen)
    time.sleep(rng.uniform(0, 2) * duration / total)
    os.kill(process, signal.SIGKILL if how == 'moments' else signal.Signals[how])
    code = ended(process)
    os.close(reader)
    return code


def main(config, folder, how, count):
    folder, count = Path(folder), int(count)
    mmengine_runner.collect_env = dict  # asks compilers for their versions, for seconds
    Config.pretty_text = property(lambda cfg: str(cfg._cfg_dict))  # of which yapf takes seconds
    cfg, config = load_config(config), folder / 'config.py'
    folder.mkdir(parents=True)
    config.write_text('\n'.join(f'{key} = {value!r}' for key, value in cfg.to_dict().items()))
    scope = cfg.get('default_scope')
    # What each run would import.
    for name in ('matplotlib.backends.backend_agg', f'{scope}.apis')[: 1 + (scope != 'mmengine')]:
        import_module(name)
    rng = random.Random(0)
    start = time.monotonic()
    assert ended(fork(training(config, folder / 'whole'))) == 0
    duration = time.monotonic() - start
    last, expected = weights(folder / 'whole')
    if how == 'allocations':
        total = allocations_of(lambda work_dir: training(config, work_dir)(), folder)
    else:
        total = events_of(training(config, folder / 'counted'), folder / 'counted')

    def is_right(run):
        iteration, actual = weights(run)
        return (
            (iteration, actual.keys()) == (last, expected.keys())
            and all(torch.equal(value, actual[name]) for name, value in expected.items())
            and not any('.tmp' in path.name for path in run.iterdir())
        )

    figures = dict(events=total, kills=0, stopped=0, lost=0, wrong=0, failed=0, silent=0, hung=0)
    figures |= dict(left=0, outdated=0, tracebacks=0)
    for number in range(count):
        run, log = folder / f'{number}', folder / f'{number}.log'
        if how in MOMENTS:
            code = stop(training(config, run), run, how, total, duration, rng)
        else:
            at = 1 + number * total // count
            code = ended(fork(training(config, run), spoiler(how, run, at), log))
            figures['tracebacks'] += 'Traceback' in log.read_text(errors='replace')
        if code == 0:
            figures['silent'] += not is_right(run)
            shutil.rmtree(run)
            continue
        figures['kills'] += 1
        figures['stopped'] += code > 128
        figures['hung'] += code == -signal.SIGALRM
        noted = (run / 'last_checkpoint').exists()
        figures['lost'] += noted and newest_checkpoint(run) is None
        if ended(fork(training(config, run))):
            figures['failed'] += 1
            continue
        names = sorted(path.name for path in run.iterdir())
        figures['left'] += any('.tmp' in name for name in names)
        figures['wrong'] += not is_right(run)
        # A whole checkpoint that is kept though it is outdated costs room, nothing else.
        figures['outdated'] += sum('.pth' in name for name in names) > 2
        shutil.rmtree(run)
    print(json.dumps(figures))


if __name__ == '__main__':
    main(*sys.argv[1:])
