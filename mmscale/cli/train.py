"""The command ``mmscale train``."""

from collections.abc import Sequence

from mmscale.cli.choosing import add_backbone, with_backbone
from mmscale.cli.parsing import CommandParser, one_line_errors, run_options, run_parser
from mmscale.engine.tracking import TRACKERS
from mmscale.engine.training import train


def build_parser() -> CommandParser:
    """The command's arguments."""
    parser = run_parser('train')
    parser.add_argument('--amp', action='store_true', help='automatic mixed precision, on a GPU')
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate to the actual batch size',
    )
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='go on from this checkpoint, or from the newest in the work dir',
    )
    parser.add_argument(
        '--track',
        dest='trackers',
        nargs='+',
        default=(),
        choices=list(TRACKERS),
        metavar='TRACKER',
        help=f'log to these too: {", ".join(TRACKERS)}',
    )
    add_backbone(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    parser = build_parser()
    options = run_options(parser, argv)
    chosen = options.pop('config'), options.pop('backbone')
    with one_line_errors(), with_backbone(*chosen, proof=True) as config:
        train(config, **options)
