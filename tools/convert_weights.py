"""Convert a classifier's weights to this package's names, once and for all."""

import argparse

from mmscale.checkpoints import convert_file
from mmscale.cli import one_line_errors


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__,
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
    parser.add_argument(
        '--trust-checkpoint',
        dest='trust',
        action='store_true',
        help='load a file that may run code, if you trust where it comes from',
    )
    with one_line_errors():
        done = convert_file(**vars(parser.parse_args(argv)))
    classes = '' if done.num_classes == 1000 else f' with {done.num_classes} classes'
    fits = f'fits configs/classification/{done.config}.py' if done.config else 'no config is for it'
    print(f'{done.path}: {done.architecture} from {done.source}; {fits}{classes}')


if __name__ == '__main__':
    main()
