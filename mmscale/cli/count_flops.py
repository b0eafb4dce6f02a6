"""The command ``mmscale count-flops``."""

import contextlib
import json
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from mmscale.cli.choosing import add_backbone, with_backbone
from mmscale.cli.parsing import CommandParser, add_overrides, config_parser, one_line_errors
from mmscale.engine.config import load_config
from mmscale.engine.counting import count


def build_parser() -> CommandParser:
    """The command's arguments."""
    parser = config_parser(
        'count-flops',
        note='Counted are the multiply-adds of convolutions, linear layers and matrix products '
        'for one image of exactly that shape, without padding; detectors with all the proposals '
        'that the config allows, and with 100 masks (cascades with all). No weights are loaded.',
    )
    parser.add_argument(
        '--shape',
        nargs='+',
        type=int,
        metavar='PIXELS',
        help='height and width, or one number for a square (detectors 800 1200, classifiers 224, '
        'segmentors 512 1024)',
    )
    parser.add_argument('--json', action='store_true', help='print one JSON object, nothing else')
    add_overrides(parser, 'override settings: model.backbone.width_mult=1.3')
    add_backbone(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    # The frameworks log to stdout.
    quiet = contextlib.redirect_stdout(sys.stderr)
    with one_line_errors(), quiet, with_backbone(args.config, args.backbone) as config:
        counts = count(load_config(config, args.overrides), args.shape)
    print(json.dumps(counts)) if args.json else show(counts)


def show(counts: dict[str, Any]) -> None:
    """Print the counts as a table."""
    height, width = counts['shape']
    table = Table(title=f'{height} x {width} (height x width)')
    table.add_column('part')
    table.add_column('parameters, M', justify='right')
    table.add_column('multiply-adds, G', justify='right')
    for name, part in counts['parts'].items():
        table.add_row(name, f'{part["params"] / 1e6:.3f}', f'{part["macs"] / 1e9:.3f}')
    table.add_section()
    table.add_row('whole', f'{counts["params"] / 1e6:.3f}', f'{counts["macs"] / 1e9:.3f}')
    console = Console()
    console.print(table)
    if counts['not_counted']:
        console.print(f'Multiply-adds without: {", ".join(counts["not_counted"])}')
