"""Evaluate a checkpoint: test.py CONFIG CHECKPOINT, with mmdet's flags."""

import argparse
import os
import sys

from mmengine.config import DictAction

from mmscale.errors import UserError
from mmscale.running import test


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='path of a config, or the bare name of one of mmscale')
    parser.add_argument('checkpoint', help='checkpoint file of that config')
    parser.add_argument('--work-dir', help='where logs go (work_dirs/CONFIG)')
    parser.add_argument(
        '--out',
        metavar='FILE',
        help='write the predictions: NAME.json as COCO results (NAME.bbox.json, NAME.segm.json), '
        'NAME.pkl as a pickle',
    )
    parser.add_argument('--show', action='store_true', help='show pictures of the predictions')
    parser.add_argument('--show-dir', help="write these pictures, in the run's own folder")
    parser.add_argument('--wait-time', type=float, default=2, help='seconds per picture (2)')
    parser.add_argument('--tta', action='store_true', help='test-time augmentation')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='override settings: test_dataloader.batch_size=4',
    )
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    try:
        test(
            args.config,
            args.checkpoint,
            work_dir=args.work_dir,
            out=args.out,
            show=args.show,
            show_dir=args.show_dir,
            wait_time=args.wait_time,
            tta=args.tta,
            overrides=args.cfg_options,
            launcher=args.launcher,
        )
    except UserError as error:
        sys.exit(f'error: {error}')


if __name__ == '__main__':
    main()
