"""Draw a data set, pretrain a classifier and train a detector on it, show what it finds."""

import argparse

from mmengine.config import DictAction

from mmscale.cli import one_line_errors
from mmscale.demo import CONFIG, PRETRAINING, run_demo


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--config', default=CONFIG, help='the detector (%(default)s)')
    start = parser.add_mutually_exclusive_group()
    start.add_argument(
        '--pretraining', default=PRETRAINING, help='the classifier, with its backbone (%(default)s)'
    )
    start.add_argument(
        '--from-scratch', action='store_true', help='no classifier: the detector starts at random'
    )
    parser.add_argument('--work-dir', default='work_dirs/demo', help='(%(default)s)')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help="override the detector's settings: train_cfg.max_iters=100",
    )
    args = parser.parse_args(argv)
    pretraining = None if args.from_scratch else args.pretraining
    with one_line_errors():
        run_demo(args.config, pretraining, args.work_dir, args.cfg_options)


if __name__ == '__main__':
    main()
