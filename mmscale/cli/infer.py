"""The command ``mmscale infer``."""

from collections.abc import Sequence

from mmscale.cli.choosing import add_backbone, with_backbone
from mmscale.cli.parsing import CommandParser, add_loading_options, one_line_errors
from mmscale.inference.predicting import infer
from mmscale.inference.predictor import SCORE


def build_parser() -> CommandParser:
    """The command's arguments."""
    parser = CommandParser(
        'infer',
        note='Pictures and videos are drawn to OUT/vis; OUT/predictions.json has everything that '
        'was found; OUT/maps, of a segmentor, the class of every pixel.',
    )
    parser.add_argument(
        'weights',
        metavar='MODEL',
        help='an exported file (NAME.onnx, NAME.xml), a checkpoint, or a work dir',
    )
    parser.add_argument('pictures', nargs='+', help='files, folders of such, and videos')
    parser.add_argument(
        '--config', help="path or bare name of a checkpoint's config, where it does not quote it"
    )
    parser.add_argument('--out', default='out', help='folder to write to (%(default)s)')
    parser.add_argument(
        '--score',
        '--threshold',
        type=float,
        default=SCORE,
        help='of the boxes that are drawn (%(default)s)',
    )
    parser.add_argument('--batch-size', type=int, default=1, help='pictures at a time (1)')
    parser.add_argument('--device', default='cpu', help="of a checkpoint's model (%(default)s)")
    add_loading_options(parser)
    add_backbone(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    parser = build_parser()
    options = vars(parser.parse_args(argv))
    chosen = options.pop('config'), options.pop('backbone')
    if chosen[1] and chosen[0] is None:
        parser.error('--backbone needs --config')
    with one_line_errors(), with_backbone(*chosen) as config:
        results = infer(config=config, **options)
    count = f'{len(results)} picture{"s" * (len(results) != 1)}'
    print(f'{count}: {options["out"]}/vis, {options["out"]}/predictions.json')
