"""The command ``mmscale test``."""

from collections.abc import Sequence

from mmscale.cli.choosing import add_backbone, with_backbone
from mmscale.cli.parsing import CommandParser, one_line_errors, run_options, run_parser
from mmscale.cli.report import make_page
from mmscale.engine.testing import evaluate
from mmscale.models.backbones.san import WAYS
from mmscale.reports.page.writing import check_charts
from mmscale.resolutions.testing import evaluate_resolutions


def build_parser() -> CommandParser:
    """The command's arguments."""
    parser = run_parser('test')
    parser.add_argument(
        'checkpoint',
        help="file, URL or timm://NAME with this config's weights; a work dir, of which the best "
        'checkpoint is taken; or a file of mmscale export',
    )
    parser.add_argument(
        '--out',
        metavar='FILE',
        help='write the predictions: NAME.json as COCO results (NAME.bbox.json, NAME.segm.json), '
        'NAME.pkl as a pickle; with --resolutions the table, NAME.json',
    )
    parser.add_argument('--show', action='store_true', help='show pictures of the predictions')
    parser.add_argument('--show-dir', help="write these pictures, in the run's own folder")
    parser.add_argument('--wait-time', type=float, default=2, help='seconds per picture (2)')
    parser.add_argument('--tta', action='store_true', help='test-time augmentation')
    parser.add_argument(
        '--report',
        action='store_true',
        help='write report.html in the work dir: a page of what the test has shown',
    )
    parser.add_argument(
        '--resolutions', type=int, nargs='+', metavar='PX', help='test at each of these; one table'
    )
    parser.add_argument(
        '--inference',
        nargs='+',
        metavar='WAY',
        help=f'with --resolutions, for a SAN, all of these ways: {", ".join(WAYS)}',
    )
    add_backbone(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    parser = build_parser()
    options = run_options(parser, argv)
    chosen = options.pop('config'), options.pop('backbone')
    resolutions, inference = options.pop('resolutions'), options.pop('inference')
    if inference and not resolutions:
        parser.error('--inference needs --resolutions')
    report = options.pop('report')
    if resolutions and report:
        parser.error('--report is of one resolution: leave --resolutions out')
    with one_line_errors(), with_backbone(*chosen) as config:
        if resolutions:
            evaluate_resolutions(config, resolutions=resolutions, inference=inference, **options)
        elif report:
            check_charts()  # before the work
            evaluate(config, report=lambda work_dir: make_page([work_dir]), **options)
        else:
            evaluate(config, **options)
