"""The command ``mmscale convert-weights``."""

from collections.abc import Sequence

from mmscale.checkpoints import convert_file
from mmscale.cli.parsing import CommandParser, add_trust, one_line_errors


def build_parser() -> CommandParser:
    """The command's arguments."""
    parser = CommandParser(
        'convert-weights',
        note='Not needed to train or test: init_cfg and test.py take all of these files as they '
        'are.',
    )
    parser.add_argument(
        'source',
        metavar='IN',
        help="the authors' file (ReXNet, ReXNet-lite, ScaleNet, SAN), timm's ReXNet (a file or "
        'timm://rexnet_100.nav_in1k), a classifier trained here; or a URL',
    )
    parser.add_argument('out', metavar='OUT', help='NAME.pth or NAME.safetensors')
    add_trust(parser, 'trust', 'a file')
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    with one_line_errors():
        done = convert_file(**vars(build_parser().parse_args(argv)))
    classes = '' if done.num_classes == 1000 else f' with {done.num_classes} classes'
    fits = f'fits configs/classification/{done.config}.py' if done.config else 'no config is for it'
    print(f'{done.path}: {done.architecture} from {done.source}; {fits}{classes}')
