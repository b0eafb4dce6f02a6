"""The command ``mmscale NAME ...``: the same code as ``python tools/NAME.py ...``."""

import ast
import difflib
import sys
from pathlib import Path

from mmscale.version import __version__

TOOLS = Path(__file__).parent / '.mim' / 'tools'


def tools():
    """Path of every tool, by the name it has on the command line."""
    paths = sorted(TOOLS.glob('[!_]*.py'))
    return {path.stem.replace('_', '-'): path for path in paths}


def main(argv=None):
    """Runs one tool, or lists them.

    Args:
        argv (list[str], optional): What follows ``mmscale``. Defaults to the command line's.

    Returns:
        int: The exit status.
    """
    argv = sys.argv[1:] if argv is None else argv
    if not argv or argv[0] in ('-h', '--help'):
        print(_help())
        return 0
    if argv[0] == '--version':
        print(f'mmscale {__version__}')
        return 0
    known = tools()
    name = argv[0].replace('_', '-')
    if name not in known:
        close = difflib.get_close_matches(name, known)
        hint = f'did you mean {" or ".join(close)}?' if close else 'see mmscale --help'
        print(f'mmscale: unknown command {argv[0]!r}; {hint}', file=sys.stderr)
        return 2
    path = str(known[name])
    # not by runpy, which would write the path over the name that --help shows
    sys.argv = [f'mmscale {name}', *argv[1:]]
    code = compile(known[name].read_text(encoding='utf-8'), path, 'exec')
    exec(code, {'__name__': '__main__', '__file__': path})
    return 0


def _help():
    lines = ['usage: mmscale COMMAND ...', '', 'commands (each has a --help):']
    for name, path in tools().items():
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding='utf-8'))) or ''
        lines.append(f'  {name:<18}{docstring.partition(chr(10))[0]}')
    return '\n'.join([*lines, '', 'options:', '  --version         print the version'])
