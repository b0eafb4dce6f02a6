"""Evaluate a checkpoint: test.py CONFIG CHECKPOINT, with mmdet's flags."""

from mmscale.cli import one_line_errors, run_options, run_parser
from mmscale.resolutions import WAYS, test_resolutions
from mmscale.running import test


def main(argv=None):
    parser = run_parser(__doc__)
    parser.add_argument(
        'checkpoint',
        help="file, URL or timm://NAME with this config's weights; or a file of tools/export.py",
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
        '--resolutions', type=int, nargs='+', metavar='PX', help='test at each of these; one table'
    )
    parser.add_argument(
        '--inference',
        nargs='+',
        metavar='WAY',
        help=f'with --resolutions, for a SAN, all of these ways: {", ".join(WAYS)}',
    )
    options = run_options(parser, argv)
    resolutions, inference = options.pop('resolutions'), options.pop('inference')
    with one_line_errors():
        if resolutions:
            test_resolutions(resolutions=resolutions, inference=inference, **options)
        elif inference:
            parser.error('--inference needs --resolutions')
        else:
            test(**options)


if __name__ == '__main__':
    main()
