"""The command ``mmscale make-shapes``."""

import shlex
from collections.abc import Sequence

from mmscale.cli.parsing import CommandParser
from mmscale.datasets.shapes import make_shapes


def build_parser() -> CommandParser:
    """The command's arguments."""
    parser = CommandParser(
        'make-shapes',
        note='Images with COCO boxes and masks, and class folders of small crops. The same '
        'arguments give the same bytes.',
    )
    parser.add_argument('out', help='folder to make')
    parser.add_argument('--train', type=int, default=1600, help='training images (%(default)s)')
    parser.add_argument('--val', type=int, default=240, help='validation images (%(default)s)')
    parser.add_argument(
        '--train-crops', type=int, default=6000, help='training crops of 64 x 64 (%(default)s)'
    )
    parser.add_argument(
        '--val-crops', type=int, default=400, help='validation crops of 64 x 64 (%(default)s)'
    )
    parser.add_argument(
        '--size', type=int, default=320, help='side of the images, 288 or more (%(default)s)'
    )
    parser.add_argument(
        '--seed', type=int, default=0, help='another seed gives other pictures (%(default)s)'
    )
    parser.add_argument(
        '--force', action='store_true', help='replace the shapes in it; other files stay'
    )
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    parser = build_parser()
    args = parser.parse_args(argv)
    try:
        make_shapes(**vars(args))
    except (ValueError, OSError) as error:
        parser.error(str(error))
    print(f'next: mmscale new {shlex.quote(args.out)} -o my_config.py')
