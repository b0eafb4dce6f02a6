"""Faster R-CNN with ReXNet 1.0 in 8 bits, beside float32 and mmdet's R50, 1 x 800 x 1344 px.

    python docs/benchmarks/eight_bits.py FOLDER

Time only: weights and pictures are random. FOLDER keeps the exported files from one call to the
next.
"""

import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import nncf
import numpy as np
import torch

from mmscale.benchmark.forms import FORMS, build
from mmscale.export.tracing import build_graph, to_onnx
from mmscale.exported.engines import OPENVINO

SIZE = 800, 1344
ROUNDS, COUNT = 5, 5  # turns; pictures for the ranges


def inputs(seed: int) -> list[np.ndarray]:
    """What an exported detector takes, of a picture of noise."""
    pixels = np.random.default_rng(seed).normal(128, 64, (1, 3, *SIZE))
    return [pixels.clip(0, 255).astype(np.uint8), np.array([SIZE])]


def export(folder: Path) -> None:
    """Write the files that are missing: in float32 and in 8 bits, for each engine."""
    for engine in (OPENVINO,):
        plain, few = (folder / f'{name}{engine.suffix}' for name in ('float32', 'int8'))
        if not plain.exists():
            model = build('faster-rcnn-rexnet-100').model
            # Scores that differ, so that each level of the pyramid gets some of the proposals.
            torch.nn.init.normal_(model.rpn_head.rpn_cls.weight)
            graph = build_graph(model, 'detector', SIZE)
            engine.write(to_onnx(graph, 1, SIZE), {}, plain)
        if not few.exists():
            names = engine.open(plain, 0).inputs
            data = nncf.Dataset([dict(zip(names, inputs(seed))) for seed in range(COUNT)])
            engine.quantise(plain, data, few, dict(subset_size=COUNT))


@torch.no_grad()
def main(folder: str) -> None:
    """See the module."""
    kept = Path(folder)
    kept.mkdir(parents=True, exist_ok=True)
    export(kept)
    arrays = inputs(0)
    image = (torch.from_numpy(arrays[0]).float() - 128) / 64
    threads = torch.get_num_threads()
    runs: dict[str, Callable] = {}
    for engine in (OPENVINO,):
        for name in ('float32', 'int8'):
            opened = engine.open(kept / f'{name}{engine.suffix}', threads)
            runs[f'{engine.name}, {name}'] = partial(opened.compute, arrays)
    for model, form in (('faster-rcnn-rexnet-100', 'native'), ('faster-rcnn-resnet-50', 'eager')):
        run = FORMS[form](build(model), image)
        runs[f'{model}, {form}'] = partial(run, image)
    times: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(ROUNDS + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            if turn:
                times[name].append(1000 * (time.perf_counter() - start))
    for name, spent in times.items():
        print(f'{name}: {statistics.median(spent):.0f} ms ({min(spent):.0f})')


if __name__ == '__main__':
    main(*sys.argv[1:])
