"""The command ``mmscale compare-runs``."""

from collections.abc import Sequence

from mmscale.cli.parsing import CommandParser, one_line_errors
from mmscale.errors import UserError
from mmscale.reports.curves import compare_runs
from mmscale.reports.statistics import summary
from mmscale.reports.tables import compare_tables


def build_parser() -> CommandParser:
    """The command's arguments."""
    parser = CommandParser('compare-runs')
    parser.add_argument(
        'kinds',
        nargs='+',
        metavar='NAME=PATH[,PATH...]',
        help='work dirs of one kind of runs; or tables of test.py --resolutions --out NAME.json',
    )
    parser.add_argument('--metric', default='coco/bbox_mAP', help='as it is logged (%(default)s)')
    parser.add_argument('--out', default='comparison.png', help='the picture (%(default)s)')
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    with one_line_errors():
        kinds = _kinds(args.kinds)
        if all(path.endswith('.json') for paths in kinds.values() for path in paths):
            for line, found in compare_tables(kinds, args.metric, args.out).items():
                for resolution, values in found.items():
                    print(f'{line}, {resolution} px: {args.metric} {summary(values)}')
        else:
            for kind, values in compare_runs(kinds, args.metric, args.out).items():
                print(f'{kind}: {args.metric} {summary(values)}: {[round(v, 4) for v in values]}')
    print(f'Picture: {args.out}')


def _kinds(texts):
    kinds: dict = {}
    for text in texts:
        name, _, paths = text.partition('=')
        runs = paths.split(',')
        if not name.strip() or not all(runs):
            raise UserError(f'{text!r} must be NAME=PATH or NAME=PATH,PATH,...')
        if name in kinds:
            raise UserError(f'{name!r} is given twice; give its runs together, as {name}=PATH,PATH')
        if len(set(runs)) < len(runs):
            raise UserError(f'{text!r} names a run twice')
        kinds[name] = runs
    return kinds
