"""Tries mmscale with other versions of what it stands on, and writes docs/versions.md.

    python .ci/versions.py                  # from versions.json, which lies beside this file
    python .ci/versions.py --try [CELL ...] # first try the cells that it lacks, or these anew

A cell is a new environment, removed afterwards: the last commit by pip with one extra and the
cell's versions (the newest of everything else), then COMMANDS in it. Needs pythonX.Y in the PATH,
a package index and 10 GB; a cell takes some minutes.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / '.ci/versions.json'
PAGE = ROOT / 'docs/versions.md'


class Cell(NamedTuple):
    """One environment."""

    python: str
    family: str  # the extra
    versions: str = ''  # requirements; what is not named is the newest
    beyond: str = ''  # requirements outside setup.py's bounds, installed over the others


TORCH_2_6 = 'torch==2.6.0 torchvision==0.21.0'
TORCH_2_11 = 'torch==2.11.0 torchvision==0.26.0'
CELLS = {
    '310-upstream-oldest': Cell(
        '3.10',
        'openmmlab',
        'torch==2.1.2 torchvision==0.16.2 numpy==1.26.4 opencv-python==4.8.1.78 '
        'huggingface_hub==0.26.0 pycocotools==2.0.7 mmdet==3.3.0 mmengine==0.10.7 '
        'mmpretrain==1.2.0',
    ),
    '310-onedl-oldest': Cell(
        '3.10',
        'onedl',
        'torch==2.3.1 torchvision==0.18.1 numpy==1.26.4 huggingface_hub==0.26.0 '
        'opencv-python==4.9.0.80',
    ),
    '310-onedl-2.1': Cell('3.10', 'onedl', 'torch==2.1.2 torchvision==0.16.2'),
    '310-torch-2.0': Cell('3.10', 'onedl', 'torch==2.0.1'),
    '311-upstream-2.6': Cell('3.11', 'openmmlab', f'{TORCH_2_6} pycocotools==2.0.8'),
    '311-onedl-2.6': Cell('3.11', 'onedl', f'{TORCH_2_6} opencv-python==4.12.0.88'),
    '311-onedl-2.11': Cell('3.11', 'onedl', f'{TORCH_2_11} numpy==1.26.4 pycocotools==2.0.9'),
    '311-upstream-opencv-5': Cell('3.11', 'openmmlab', f'{TORCH_2_11} opencv-python==5.0.0.93'),
    '312-onedl-2.11': Cell(
        '3.12', 'onedl', f'{TORCH_2_11} opencv-python==5.0.0.93 huggingface_hub==0.26.0'
    ),
    '312-upstream-newest': Cell('3.12', 'openmmlab', 'pycocotools==2.0.10'),
    '312-upstream-numpy-2': Cell('3.12', 'openmmlab', beyond='numpy opencv-python'),
    '312-hub-0.25': Cell('3.12', 'onedl', 'huggingface_hub==0.25.2'),
    '313-onedl-newest': Cell('3.13', 'onedl'),
    '313-upstream-newest': Cell('3.13', 'openmmlab'),
    '314-onedl-newest': Cell('3.14', 'onedl'),
    '314-upstream-newest': Cell('3.14', 'openmmlab'),
}

GOLDENS = (
    '(rexnet_0.9_224x224 or rexnet_lite_1.0_224x224 or scalenet50_light_224x224) and float32 '
    'or references and (san_resnet18] or san_mobilenetv2])'
)
SHAPES = '--train 6 --val 2 --train-crops 8 --val-crops 8'
SHORT = (
    'model.backbone.init_cfg=None train_cfg.max_epochs=1 train_cfg.val_interval=1 '
    'default_hooks.checkpoint.interval=1'
)
PREDICT = """
import sys, mmscale
first, = mmscale.load(sys.argv[1]).predict(sys.argv[2], threshold=0.0)[:1]
assert len(first), 'nothing was found'
"""
# What is done in a cell's environment, in its folder, by what it is.
COMMANDS = {
    "the backbones beside their authors' outputs": [
        'pytest', '-q', '-p', 'no:cacheprovider', '--rootdir', str(ROOT),
        str(ROOT / 'tests/models/test_goldens.py'), str(ROOT / 'tests/models/test_san.py'),
        '-k', GOLDENS,
    ],
    "mmdet's RetinaNet adapted": [
        'mmscale', 'adapt', 'mmdet::retinanet/retinanet_r50_fpn_1x_coco', '--backbone', 'ReXNet',
        '-o', 'retinanet.py',
    ],
    '`make-shapes`': ['mmscale', 'make-shapes', 'shapes', *SHAPES.split()],
    '`new`': ['mmscale', 'new', 'shapes', '-o', 'mine.py'],
    '`train`': ['mmscale', 'train', 'mine.py', '--cfg-options', *SHORT.split()],
    '`test`': ['mmscale', 'test', 'mine.py', 'work_dirs/mine/epoch_1.pth'],
    '`infer`': ['mmscale', 'infer', 'work_dirs/mine', 'shapes/val', '--out', 'out'],
    '`load(...).predict(...)`': ['python', '-c', PREDICT, 'work_dirs/mine', 'shapes/val'],
}  # fmt: skip
# Whose installed versions a row keeps; the first six have columns on the page.
SHOWN = ('torch', 'torchvision', 'numpy', 'opencv-python', 'huggingface_hub', 'pycocotools')
KEPT = (
    *SHOWN, 'mmcv-lite', 'mmdet', 'mmengine', 'mmpretrain', 'onedl-mmcv', 'onedl-mmdetection',
    'onedl-mmengine', 'onedl-mmpretrain', 'pillow', 'scipy', 'setuptools',
)  # fmt: skip
# What cannot be made in minutes, or without a compiler.
WHEELS = ('--only-binary', 'numpy,opencv-python,pillow,pycocotools,scipy,torch,torchvision')
LIST = f"""
import json
from importlib.metadata import PackageNotFoundError, version
found = {{}}
for name in {KEPT}:
    try:
        found[name] = version(name)
    except PackageNotFoundError:
        pass
print(json.dumps(found))
"""


class Ended(Exception):
    """A cell does not work; the text says why, in a line."""


# Trying


def run(folder: Path, *command: str) -> subprocess.CompletedProcess:
    """A command in a cell's folder, with its environment's programs and nothing of the checkout."""
    environment = {key: value for key, value in os.environ.items() if key != 'PYTHONPATH'}
    environment['PATH'] = f'{folder / "env/bin"}:{environment["PATH"]}'
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
    )


def install(cell: Cell, folder: Path) -> None:
    """Make the environment `env` of a cell.

    Raises:
        Ended: If there is no such Python, or pip refuses.
    """
    python = shutil.which(f'python{cell.python}')
    if not python:
        raise Ended(f'not tried: there was no Python {cell.python}')
    run(folder, python, '-m', 'venv', 'env')
    source = folder / 'mmscale.tar.gz'
    archive = ('git', 'archive', '--prefix=mmscale/', f'--output={source}', 'HEAD')
    subprocess.run(archive, cwd=ROOT, check=True)
    steps = [
        ['--upgrade', 'pip'],
        [f'mmscale[{cell.family}] @ {source.as_uri()}', 'pytest', *cell.versions.split()],
    ]
    if cell.beyond:
        steps.append(['--no-deps', '--upgrade', *cell.beyond.split()])
    for requirements in steps:
        done = run(folder, 'python', '-m', 'pip', 'install', *WHEELS, *requirements)
        if done.returncode:
            print(done.stdout)
            raise Ended(f'pip refuses: {refusal(done.stdout)}')


def refusal(output: str) -> str:
    """Why pip did not install, in a line."""
    cause = output.partition('The conflict is caused by:\n')[2].partition('\n\n')[0]
    if cause:
        noise = r' @ \S+|\[\w+\]|; (extra|python_version) .*'
        lines = dict.fromkeys(re.sub(noise, '', line).strip() for line in cause.splitlines())
        return '; '.join(lines).replace('The user requested', 'asked for')
    errors = [line for line in output.splitlines() if line.lower().startswith('error: ')]
    return re.sub(r' \(from versions:.*?\)', '', errors[-1][7:]) if errors else last(output)


def last(output: str) -> str:
    """The last line of a command's output that says something."""
    return next((line.strip() for line in reversed(output.splitlines()) if line.strip()), '')


def check(folder: Path) -> int:
    """Run COMMANDS in a cell.

    Returns:
        int: Seconds that it took.

    Raises:
        Ended: If one fails.
    """
    start = time.time()
    for what, command in COMMANDS.items():
        done = run(folder, *command)
        if done.returncode:
            print(done.stdout)
            word = 'fails' if 'Traceback' in done.stdout or 'pytest' in command else 'refused'
            raise Ended(f'{what}: {word}: {last(done.stdout)}')
    return round(time.time() - start)


def attempt(cell: Cell, folder: Path) -> dict:
    """The row of a cell: the date, versions, the result, seconds of COMMANDS if they all worked."""
    row: dict = {'date': f'{date.today():%Y-%m-%d}', 'versions': {}}
    try:
        install(cell, folder)
        row['versions'] = json.loads(run(folder, 'python', '-c', LIST).stdout)
        row['python'] = run(folder, 'python', '-V').stdout.split()[1]
        row['seconds'] = check(folder)
        row['result'] = 'works'
    except Ended as error:
        row['result'] = str(error)
    return row


def results() -> dict[str, dict]:
    """The rows so far."""
    return json.loads(RESULTS.read_text(encoding='utf-8')) if RESULTS.exists() else {}


def try_cells(names: list[str]) -> None:
    """Try cells, and keep each row as soon as it is there."""
    for name in names or [name for name in CELLS if name not in results()]:
        print(f'{name}: {CELLS[name]}', flush=True)
        with tempfile.TemporaryDirectory() as folder:
            row = attempt(CELLS[name], Path(folder))
        found = {**results(), name: row}
        ordered = {name: found[name] for name in CELLS if name in found}
        RESULTS.write_text(json.dumps(ordered, indent=1) + '\n', encoding='utf-8')
        print(f'  {row["result"]}', flush=True)


# The page

TITLES = ('Python', 'family', *SHOWN[:2], 'NumPy', 'OpenCV', *SHOWN[4:], 'result', 'date')
FAMILIES = {'onedl': 'onedl', 'openmmlab': 'upstream'}
HEADER = """# Versions that were tried

Each row is an empty environment on Linux, without a GPU and without a compiled mmcv: `pip install`
of this package with the extra `onedl` or `openmmlab` ("upstream") and the versions of the row, the
newest of everything else. Then in it: {commands}.

`python .ci/versions.py` writes this page, and with `--try` it tries. The bounds in `setup.py`
follow from it.
"""


def page() -> str:
    """The page, in Markdown."""
    lines = [HEADER.format(commands='; '.join(COMMANDS)), f'| {" | ".join(TITLES)} |']
    lines += ['|---' * len(TITLES) + '|']
    untried = dict(versions={}, result='not tried yet', date='')
    for name, cell in CELLS.items():
        lines.append(f'| {" | ".join(columns(cell, results().get(name, untried)))} |')
    return '\n'.join(lines) + '\n'


def columns(cell: Cell, row: dict) -> list[str]:
    """A row of the page: versions as installed, or as asked for where nothing was."""
    asked = dict(re.findall(r'(\S+)==(\S+)', cell.versions))
    versions = row['versions'] or asked
    result = row['result'].replace('|', '\\|')
    if 'seconds' in row:
        result += f' ({row["seconds"]} s)'
    return [
        row.get('python', cell.python),
        FAMILIES[cell.family],
        *(versions.get(name, '') for name in SHOWN),
        result,
        row['date'],
    ]


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('--try', nargs='*', choices=CELLS, dest='cells', metavar='CELL')
    args = parser.parse_args()
    if args.cells is not None:
        try_cells(args.cells)
    PAGE.write_text(page(), encoding='utf-8')


if __name__ == '__main__':
    main()
