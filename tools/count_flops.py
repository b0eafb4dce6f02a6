"""Count parameters and multiply-adds of a detector or classifier, whole and by part."""

import argparse
import contextlib
import json
import sys

from mmengine.config import DictAction
from rich.console import Console
from rich.table import Table

from mmscale.counting import count
from mmscale.errors import UserError
from mmscale.running import load_config


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog='Counted are the multiply-adds of convolutions, linear layers and matrix products '
        'for one image of exactly that shape, without padding; detectors with all the proposals '
        'that the config allows, and with 100 masks (cascades with all). No weights are loaded.',
    )
    parser.add_argument('config', help='path of a config, or the bare name of one of mmscale')
    parser.add_argument(
        '--shape',
        nargs='+',
        type=int,
        metavar='PIXELS',
        help='height and width, or one number for a square (detectors 800 1200, classifiers 224)',
    )
    parser.add_argument('--json', action='store_true', help='print one JSON object, nothing else')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='override settings: model.backbone.width_mult=1.3',
    )
    args = parser.parse_args(argv)
    try:
        # The frameworks log to stdout.
        with contextlib.redirect_stdout(sys.stderr):
            counts = count(load_config(args.config, args.cfg_options), args.shape)
    except UserError as error:
        sys.exit(f'error: {error}')
    print(json.dumps(counts)) if args.json else show(counts)


def show(counts):
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


if __name__ == '__main__':
    main()
