"""The command ``mmscale convert-weights``."""

import argparse
from collections.abc import Sequence

from mmscale.checkpoints import convert_file
from mmscale.cli import COMMANDS
from mmscale.cli.parsing import add_trust, one_line_errors


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=COMMANDS['convert-weights'],
        epilog='Not needed to train or test: init_cfg and test.py take all of these files as they '
        'are.',
    )
    parser.add_argument(
        'source',
        metavar='IN',
        help="the authors' file (ReXNet, ReXNet-lite, ScaleNet, SAN), timm's ReXNet (a file or "
        'timm://rexnet_100.nav_in1k), a classifier trained here; or a URL',
    )
    parser.add_argument('out', metavar='OUT', help='NAME.pth or NAME.safetensors')
    add_trust(parser, 'trust', 'a file')
    with one_line_errors():
        done = convert_file(**vars(parser.parse_args(argv)))
    classes = '' if done.num_classes == 1000 else f' with {done.num_classes} classes'
    fits = f'fits configs/classification/{done.config}.py' if done.config else 'no config is for it'
    print(f'{done.path}: {done.architecture} from {done.source}; {fits}{classes}')
