"""Kills a command at each of its writes, looks at what is there, and runs it to its end after that.

    python tests/helpers/killing_tools.py TOOL FOLDER [HOW] [COUNT]

TOOL: a key of `TOOLS`. HOW: 'events', 'fails', 'full' or 'memory' as in ``killing.py``. COUNT: at
most so many of its writes, renamings and removals, from the first to the last, of a call that finds
nothing and of one that finds the files of an earlier one. Prints the figures as JSON: 'torn' are
files that are neither whole nor temporary.
"""

import functools
import json
import os
import re
import shutil
import sys
from pathlib import Path

import exportable
import golden
import killing
import torch
from checkpoint_files import CASE
from commands import tool
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from small_scalenet import BASE, CLASSIFIER

OLD = re.compile(r'\.[0-9a-f]{8}\.tmp-old(?=/)')  # a folder that is being replaced


def convert(folder, out):
    torch.save(golden.state_dict(CASE), folder / 'weights.pth')
    return ['convert_weights', folder / 'weights.pth', out / 'weights.safetensors']


def allocate(folder, out):
    init_default_scope('mmpretrain')
    config = Config(dict(BASE, model=CLASSIFIER))
    config.dump(folder / 'seed.py')
    torch.manual_seed(0)
    state = MODELS.build(config.model).state_dict()
    torch.save(dict(state_dict=state), folder / 'seed.pth')
    files = ['-o', out / 'found.json', '--keep-weights', out / 'kept.pth', '--plot', out / 'a.png']
    return ['allocate_neurons', folder / 'seed.py', folder / 'seed.pth', '--neurons', 30, *files]


def plot(folder, out):
    return ['plot_structures', 'scalenet50', '--out', out / 'structures.png']


def shapes(folder, out):
    counts = ['--train', 3, '--val', 2, '--train-crops', 3, '--val-crops', 2, '--force']
    return ['make_shapes', out / 'shapes', *counts]


def export(folder, out, suffix='.onnx'):
    os.environ['SHAPES_ROOT'] = str(folder / 'shapes')
    tool('make_shapes')([os.environ['SHAPES_ROOT'], '--train', '4', '--val', '4'])
    config, checkpoint = exportable.built(exportable.CLASSIFIER, folder, 'mmpretrain')
    return ['export', config, checkpoint, out / f'model{suffix}']


def infer(folder, out):
    os.environ['SHAPES_ROOT'] = str(folder / 'shapes')
    tool('make_shapes')([os.environ['SHAPES_ROOT'], '--train', '4', '--val', '4'])
    config, checkpoint = exportable.built(exportable.DETECTOR, folder, 'mmdet')
    pictures = sorted((folder / 'shapes/val').iterdir())
    return ['infer', checkpoint, *pictures, '--config', config, '--out', out / 'found']


TOOLS = dict(
    convert=convert, allocate=allocate, plot=plot, shapes=shapes, export=export, infer=infer
)


def contents(folder):
    """Every file by its path, with its bytes; those of torch have the temporary name in them."""
    files = [path for path in sorted(folder.rglob('*')) if path.is_file()]
    return {
        str(path.relative_to(folder)): str(torch.load(path, weights_only=False))
        if path.suffix == '.pth' and '.tmp' not in path.name
        else path.read_bytes()
        for path in files
    }


def prepared(out, kept):
    """Have the folder hold nothing, or what an earlier call of the command left."""
    shutil.rmtree(out)
    shutil.copytree(kept, out) if kept else out.mkdir()


def missing(found, expected):
    """Files of an earlier call that are gone: not even in a folder that waits to be put back."""
    there = {OLD.sub('', key) for key in found}
    return any(key not in there for key in expected)


def main(name, folder, how='events', count=1000):
    folder = Path(folder)
    out, log = folder / 'out', folder / 'log'
    out.mkdir(parents=True)
    command, *arguments = [str(argument) for argument in TOOLS[name](folder, out)]

    run = functools.partial(tool(command), arguments)
    first = killing.events_of(run, out)
    expected = contents(out)
    shutil.copytree(out, folder / 'kept')
    again = killing.events_of(run, out)
    count = min(int(count), first + again)
    figures = dict(events=first + again, kills=0)
    figures |= dict(torn=0, lost=0, silent=0, tracebacks=0, failed=0, left=0)
    for number in range(count):
        at = 1 + number * (first + again) // count
        kept = at > first  # the second half finds the files of an earlier call
        prepared(out, folder / 'kept' if kept else None)
        spoiled = killing.spoiler(how, out, at - first if kept else at)
        code = killing.ended(killing.fork(run, spoiled, log))
        found = contents(out)
        figures['kills'] += code != 0
        figures['silent'] += code == 0 and found != expected
        figures['tracebacks'] += 'Traceback' in log.read_text()
        there = {key: value for key, value in found.items() if '.tmp' not in key}
        figures['torn'] += not there.items() <= expected.items()
        figures['lost'] += kept and missing(found, expected)
        figures['failed'] += killing.ended(killing.fork(run)) != 0
        figures['left'] += any('.tmp' in key for key in contents(out))
        figures['torn'] += contents(out).keys() != expected.keys()
    print(json.dumps(figures))


if __name__ == '__main__':
    main(*sys.argv[1:])
