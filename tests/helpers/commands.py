"""The checkout and its commands."""

import runpy
from importlib import util
from pathlib import Path

ROOT = Path(__file__).parents[2]


def tool(name):
    """The `main` of a tool."""
    spec = util.spec_from_file_location(f'tool_{name}', ROOT / 'tools' / f'{name}.py')
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


def targets():
    """The names in the benchmark's targets, which are no part of the package."""
    return runpy.run_path(str(ROOT / 'docs/benchmarks/targets.py'))
