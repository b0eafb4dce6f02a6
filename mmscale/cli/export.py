"""The command ``mmscale export``."""

from collections.abc import Sequence

from mmscale.cli.choosing import add_backbone, with_backbone
from mmscale.cli.parsing import CommandParser, checkpoint_parser, one_line_errors
from mmscale.export import export
from mmscale.export.exporting import DYNAMIC
from mmscale.exported.description import PARTS


def build_parser() -> CommandParser:
    """The command's arguments."""
    parser = checkpoint_parser('export')
    parser.add_argument('checkpoint', help="file, URL or timm://NAME with this config's weights")
    parser.add_argument('out', help='NAME.onnx, or NAME.xml for OpenVINO (with NAME.bin)')
    parser.add_argument('--part', choices=PARTS, help='what to write (the whole of the model)')
    parser.add_argument(
        '--shape',
        nargs='+',
        metavar='PIXELS',
        help=f'height and width of the images, or "{DYNAMIC}" (classifiers: as they are tested; '
        f'others: {DYNAMIC})',
    )
    parser.add_argument('--batch', type=int, help='images at a time (any number)')
    parser.add_argument(
        '--images',
        nargs='+',
        metavar='PATH',
        help='pictures or folders to compare PyTorch and the file on (of the test set, or shapes)',
    )
    parser.add_argument(
        '--int8',
        action='store_true',
        help='quantise to 8 bits with images of the training set; both are tested on the test set, '
        'and 8 bits are kept if they lose at most half a point and are faster',
    )
    add_backbone(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    options = vars(build_parser().parse_args(argv))
    chosen = options.pop('config'), options.pop('backbone')
    with one_line_errors(), with_backbone(*chosen) as config:
        written = export(config, **options)
    print(f'{written.path}: {written.compared}')
