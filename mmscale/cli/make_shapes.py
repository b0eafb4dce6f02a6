"""The command ``mmscale make-shapes``."""

import argparse
from collections.abc import Sequence

from mmscale.datasets.shapes import make_shapes


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description='Draw a synthetic data set of shapes at many scales: images with COCO boxes '
        'and masks, and class folders of small crops. The same arguments give the same bytes.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument('out', help='folder to make')
    parser.add_argument('--train', type=int, default=1600, help='training images')
    parser.add_argument('--val', type=int, default=240, help='validation images')
    parser.add_argument('--train-crops', type=int, default=6000, help='training crops of 64 x 64')
    parser.add_argument('--val-crops', type=int, default=400, help='validation crops of 64 x 64')
    parser.add_argument('--size', type=int, default=320, help='side of the images, 288 or more')
    parser.add_argument('--seed', type=int, default=0, help='another seed gives other pictures')
    parser.add_argument(
        '--force', action='store_true', help='replace the shapes in it; other files stay'
    )
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    parser = build_parser()
    try:
        make_shapes(**vars(parser.parse_args(argv)))
    except (ValueError, OSError) as error:
        parser.error(str(error))
