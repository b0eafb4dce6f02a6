"""The command ``mmscale calibrate-bn``."""

from collections.abc import Sequence

from mmscale.cli.parsing import CommandParser, checkpoint_parser, one_line_errors
from mmscale.resolutions.calibration import BATCHES, calibrate_checkpoint


def build_parser() -> CommandParser:
    """The command's arguments."""
    parser = checkpoint_parser('calibrate-bn')
    parser.add_argument('checkpoint', help="file, URL or timm://NAME with this config's weights")
    parser.add_argument('out', help='the checkpoint to write, NAME.pth')
    parser.add_argument(
        '--resolutions', type=int, nargs='+', required=True, metavar='PX', help='to be added'
    )
    parser.add_argument(
        '--batches', type=int, default=BATCHES, help='of training images, for each (%(default)s)'
    )
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    options = vars(build_parser().parse_args(argv))
    with one_line_errors():
        result = calibrate_checkpoint(**options)
    print(
        f'{result.out} fits {options["config"]} with these --cfg-options, and '
        f'"model.backbone.resolutions={list(result.resolutions)}"'
    )
