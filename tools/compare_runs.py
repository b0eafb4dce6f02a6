"""Compare runs: training loss and a metric of several kinds of runs, as a picture and a table."""

import argparse

from mmscale.cli import one_line_errors
from mmscale.curves import compare_runs, summary
from mmscale.errors import UserError


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'kinds', nargs='+', metavar='NAME=DIR[,DIR...]', help='work dirs of one kind of runs'
    )
    parser.add_argument('--metric', default='coco/bbox_mAP', help='as it is logged (%(default)s)')
    parser.add_argument('--out', default='comparison.png', help='the picture (%(default)s)')
    args = parser.parse_args(argv)
    with one_line_errors():
        kinds = dict(_kind(text) for text in args.kinds)
        for kind, values in compare_runs(kinds, args.metric, args.out).items():
            print(f'{kind}: {args.metric} {summary(values)}: {[round(v, 4) for v in values]}')
    print(f'Picture: {args.out}')


def _kind(text):
    name, found, folders = text.partition('=')
    if not found or not folders:
        raise UserError(f'{text!r} must be NAME=DIR or NAME=DIR,DIR,...')
    return name, folders.split(',')


if __name__ == '__main__':
    main()
