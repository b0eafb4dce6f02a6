"""The command ``mmscale launch``."""

import argparse
import os
import sys
from collections.abc import Sequence

from mmscale.cli.parsing import CommandParser

RUNS = ('train', 'test')


def build_parser() -> CommandParser:
    """The command's arguments."""
    parser = CommandParser(
        'launch',
        note='By torchrun; without GPUs the processes share the CPU. Several machines: set NNODES, '
        'NODE_RANK, MASTER_ADDR and PORT on each. Under Slurm: srun ... mmscale train CONFIG '
        '--launcher slurm.',
    )
    parser.add_argument('processes', type=int, help='on this machine, one to a GPU')
    parser.add_argument('run', choices=RUNS, help='what they do')
    parser.add_argument(
        'rest', nargs=argparse.REMAINDER, metavar='...', help='what follows mmscale train or test'
    )
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    parser = build_parser()
    args = parser.parse_args(argv)
    if args.processes < 1:
        parser.error(f'processes must be 1 or more, not {args.processes}')
    sys.stdout.flush()
    os.execv(sys.executable, command(args.processes, args.run, args.rest))


def command(processes: int, run: str, rest: Sequence[str]) -> list[str]:
    """What starts torch's launcher, as a list of arguments."""
    where = os.environ.get
    return [
        sys.executable,
        *('-m', 'torch.distributed.run'),
        f'--nnodes={where("NNODES", "1")}',
        f'--node_rank={where("NODE_RANK", "0")}',
        f'--nproc_per_node={processes}',
        f'--master_addr={where("MASTER_ADDR", "127.0.0.1")}',
        f'--master_port={where("PORT", "29500")}',
        *('-m', 'mmscale'),
        run,
        *rest,
        *('--launcher', 'pytorch'),
    ]
