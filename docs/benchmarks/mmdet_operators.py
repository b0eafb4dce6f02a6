"""mmdet's configs through mmcv's compiled operators and through those that stand in.

    python docs/benchmarks/mmdet_operators.py FOLDER [--only NAME ...]

Takes one config of every folder of mmdet's configs, that of a ResNet-50 where there is one: random
weights, two training steps and one prediction on random pictures. Keeps the results in FOLDER,
goes on there when it is started again, and writes the table of docs/operators.md to FOLDER.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / 'tests/helpers'))

from trying import configs, forked

WAYS = ('compiled', 'torchvision')
SECONDS = 240  # for one config
STEPS, RATE = 2, 1e-4
BOUND = 1e-4


def run_all(way, folder, only):
    """Run every config in a process of its own, forked from this one, and keep what comes out."""
    import mmdet.models  # noqa: F401  (once for all)
    from mmdet.utils import register_all_modules
    from rich.progress import track

    register_all_modules()
    chosen = [pair for pair in configs() if not only or pair[0] in only]
    for name, path in track(chosen, f'{way} operators'):
        out = folder / f'{name}.{way}.pth'
        if out.exists() or (way != WAYS[0] and 'error' in read(folder, name, WAYS[0])):
            continue  # or there is nothing to compare with
        shapes = read(folder, name, WAYS[0]).get('shapes')
        ended = forked(
            lambda p=path, s=shapes: results(p, s), lambda o=out, **kept: _save(o, **kept), SECONDS
        )
        if not out.exists():
            _save(out, error=f'ended by signal {ended}')


def read(folder, name, way):
    """What a config has come to in one of the ways; an empty dict if it was not run so."""
    import torch

    path = folder / f'{name}.{way}.pth'
    return torch.load(path) if path.exists() else {}


def _save(out, **result):
    import torch

    aside = out.with_suffix('.tmp')
    torch.save(result, aside)
    aside.rename(out)


def results(path, shapes=None):
    """Losses of some training steps, and the detections after them, of pictures of some shapes."""
    from mmengine.config import Config

    from mmscale.adapting.proving import SHAPES, SQUARE

    cfg = Config.fromfile(path)
    if shapes:
        return _results(cfg, shapes)
    try:
        return _results(cfg, SHAPES)
    except (AssertionError, RuntimeError, TypeError, ValueError):  # some need larger pictures
        return _results(cfg, SQUARE)


def _results(cfg, shapes):
    import torch
    from mmengine.structures import BaseDataElement

    from mmscale.adapting.proving import Trial, untouched

    with untouched():
        trial = Trial(cfg, shapes)
        optimizer = torch.optim.SGD(trial.model.parameters(), RATE)
        losses = []
        for _ in range(STEPS):
            optimizer.zero_grad()
            losses.append(trial.loss(backward=True))
            optimizer.step()
        found = [one for one in trial.predict() if isinstance(one, BaseDataElement)]
    kept = [sample.pred_instances for sample in found if 'pred_instances' in sample]
    found = [{key: one[key].float() for key in ('scores', 'bboxes')} for one in kept]
    return dict(losses=losses, found=found, shapes=shapes)


def compare(one, other):
    """What a row of the table says: None if both ways say the same."""
    import torch

    if 'error' in one:
        return f'not run: {one["error"]}'
    if 'error' in other:
        return f'refused: {other["error"]}'
    worst = 0.0
    for ours, theirs in zip(other['losses'], one['losses']):
        for name, value in theirs.items():
            worst = max(worst, abs(ours[name] - value) / max(abs(value), 1e-2))
    if worst != worst:
        return 'not run: its losses are not finite, through either'
    for ours, theirs in zip(other['found'], one['found']):
        if ours['scores'].shape != theirs['scores'].shape:
            return f'{len(ours["scores"])} detections, {len(theirs["scores"])} compiled'
        for key in ('scores', 'bboxes'):
            largest = theirs[key].abs().max() if theirs[key].numel() else torch.tensor(0.0)
            gap = (ours[key] - theirs[key]).abs().max() if theirs[key].numel() else 0.0
            worst = max(worst, float(gap) / max(float(largest), 1e-2))
    return None if worst <= BOUND else f'differs by {worst:.1e}'


def main():
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('folder', type=Path)
    parser.add_argument('--only', nargs='*', help='folders of mmdet (default: all)')
    parser.add_argument('--way', choices=WAYS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    if args.way:
        import mmscale  # noqa: F401  (the operators that MMSCALE_OPERATORS says)

        return run_all(args.way, args.folder, args.only)
    for way in WAYS:
        command = [sys.executable, __file__, *sys.argv[1:], '--way', way]
        subprocess.run(command, check=True, env={**os.environ, 'MMSCALE_OPERATORS': way})
    return table(args)


def table(args):
    """Write the table: the folders that are the same, and a line for each that is not."""
    rows = []
    for name, path in configs():
        one, other = (read(args.folder, name, way) for way in WAYS)
        if 'error' in one or (one and other):
            rows.append((name, path.stem, compare(one, other)))
    same = [name for name, _, difference in rows if difference is None]
    lines = [f'Same to {BOUND:g}: {len(same)} of {len(rows)}: {", ".join(same)}.', '']
    lines += ['| config | |', '|---|---|']
    lines += [f'| {name}/{stem} | {why} |' for name, stem, why in rows if why is not None]
    text = '\n'.join(lines) + '\n'
    (args.folder / 'table.md').write_text(text, encoding='utf-8')
    print(text)


if __name__ == '__main__':
    main()
