"""The command ``mmscale infer``."""

import argparse
from collections.abc import Sequence

from mmscale.cli import COMMANDS
from mmscale.cli.parsing import add_loading_options, one_line_errors
from mmscale.inference.predicting import SCORE, infer


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=COMMANDS['infer'],
        epilog='Pictures are drawn to OUT/vis; OUT/predictions.json has everything that was found.',
    )
    parser.add_argument(
        'weights',
        metavar='MODEL',
        help='a file of tools/export.py (NAME.onnx, NAME.xml), or a checkpoint with --config',
    )
    parser.add_argument('pictures', nargs='+', help='files, and folders of such')
    parser.add_argument('--config', help="path or bare name of a checkpoint's config")
    parser.add_argument('--out', default='out', help='folder to write to (%(default)s)')
    parser.add_argument(
        '--score', type=float, default=SCORE, help='of the boxes that are drawn (%(default)s)'
    )
    parser.add_argument('--batch-size', type=int, default=1, help='pictures at a time (1)')
    parser.add_argument('--device', default='cpu', help="of a checkpoint's model (%(default)s)")
    add_loading_options(parser)
    options = vars(parser.parse_args(argv))
    with one_line_errors():
        results = infer(**options)
    print(f'{len(results)} pictures: {options["out"]}/vis, {options["out"]}/predictions.json')
