"""What the transcripts of this folder share: a command is run, and shown as a user sees it."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

MOST = 40  # lines of a command's output that are shown
LONGEST = 150  # characters of a line


def run(command: str, folder: Path, programs: Path) -> dict:
    """Run a line of the page in the folder, as a user of the environment's programs would."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(('PYTHON', 'COCO'))}
    environment['PATH'] = f'{programs}:{environment["PATH"]}'
    print(f'$ {command}', flush=True)
    start = time.perf_counter()
    done = subprocess.run(
        command, shell=True, cwd=folder, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    seconds = time.perf_counter() - start
    print(f'{done.stdout}({seconds:.0f} s)', flush=True)
    if done.returncode:
        sys.exit(f'`{command}` ended with status {done.returncode}')
    return dict(command=command, output=done.stdout, seconds=seconds)


def written(step: dict, folder: Path) -> str:
    """A command on the page, without the machine's folders, its output cut in the middle."""
    output = re.sub(r'\S*/site-packages/', '', step['output'].replace(f'{folder}/', ''))
    output = re.sub(r'WARNING: .*file:///.*', 'WARNING: ...', output)  # pip's, of a nearby index
    lines = re.sub(r'\x1b\[[0-9;]*m', '', output).splitlines()
    lines = [line.rpartition('\r')[2] for line in lines]
    if len(lines) > MOST:
        left = len(lines) - MOST
        lines = [*lines[: MOST // 2], f'... ({left} lines)', *lines[-MOST // 2 :]]
    shown = [line if len(line) <= LONGEST else f'{_words(line)} ...' for line in lines]
    text = '\n'.join([f'$ {step["command"]}', *shown])
    return f'```\n{text}\n```\n\n{step["seconds"]:.0f} s\n'


def _words(line):
    """The beginning of a line that is too long, up to a whole word."""
    return line[: LONGEST - 4].rpartition(' ')[0]


def machine() -> str:
    """The cores that were used."""
    cores = os.cpu_count()
    return f'{os.environ.get("OMP_NUM_THREADS", cores)} threads of {cores} cores'
