"""The command ``mmscale make-semantic``."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from mmscale.cli.parsing import CommandParser, one_line_errors
from mmscale.semantic import CLASSES, make_semantic


def build_parser() -> CommandParser:
    """The command's arguments."""
    parser = CommandParser(
        'make-semantic',
        note='OUT/train2017/NAME.png is the map of NAME.jpg of instances_train2017.json; '
        'OUT/classes.json names its numbers. How to train on it: docs/segmentation.md.',
    )
    parser.add_argument('out', help='folder to make, or to make anew')
    parser.add_argument(
        'files', nargs='+', metavar='JSON', help="annotation files in COCO's format, with masks"
    )
    parser.add_argument(
        '--classes',
        choices=CLASSES,
        default='supercategories',
        help='what pixels are told apart by, beside the background (%(default)s)',
    )
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    options = vars(build_parser().parse_args(argv))
    with one_line_errors():
        made = make_semantic(**options)
    table = Table(title=', '.join(f'{name}: {count} maps' for name, count in made.counts.items()))
    for column in ('number', 'class', 'share of the pixels'):
        table.add_column(column, justify='left' if column == 'class' else 'right')
    for number, (name, share) in enumerate(zip(made.classes, made.shares)):
        table.add_row(str(number), name, f'{share:.2%}')
    console = Console()
    console.print(table)
    console.print(f'Maps are in {options["out"]}', soft_wrap=True)
