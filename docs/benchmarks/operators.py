"""mmcv's compiled operators beside those that stand in, in turns in one process.

    python docs/benchmarks/operators.py [--rounds 15] [--only WORD] [-o FILE.json]

Prints milliseconds (median and least) and how many times the compiled one's time the stand-in
takes, by the medians; what is above its target is marked. Needs mmcv with compiled operators. Runs
on a GPU where there is one.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / 'tests/helpers'))

from compiled import load, through  # noqa: E402
from mmcv import ops  # noqa: E402

import mmscale  # noqa: E402, F401  (before mmcv.ops)
from mmscale.benchmark.measuring import machine, wait  # noqa: E402
from mmscale.operators import extension  # noqa: E402

OPERATOR, WHOLE = 2.0, 1.1  # times the compiled one's time
DEVICE = 'cuda' if torch.cuda.is_available() else 'cpu'
IMAGE, STEP = (1, 3, 800, 1216), (2, 3, 320, 320)


def boxes(count, spread, seed=0):
    """Boxes of 32 to 128 px whose corners lie within `spread` px: a small one crowds them."""
    random = np.random.default_rng(seed)
    corners = random.uniform(0, spread, (count, 2))
    found = np.concatenate([corners, corners + random.uniform(32, 128, (count, 2))], 1)
    scores = random.random(count)
    return [torch.tensor(x, dtype=torch.float32, device=DEVICE) for x in (found, scores)]


def suppressing():
    """Cases of suppression: few and many boxes, crowded and apart."""
    for count in (100, 1000, 4000):
        for name, spread in (('crowded', 200), ('apart', 3000)):
            some, scores = boxes(count, spread)
            where = f'{count} boxes, {name}'
            for offset in (0, 1):
                yield (
                    f'nms, offset {offset}: {where}',
                    lambda a=some, b=scores, c=offset: ops.nms(a, b, 0.5, offset=c),
                )
            if count <= 1000:
                for method in ('linear', 'gaussian'):
                    yield (
                        f'soft-nms, {method}: {where}',
                        lambda a=some, b=scores, c=method: ops.soft_nms(
                            a, b, 0.3, min_score=0.05, method=c
                        ),
                    )


def pooling():
    """RoIAlign as Faster R-CNN has it, and what else detectors of mmdet call."""
    x = torch.rand(1, 256, 100, 152, device=DEVICE, requires_grad=True)
    some, _ = boxes(512, 700)
    rois = torch.cat([some.new_zeros(512, 1), some], 1)

    def forward():
        with torch.no_grad():
            ops.roi_align(x, rois, (7, 7), 1 / 8, 0)

    def both():
        ops.roi_align(x, rois, (7, 7), 1 / 8, 0).sum().backward()
        x.grad = None

    yield 'RoIAlign, 512 boxes', forward
    yield 'RoIAlign, forward and backward', both
    layer = ops.ModulatedDeformConv2dPack(64, 64, 3, padding=1).to(DEVICE)
    narrow = torch.rand(2, 64, 50, 76, device=DEVICE)

    def deformed():
        layer(narrow).sum().backward()

    yield 'DCNv2, forward and backward', deformed


def whole():
    """A training step and a test image of the main configs, with random weights."""
    from mmdet.registry import MODELS
    from mmdet.testing import demo_mm_inputs
    from mmdet.utils import register_all_modules

    from mmscale.engine.config import load_config

    register_all_modules()
    for name in ('faster_rcnn_rexnet_fpn', 'mask_rcnn_rexnet_fpn'):
        cfg = load_config(name, {'model.backbone.init_cfg': None})
        torch.manual_seed(0)
        model = MODELS.build(cfg.model).to(DEVICE)
        masks = name.startswith('mask')

        def step(model=model, masks=masks):
            torch.manual_seed(0)
            np.random.seed(0)
            packed = demo_mm_inputs(2, [list(STEP[1:])] * 2, num_classes=80, with_mask=masks)
            model.train()
            data = model.data_preprocessor(packed, True)
            loss, _ = model.parse_losses(model(**data, mode='loss'))
            loss.backward()
            model.zero_grad()

        def image(model=model):
            torch.manual_seed(0)
            packed = demo_mm_inputs(1, [list(IMAGE[1:])], num_classes=80)
            model.eval()
            with torch.no_grad():
                model(**model.data_preprocessor(packed, False), mode='predict')

        yield f'{name}: a training step of two 320 px images', step
        yield f'{name}: a test image of {IMAGE[2]} x {IMAGE[3]} px', image


def time_in_turns(run, ways, rounds):
    """Milliseconds of every round for each way, after one to warm up; the order turns about."""
    times = {name: [] for name in ways}
    for turn in range(rounds + 1):
        for name in sorted(ways, reverse=bool(turn % 2)):
            with through(ways[name]):
                start = time.perf_counter()
                run()
                wait()
                if turn:
                    times[name].append(1000 * (time.perf_counter() - start))
    return times


def main():
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--rounds', type=int, default=15, help='of which the median counts')
    parser.add_argument('--only', default='', help='cases with this word')
    parser.add_argument('-o', '--out', type=Path, help='a JSON file for the figures')
    args = parser.parse_args()
    compiled = load(Path())
    if compiled is None:
        sys.exit('mmcv has no compiled operators here: make setup OPERATORS=compiled')
    ways = {'compiled': compiled, 'stands in': extension}
    rows, table = [], Table('case', 'compiled, ms', 'stands in, ms', 'times', 'target')
    for cases, bound in ((suppressing, OPERATOR), (pooling, OPERATOR), (whole, WHOLE)):
        for name, run in cases():
            if args.only not in name:
                continue
            times = time_in_turns(run, ways, args.rounds)
            theirs, ours = (statistics.median(times[way]) for way in ways)
            row = dict(case=name, times=ours / theirs, target=bound, met=ours / theirs <= bound)
            for way in ways:
                row[way] = dict(ms=statistics.median(times[way]), best_ms=min(times[way]))
            rows.append(row)
            figures = (f'{row[way]["ms"]:.3f} ({row[way]["best_ms"]:.3f})' for way in ways)
            table.add_row(
                name, *figures, f'{row["times"]:.2f}', f'{bound:g}' + ' !' * (not row['met'])
            )
    Console(width=120).print(table)
    if args.out:
        text = json.dumps(dict(machine=machine(), rows=rows), indent=1)
        args.out.write_text(text + '\n', encoding='utf-8')


if __name__ == '__main__':
    main()
