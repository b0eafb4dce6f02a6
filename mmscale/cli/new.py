"""The command ``mmscale new``."""

import contextlib
import shlex
import sys
from collections.abc import Sequence

from mmscale.beginning import begin
from mmscale.beginning.layouts import EXPECTED, LAYOUTS
from mmscale.cli.parsing import CommandParser, one_line_errors


def build_parser() -> CommandParser:
    """The command's arguments."""
    parser = CommandParser('new', note=f'Layouts: {EXPECTED}.')
    parser.add_argument('folder', help='the data set; nothing in it is changed')
    parser.add_argument(
        '-o',
        '--out',
        required=True,
        metavar='NAME.py',
        help='the config to write; NAME_data beside it gets a picture of what was understood, and '
        'annotation files that had to be made',
    )
    parser.add_argument(
        '--layout', choices=tuple(LAYOUTS), help='for a folder that could be several'
    )
    parser.add_argument('--force', action='store_true', help='write over files that are there')
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    # The frameworks log to stdout.
    with one_line_errors(), contextlib.redirect_stdout(sys.stderr):
        begun = begin(args.folder, args.out, layout=args.layout, force=args.force)
    for line in begun.lines:
        print(line)
    for note in begun.notes:
        print(f'note: {note}')
    print(f'{begun.page}: what was understood; look at it')
    print(f'{begun.config}: checked, and two pictures went through the model')
    print(f'next: mmscale train {shlex.quote(str(begun.config))}')
