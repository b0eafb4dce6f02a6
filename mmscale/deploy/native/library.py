"""The C++ beside this file, compiled for the processor that it runs on.

A C++ compiler builds it the first time, in some seconds. The library stays in
``$XDG_CACHE_HOME/mmscale`` (``~/.cache/mmscale``), under a name of its own for each version of the
files, compiler and processor.
"""

import ctypes
import functools
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
from pathlib import Path

from mmscale.errors import UserError
from mmscale.utils.files import writing, written_aside

FOLDER = Path(__file__).parent
FILES, HEADER = sorted(FOLDER.glob('*.cpp')), FOLDER / 'vectors.h'
# Neither errno nor traps: a minimum is one instruction then. NaN and infinity are kept.
FLAGS = [
    '-std=c++17', '-O3', '-fno-math-errno', '-fno-trapping-math', '-fopenmp', '-shared', '-fPIC'
]  # fmt: skip
NATIVE = {'x86_64': '-march=native', 'aarch64': '-mcpu=native'}
INSTALL = 'on Debian and Ubuntu: apt install g++. CXX names another compiler'


@functools.cache
def library() -> ctypes.CDLL:
    """The functions of C++ in this folder; compiled if they are not there yet.

    Raises:
        UserError: If there is no compiler, it refuses the files, or the library cannot be written.
    """
    command = _command()
    path = _cache() / f'native-{_digest(command)}.so'
    if not path.is_file():
        with written_aside(path) as temporary:
            done = _run([*command, '-o', str(temporary), *map(str, FILES)])
            if done.returncode:
                errors = [line for line in done.stderr.splitlines() if 'error' in line]
                raise UserError(
                    f'{shlex.join(command)} does not compile the C++ of mmscale.deploy.native: '
                    f'{(errors or done.stderr.splitlines() or ["no message"])[0]}. It was tried '
                    f'with GCC 12 on Linux; {INSTALL}'
                )
    try:
        found = ctypes.CDLL(str(path))
        for function in (found.lanes, found.bottleneck_scratch, found.probe):
            function.restype = ctypes.c_long
    except (OSError, AttributeError) as error:
        path.unlink(missing_ok=True)
        raise UserError(
            f'{str(path)!r} could not be loaded and is removed: {error}. Try again; if its folder '
            'may hold no programs (noexec), XDG_CACHE_HOME names another'
        ) from error
    return found


def _cache():
    """The folder of the libraries, made if it is missing."""
    root = os.environ.get('XDG_CACHE_HOME')
    try:
        folder = Path(root or Path.home() / '.cache', 'mmscale')
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
    except (RuntimeError, FileExistsError) as error:  # no home; something else of that name
        raise UserError(
            f'the compiled C++ cannot be kept: {error}. XDG_CACHE_HOME names another folder'
        ) from error
    return folder


def _command():
    """The compiler, with what it is told."""
    given = os.environ.get('CXX', '')
    try:
        named = shlex.split(given)
    except ValueError as error:
        raise UserError(f'CXX={given!r} is no command: {error}') from error
    usual = [name for name in ('c++', 'g++', 'clang++') if shutil.which(name)]
    compiler = named or usual[:1]
    if not compiler or not shutil.which(compiler[0]):
        missing = f'the compiler {compiler[0]!r} is missing' if compiler else 'there is no compiler'
        raise UserError(f'there is C++ to be compiled, but {missing}; {INSTALL}')
    own = NATIVE.get(platform.machine())
    return [*compiler, *FLAGS, *([own] if own else [])]


def _run(command):
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _digest(command):
    """A name for what comes out of the compiler."""
    version = _run([command[0], '--version']).stdout
    listed = Path('/proc/cpuinfo')
    lines = listed.read_text(encoding='utf-8').splitlines() if listed.is_file() else []
    processor = next((line for line in lines if line.lower().startswith(('flags', 'features'))), '')
    sources = (path.read_text(encoding='utf-8') for path in (*FILES, HEADER))
    parts = (*sources, *command, version, platform.machine(), processor)
    return hashlib.sha256('\0'.join(parts).encode()).hexdigest()[:16]
