"""The command ``mmscale allocate-neurons``."""

import shlex
from collections.abc import Sequence

from mmscale.allocation.allocating import BATCHES, allocate
from mmscale.allocation.scores import MEASURES
from mmscale.cli.parsing import CommandParser, checkpoint_parser, one_line_errors


def build_parser() -> CommandParser:
    """The command's arguments."""
    parser = checkpoint_parser('allocate-neurons')
    parser.add_argument(
        'checkpoint',
        nargs='?',
        help="of that config, a seed's as a rule; not needed for --measure uniform",
    )
    parser.add_argument(
        '-o', '--out', required=True, metavar='JSON', help='structure file to write'
    )
    budget = parser.add_mutually_exclusive_group(required=True)
    budget.add_argument(
        '--width-factor', type=float, metavar='F', help="of ResNet's width: 1.361 is ScaleNet-50's"
    )
    budget.add_argument(
        '--neurons',
        type=int,
        nargs='+',
        metavar='N',
        help='of a block in the last stage, halved from stage to stage; or of all four stages',
    )
    budget.add_argument(
        '--gmacs', type=float, metavar='G', help='as many as fit in G billion multiply-adds'
    )
    parser.add_argument(
        '--shape',
        nargs='+',
        type=int,
        metavar='PIXELS',
        help='of the image that --gmacs are counted for, as by count_flops.py (detectors 800 1200, '
        'classifiers 224)',
    )
    parser.add_argument(
        '--multiple-of',
        type=int,
        default=1,
        metavar='N',
        help='every scale keeps a multiple of N neurons, as many as fit in the budget, for '
        'processors that compute so many at once (%(default)s)',
    )
    parser.add_argument(
        '--measure',
        choices=MEASURES,
        default='gamma',
        help="what ranks neurons: their norms' factors, the loss's change without them, or nothing "
        '(%(default)s)',
    )
    parser.add_argument(
        '--batches', type=int, default=BATCHES, help='of training images for taylor (%(default)s)'
    )
    parser.add_argument(
        '--keep-weights', metavar='PTH', help='write what is left of the checkpoint'
    )
    parser.add_argument('--plot', metavar='PNG', help='draw shares and scores')
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    options = vars(build_parser().parse_args(argv))
    with one_line_errors():
        result = allocate(**options)
    structure = result.structure
    for remark in result.remarks:
        print(f'Note: {remark}.')
    print(f'Neurons of a block: {"/".join(str(sum(rows[0])) for rows in structure.stages)}')
    for scale, share in zip(structure.scales, structure.shares):
        print(f'  scale {scale}: {share:.1%}')
    height, width = result.shape
    print(f'{result.macs / 1e9:.9g} G multiply-adds at {height} x {width}')
    setting = shlex.quote(f'model.backbone.structure={options["out"]}')
    print(f'Use it: --cfg-options {setting}')
