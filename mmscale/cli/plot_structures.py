"""The command ``mmscale plot-structures``."""

import argparse
from collections.abc import Sequence

from mmscale.cli import COMMANDS
from mmscale.cli.parsing import one_line_errors
from mmscale.reports.structures import draw_structures
from mmscale.structures import load_structure, names
from mmscale.utils.files import check_out


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=COMMANDS['plot-structures'])
    parser.add_argument(
        'structures', nargs='+', help=f'paths of .json files, or names: {", ".join(names())}'
    )
    parser.add_argument('--out', default='structures.png', help='the picture (%(default)s)')
    args = parser.parse_args(argv)
    with one_line_errors():
        structures = [load_structure(structure) for structure in args.structures]
        print(f'Picture: {draw_structures(structures, check_out(args.out, (".png",)))}')
