"""Draw neuron structures of ScaleNet: the share of each scale in every block, to compare."""

import argparse

from mmscale.cli import one_line_errors
from mmscale.files import check_out
from mmscale.structure_plots import draw_structures
from mmscale.structures import load_structure, names


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'structures', nargs='+', help=f'paths of .json files, or names: {", ".join(names())}'
    )
    parser.add_argument('--out', default='structures.png', help='the picture (%(default)s)')
    args = parser.parse_args(argv)
    with one_line_errors():
        structures = [load_structure(structure) for structure in args.structures]
        print(f'Picture: {draw_structures(structures, check_out(args.out, (".png",)))}')


if __name__ == '__main__':
    main()
