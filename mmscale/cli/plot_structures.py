"""The command ``mmscale plot-structures``."""

from collections.abc import Sequence

from mmscale.cli.parsing import CommandParser, one_line_errors
from mmscale.reports.structures import draw_structures
from mmscale.structures import load_structure, names
from mmscale.utils.files import check_out


def build_parser() -> CommandParser:
    """The command's arguments."""
    parser = CommandParser('plot-structures')
    parser.add_argument(
        'structures', nargs='+', help=f'paths of .json files, or names: {", ".join(names())}'
    )
    parser.add_argument('--out', default='structures.png', help='the picture (%(default)s)')
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    with one_line_errors():
        structures = [load_structure(structure) for structure in args.structures]
        print(f'Picture: {draw_structures(structures, check_out(args.out, (".png",)))}')
