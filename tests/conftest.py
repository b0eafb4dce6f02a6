import logging
import os
import runpy
import subprocess
import sys
from importlib import util
from pathlib import Path

import pytest
import torch
from mmengine.logging import MMLogger

import mmscale  # noqa: F401  (before mmcv.ops: operators stand in where none were compiled)

# Threads wait for each other by spinning: where the cores are busy, one is many times faster.
THREADS = 1 if 'PYTEST_XDIST_WORKER' in os.environ else 2
torch.set_num_threads(int(os.environ.get('OMP_NUM_THREADS', THREADS)))

ROOT = Path(__file__).parents[1]


def tool(name):
    """The `main` of a tool."""
    spec = util.spec_from_file_location(f'tool_{name}', ROOT / 'tools' / f'{name}.py')
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


def targets():
    """The names in the benchmark's targets, which are no part of the package."""
    return runpy.run_path(str(ROOT / 'docs/benchmarks/targets.py'))


@pytest.fixture
def log(monkeypatch):
    """The messages that mmengine's loggers were given during the test."""
    lines = []
    handle = MMLogger.handle

    def keep(self, record):
        if record.levelno >= logging.INFO:
            lines.append(record.getMessage())
        handle(self, record)

    monkeypatch.setattr(MMLogger, 'handle', keep)
    return lines


@pytest.fixture(scope='session')
def shapes(tmp_path_factory):
    """A very small shapes set, which SHAPES_ROOT points to from here on."""
    from mmscale.datasets.shapes import make_shapes

    root = tmp_path_factory.mktemp('data') / 'shapes'
    make_shapes(root, train=12, val=6, train_crops=32, val_crops=16)
    before = os.environ.get('SHAPES_ROOT')
    os.environ['SHAPES_ROOT'] = str(root)
    yield root
    os.environ.pop('SHAPES_ROOT')
    if before is not None:
        os.environ['SHAPES_ROOT'] = before


@pytest.fixture(scope='session')
def coco_root():
    """The folder of real COCO images; the test is skipped where there is none."""
    root = os.environ.get('COCO_ROOT')
    if not root:
        pytest.skip('COCO_ROOT is not set')
    return Path(root)


@pytest.fixture(scope='session')
def fresh_python():
    """Runs code in a new interpreter, at the root of the checkout, and returns what it prints."""

    def run(code, *arguments):
        result = subprocess.run(
            [sys.executable, '-W', 'ignore', '-c', code, *map(str, arguments)],
            cwd=ROOT,
            env={'OMP_NUM_THREADS': str(THREADS), **os.environ},
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, result.stderr
        return result.stdout

    return run
