"""The command ``mmscale adapt``."""

import contextlib
import sys
from collections.abc import Sequence

from mmscale.adapting.files import adapt_file
from mmscale.cli.choosing import add_backbone
from mmscale.cli.parsing import CommandParser, config_parser, one_line_errors


def build_parser() -> CommandParser:
    """The command's arguments."""
    parser = config_parser(
        'adapt',
        note='Before the file is kept its model is built, and a small made-up batch goes through '
        'loss and prediction. What cannot be adapted: docs/any_config.md.',
    )
    add_backbone(parser, required=True)
    parser.add_argument(
        '-o', '--out', required=True, metavar='NAME.py', help='the child config to write'
    )
    parser.add_argument('--force', action='store_true', help='write over a file that is there')
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    name, arguments = args.backbone
    # The frameworks log to stdout.
    with one_line_errors(), contextlib.redirect_stdout(sys.stderr):
        written = adapt_file(args.config, name, arguments, args.out, force=args.force)
    for note in written.notes:
        print(f'note: {note}')
    said = written.unproven or 'built; two pictures went through loss and prediction'
    print(f'{written.path}: {said}')
