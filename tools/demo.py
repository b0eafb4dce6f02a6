"""Draw a data set, train a detector on it on the CPU or GPU, evaluate it and draw what it found."""

import argparse
import sys

from mmengine.config import DictAction

from mmscale.demo import CONFIG, run_demo
from mmscale.errors import UserError


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--config', default=CONFIG, help='a config of configs/shapes (%(default)s)')
    parser.add_argument('--work-dir', default='work_dirs/demo', help='(%(default)s)')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='override settings: train_cfg.max_iters=100',
    )
    args = parser.parse_args(argv)
    try:
        run_demo(args.config, args.work_dir, args.cfg_options)
    except UserError as error:
        sys.exit(f'error: {error}')


if __name__ == '__main__':
    main()
