"""The command ``mmscale NAME ...``: the same code as ``python tools/NAME.py ...``.

Each command is a module of this package with a ``main(argv)`` and a row of `COMMANDS`.
"""

import difflib
import sys
from collections.abc import Sequence
from importlib import import_module

from mmscale.version import __version__

# Here and not in the modules, so that --help does not import them all.
GROUPS = {
    'begin': {
        'demo': 'Draw a data set, pretrain a classifier and train a detector on it, show what it '
        'finds.',
        'new': 'Write a config for the data set in a folder, whatever its layout.',
        'configs': "List this package's configs, or copy one to edit.",
        'adapt': "Put a backbone into anyone's config.",
        'check': 'Find what is wrong with a config, an annotation file or a folder of data.',
    },
    'train and test': {
        'train': "Train a detector, classifier or segmentor, with mmdet's flags.",
        'test': "Evaluate a checkpoint or an exported file, with mmdet's flags.",
        'report': "Write a page of what a run's last test has shown, or of two beside each other.",
        'launch': 'Train or test in several processes, one to a GPU.',
        'compare-runs': 'Compare runs: training loss and a metric, or a metric over resolutions; '
        'picture and table.',
    },
    'use': {
        'infer': 'Find, classify or segment what pictures show: drawn, and as JSON.',
        'export': 'Write a model as an ONNX or OpenVINO file.',
        'convert-weights': "Convert a classifier's weights to this package's names, once and for "
        'all.',
    },
    'measure': {
        'benchmark': 'Time models side by side, with peers, in any form: eager, fused, compiled, '
        'exported.',
        'count-flops': 'Count parameters and multiply-adds of a detector, classifier or '
        'segmentor, whole and by part.',
    },
    'ScaleNet and SAN': {
        'allocate-neurons': 'Allocate neurons: from a trained ScaleNet to the structure that a '
        'budget allows.',
        'plot-structures': 'Draw neuron structures of ScaleNet: the share of each scale in every '
        'block, to compare.',
        'calibrate-bn': 'Give a trained SAN norms for more resolutions: statistics from training '
        'images, no training.',
    },
    'data': {
        'make-shapes': 'Draw the shapes data set: COCO detection and segmentation, and class '
        'folders of crops.',
        'make-semantic': "Draw semantic maps from COCO's instance masks: things, or COCO's twelve "
        'supercategories.',
    },
    'the shell': {
        'completion': 'Print what completes the commands in a shell.',
    },
}
COMMANDS = {name: text for group in GROUPS.values() for name, text in group.items()}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command, or lists them.

    Args:
        argv (Sequence[str], optional): What follows ``mmscale``. Defaults to the command line's.

    Returns:
        int: The exit status.
    """
    argv = sys.argv[1:] if argv is None else argv
    if not argv or argv[0] in ('-h', '--help', 'help'):
        print(_help())
        return 0
    if argv[0] == '--version':
        print(f'mmscale {__version__}')
        return 0
    name = argv[0].replace('_', '-')
    if name not in COMMANDS:
        close = difflib.get_close_matches(name, COMMANDS)
        hint = f'did you mean {" or ".join(close)}?' if close else 'see mmscale --help'
        print(f'mmscale: unknown command {argv[0]!r}; {hint}', file=sys.stderr)
        return 2
    sys.argv = [f'mmscale {name}', *argv[1:]]  # the name that --help shows
    import_module(f'{__name__}.{name.replace("-", "_")}').main(argv[1:])
    return 0


def _help() -> str:
    lines = ['usage: mmscale COMMAND ...', '', 'Each command has a --help with examples.']
    for group, commands in GROUPS.items():
        lines += ['', f'{group}:', *(f'  {name:<18}{text}' for name, text in commands.items())]
    return '\n'.join([*lines, '', 'options:', '  --version         print the version'])
