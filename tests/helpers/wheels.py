"""The wheel, built from a copy, so that the checkout stays clean."""

import shutil
import subprocess
import sys

from commands import ROOT

FOLDERS = ('configs', 'structures', 'tools')
FILES = (
    'setup.py', 'pyproject.toml', 'README.md', 'LICENSE', 'CITATION.cff', 'model-index.yml'
)  # fmt: skip


def build_wheel(copy, cited=''):
    """The path of a wheel of the checkout, built in the folder `copy`.

    Args:
        copy (Path): An empty folder.
        cited (str): More lines of CITATION.cff.
    """
    for name in ('mmscale', *FOLDERS):
        shutil.copytree(ROOT / name, copy / name, symlinks=True)
    for name in FILES:
        shutil.copy(ROOT / name, copy)
    with open(copy / 'CITATION.cff', 'a') as citation:
        citation.write(cited)
    (copy / 'tools/__pycache__').mkdir(exist_ok=True)
    (copy / 'tools/__pycache__/stale.pyc').touch()
    options = ['--no-deps', '--no-build-isolation', '--no-index', '--wheel-dir', 'wheels']
    command = [sys.executable, '-m', 'pip', 'wheel', *options, '.']
    built = subprocess.run(command, cwd=copy, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    (path,) = copy.glob('wheels/*.whl')
    return path
