"""What several commands share: arguments of configs and runs, and errors in one line."""

import argparse
import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import DictAction

from mmscale.errors import UserError, first_line
from mmscale.utils.files import writing


@contextlib.contextmanager
def one_line_errors() -> Iterator[None]:
    """Ends the program with one line where a UserError, or a full disk, would with a traceback."""
    try:
        with writing():
            yield
    except UserError as error:
        _tell_launcher(f'error: {error}')
        sys.exit(f'error: {error}')


def _tell_launcher(line: str) -> None:
    """Have torch's launcher end its own report, below which an error disappears, with the line."""
    # torch's ErrorHandler would write the whole traceback.
    file = os.environ.get('TORCHELASTIC_ERROR_FILE')
    if file:
        extra = {'timestamp': str(int(time.time()))}
        message = {'message': {'message': line, 'extraInfo': extra}}
        Path(file).write_text(json.dumps(message), encoding='utf-8')


def config_parser(description: str | None, **options: Any) -> argparse.ArgumentParser:
    """The arguments of every command that reads a config, by the library's names of them."""
    parser = argparse.ArgumentParser(description=description, **options)
    parser.add_argument(
        'config', help='path of a config, bare name of one of mmscale, or mmdet::FOLDER/NAME'
    )
    return parser


def checkpoint_parser(description: str | None) -> argparse.ArgumentParser:
    """The same, of a command that reads a checkpoint too."""
    parser = config_parser(description)
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


def run_parser(description: str | None) -> argparse.ArgumentParser:
    """The arguments of every run of a config."""
    parser = checkpoint_parser(description)
    parser.add_argument('--work-dir', help='where logs and checkpoints go (work_dirs/CONFIG)')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)
    return parser


def run_options(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> dict[str, Any]:
    """The parsed arguments as keywords; the launcher's rank goes to the environment."""
    options = vars(parser.parse_args(argv))
    os.environ.setdefault('LOCAL_RANK', str(options.pop('local_rank')))
    return options
