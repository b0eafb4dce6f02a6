"""The command ``mmscale NAME ...``: the same code as ``python tools/NAME.py ...``."""

import argparse
import ast
import contextlib
import difflib
import json
import os
import sys
import time
from pathlib import Path

from mmscale.errors import UserError
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


@contextlib.contextmanager
def one_line_errors():
    """Ends the program with one line where a UserError would end it with a traceback."""
    try:
        yield
    except UserError as error:
        _tell_launcher(f'error: {error}')
        sys.exit(f'error: {error}')


def _tell_launcher(line):
    """Have torch's launcher end its own report, below which an error disappears, with the line."""
    # torch's ErrorHandler would write the whole traceback.
    file = os.environ.get('TORCHELASTIC_ERROR_FILE')
    if file:
        extra = {'timestamp': str(int(time.time()))}
        message = {'message': {'message': line, 'extraInfo': extra}}
        Path(file).write_text(json.dumps(message), encoding='utf-8')


def config_parser(description):
    """The arguments of every tool that reads a config, by the names of the library's parameters."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('config', help='path of a config, or the bare name of one of mmscale')
    add_loading_options(parser)
    return parser


def add_loading_options(parser):
    """What goes with every config and its checkpoint."""
    from mmengine.config import DictAction

    parser.add_argument(
        '--trust-checkpoint',
        action='store_true',
        help='load a checkpoint that may run code, if you trust where it comes from',
    )
    parser.add_argument(
        '--cfg-options',
        dest='overrides',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help="override settings: model.backbone.width_mult=1.3 train_cfg.max_epochs=24 'x=[1,2]'",
    )


def run_parser(description):
    """The arguments of every run of a config."""
    parser = config_parser(description)
    parser.add_argument('--work-dir', help='where logs and checkpoints go (work_dirs/CONFIG)')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)
    return parser


def run_options(parser, argv):
    """The parsed arguments as keywords; the launcher's rank goes to the environment."""
    options = vars(parser.parse_args(argv))
    os.environ.setdefault('LOCAL_RANK', str(options.pop('local_rank')))
    return options


def _help():
    lines = ['usage: mmscale COMMAND ...', '', 'commands (each has a --help):']
    for name, path in tools().items():
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding='utf-8'))) or ''
        lines.append(f'  {name:<18}{docstring.partition(chr(10))[0]}')
    return '\n'.join([*lines, '', 'options:', '  --version         print the version'])
