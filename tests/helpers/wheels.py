"""The wheel, built from a copy, so that the checkout stays clean."""

import shutil
import subprocess
import sys

from commands import ROOT

FOLDERS = ('configs', 'structures', 'tools')


def build_wheel(copy):
    """The path of a wheel of the checkout, built in the folder `copy`."""
    for name in ('mmscale', *FOLDERS):
        shutil.copytree(ROOT / name, copy / name, symlinks=True)
    for name in ('setup.py', 'pyproject.toml', 'README.md', 'LICENSE', 'model-index.yml'):
        shutil.copy(ROOT / name, copy)
    (copy / 'tools/__pycache__').mkdir(exist_ok=True)
    (copy / 'tools/__pycache__/stale.pyc').touch()
    options = ['--no-deps', '--no-build-isolation', '--no-index', '--wheel-dir', 'wheels']
    command = [sys.executable, '-m', 'pip', 'wheel', *options, '.']
    built = subprocess.run(command, cwd=copy, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    (path,) = copy.glob('wheels/*.whl')
    return path
