"""What the scripts over others' configs share: which there are, and a process for each."""

import os
import resource
import signal
import warnings
from importlib import import_module
from pathlib import Path

MEMORY = 16 << 30


def root(package='mmdet'):
    """The folder of a package's configs."""
    return Path(import_module(package).__file__).parent / '.mim/configs'


def configs():
    """One config of every folder, with its name: that of a ResNet-50 where there is one."""
    for folder in sorted(root().iterdir()):
        found = [path for path in folder.glob('*.py') if 'coco' in path.name] or [
            *folder.glob('*.py')
        ]
        if found and folder.name != '_base_':
            yield folder.name, min(found, key=lambda path: (*_heaviness(path), path.name))


def _heaviness(path):
    light = [word in path.name for word in ('r50', 'tiny', '-t', '_s_', 'r18')]
    return not any(light), 'ms-' in path.name or 'lsj' in path.name, len(path.name)


def forked(work, save, seconds):
    """Do some work as in :func:`started`, and wait.

    Returns:
        int: The signal that ended the child, or 0.
    """
    _, status = os.waitpid(started(work, save, seconds), 0)
    return status & 127


def started(work, save, seconds):
    """Begin some work in a process of its own, which is quiet, and may crash or hang.

    Args:
        work (Callable): Returns a dict; it is called in the child.
        save (Callable): Keeps that dict, or ``error=...`` of whatever ended the work.
        seconds (int): Until the child is ended.

    Returns:
        int: The child.
    """
    child = os.fork()
    if not child:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.RLIM_INFINITY))
        signal.alarm(seconds)
        warnings.simplefilter('ignore')
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(1, 2)
        try:
            save(**work())
        except BaseException as error:  # whatever a config of mmdet's ends with is a row
            save(error=in_a_line(error))
        os._exit(0)
    return child


def in_a_line(error):
    """The first line of an error that says something."""
    lines = [line for line in str(error).splitlines() if line.strip()] or ['']
    return f'{type(error).__name__}: {lines[0]}'
