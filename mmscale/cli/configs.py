"""The command ``mmscale configs``."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Column, Table

from mmscale.cli.parsing import CommandParser, one_line_errors
from mmscale.engine.shipped import copy_config, shipped_configs
from mmscale.errors import UserError


def build_parser() -> CommandParser:
    """The command's arguments."""
    parser = CommandParser(
        'configs', note='The configs of the package; own_dataset and own_classes are templates.'
    )
    parser.add_argument(
        'name', nargs='?', default='', help='a word of the name or title; with -o the whole name'
    )
    parser.add_argument('-o', '--out', metavar='NAME.py', help='copy the config there')
    parser.add_argument('--force', action='store_true', help='write over a file that is there')
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    with one_line_errors():
        if args.out:
            out = copy_config(args.name, args.out, force=args.force)
            print(f'{out}: edit it, then mmscale train {out}')
            return
        found = list(shipped_configs(args.name))
        if not found:
            raise UserError(f'no config has {args.name!r} in its name or title')
    # Whole names, also where a line is short: they are to be copied.
    width = max(len(config.name) for config in found)
    table = Table(Column('name', min_width=width), 'what', box=None)
    for config in found:
        table.add_row(config.name, config.title)
    Console(soft_wrap=True).print(table)
