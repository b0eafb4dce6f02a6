"""Compare runs: training loss and a metric, or a metric over resolutions; picture and table."""

import argparse

from mmscale.cli import one_line_errors
from mmscale.curves import compare_runs, summary
from mmscale.errors import UserError
from mmscale.resolutions import compare_tables


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'kinds',
        nargs='+',
        metavar='NAME=PATH[,PATH...]',
        help='work dirs of one kind of runs; or tables of test.py --resolutions --out NAME.json',
    )
    parser.add_argument('--metric', default='coco/bbox_mAP', help='as it is logged (%(default)s)')
    parser.add_argument('--out', default='comparison.png', help='the picture (%(default)s)')
    args = parser.parse_args(argv)
    with one_line_errors():
        kinds = dict(_kind(text) for text in args.kinds)
        if all(path.endswith('.json') for paths in kinds.values() for path in paths):
            for line, found in compare_tables(kinds, args.metric, args.out).items():
                for resolution, values in found.items():
                    print(f'{line}, {resolution} px: {args.metric} {summary(values)}')
        else:
            for kind, values in compare_runs(kinds, args.metric, args.out).items():
                print(f'{kind}: {args.metric} {summary(values)}: {[round(v, 4) for v in values]}')
    print(f'Picture: {args.out}')


def _kind(text):
    name, found, paths = text.partition('=')
    if not found or not paths:
        raise UserError(f'{text!r} must be NAME=PATH or NAME=PATH,PATH,...')
    return name, paths.split(',')


if __name__ == '__main__':
    main()
