"""What several commands share: arguments of configs and runs, and errors in one line."""

import argparse
import contextlib
import difflib
import io
import json
import os
import signal
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from mmengine.config import DictAction

from mmscale.cli import COMMANDS
from mmscale.cli.examples import EXAMPLES
from mmscale.errors import UserError, first_line
from mmscale.utils.files import writing
from mmscale.utils.logs import quiet_imports

INTERRUPTED = 128 + signal.SIGINT  # what a shell says of a program that the signal has ended


@contextlib.contextmanager
def one_line_errors() -> Iterator[None]:
    """Ends the program with one line for a UserError, a full disk or Ctrl-C, not a traceback."""
    try:
        with quiet_imports(), writing():
            yield
    except UserError as error:
        _tell_launcher(f'error: {error}')
        sys.exit(f'error: {error}')
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr)
        sys.exit(INTERRUPTED)


def _tell_launcher(line: str) -> None:
    """Have torch's launcher end its own report, below which an error disappears, with the line."""
    # torch's ErrorHandler would write the whole traceback.
    file = os.environ.get('TORCHELASTIC_ERROR_FILE')
    if file:
        extra = {'timestamp': str(int(time.time()))}
        message = {'message': {'message': line, 'extraInfo': extra}}
        Path(file).write_text(json.dumps(message), encoding='utf-8')


class CommandParser(argparse.ArgumentParser):
    """The arguments of a command: what it is for, examples, and the option that was meant.

    Args:
        name (str): Of `COMMANDS`.
        note (str): What follows the options in the help.
    """

    def __init__(self, name: str, note: str = '', **options: Any) -> None:
        super().__init__(
            description=COMMANDS[name],
            epilog=_epilog(note, EXAMPLES[name]),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            **options,
        )

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Also refuses empty and blank words: as a path, none is what anyone means."""
        _print_every_name()
        found, rest = super().parse_known_args(args, namespace)
        for action in self._actions:
            value = getattr(found, action.dest, None)
            words = value if isinstance(value, list) else [value]
            if value != action.default and any(str(word).strip() == '' for word in words):
                name = '/'.join(action.option_strings) or action.dest
                self.error(f'argument {name}: nothing is given, the word is empty')
        return found, rest

    def error(self, message: str) -> NoReturn:
        """Ends the program with the message, and with the options that were meant."""
        known = [option for action in self._actions for option in action.option_strings]
        unknown, _, words = message.partition(': ')
        if unknown == 'unrecognized arguments':
            for word in words.split():
                close = difflib.get_close_matches(word.partition('=')[0], known)
                if word.startswith('-') and close:
                    message += f'; did you mean {" or ".join(close)}?'
        super().error(message)


def _print_every_name():
    """Have names that the terminal's encoding lacks written out: no command ends for one."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors='backslashreplace')


def _epilog(note, examples):
    paragraphs = ['\n'.join(textwrap.wrap(note, 96))] if note else []
    return '\n\n'.join([*paragraphs, '\n'.join(['examples:', *(f'  {e}' for e in examples)])])


def config_parser(name: str, note: str = '') -> CommandParser:
    """The arguments of every command that reads a config, by the library's names of them."""
    parser = CommandParser(name, note)
    parser.add_argument(
        'config', help='path of a config, bare name of one of mmscale, or mmdet::FOLDER/NAME'
    )
    return parser


def checkpoint_parser(name: str) -> CommandParser:
    """The same, of a command that reads a checkpoint too."""
    parser = config_parser(name)
    add_loading_options(parser)
    return parser


def add_loading_options(parser: argparse.ArgumentParser) -> None:
    """What goes with every config and its checkpoint."""
    add_trust(parser, 'trust_checkpoint', 'a checkpoint')
    add_overrides(
        parser,
        "override settings: model.backbone.width_mult=1.3 train_cfg.max_epochs=24 'x=[1,2]'",
    )


def add_trust(parser: argparse.ArgumentParser, dest: str, what: str) -> None:
    """The switch that lets a file run code."""
    parser.add_argument(
        '--trust-checkpoint',
        dest=dest,
        action='store_true',
        help=f'load {what} that may run code, if you trust where it comes from',
    )


class Overrides(DictAction):
    """mmengine's reader of KEY=VALUE, whose asserts and errors end in argparse's one line."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        for value in values:
            key, separator, _ = value.partition('=')
            if not separator or not all(key.split('.')):
                parser.error(
                    f'{option_string} {value!r:.200} must be KEY=VALUE, and KEY names with dots '
                    'between them: model.backbone.width_mult=1.3'
                )
            try:
                super().__call__(parser, namespace, [value], option_string)
            except (AssertionError, ValueError, IndexError, RecursionError) as error:
                reason = first_line(error)
                parser.error(f'{option_string} {value!r:.200} cannot be read: {reason:.200}')


def add_overrides(parser: argparse.ArgumentParser, help: str, dest: str = 'overrides') -> None:
    """mmengine's --cfg-options."""
    parser.add_argument(
        '--cfg-options', dest=dest, nargs='+', action=Overrides, metavar='KEY=VALUE', help=help
    )


def run_parser(name: str) -> CommandParser:
    """The arguments of every run of a config."""
    parser = checkpoint_parser(name)
    parser.add_argument('--work-dir', help='where logs and checkpoints go (work_dirs/CONFIG)')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)
    return parser


def run_options(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> dict[str, Any]:
    """The parsed arguments as keywords; the launcher's rank goes to the environment."""
    options = vars(parser.parse_args(argv))
    os.environ.setdefault('LOCAL_RANK', str(options.pop('local_rank')))
    return options
