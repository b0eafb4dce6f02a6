"""Our backbones and their peers on a GPU: precisions, layouts, torch.compile, CUDA graphs.

    python docs/benchmarks/gpu.py [--rounds 15] [--only GROUP ...] [-o FILE.json]

Each group of cases is timed in turns in one process, by CUDA events; a row says the median and the
least of the rounds in milliseconds. Groups: `taps` (backbones, the maps of strides 4 to 32),
`detectors` (pixels to boxes), `training` (a step of SGD on random maps), `detector_training`, and
`compiled_taps` and `compiled_training`, whose compiling takes most of the time.
docs/notes/speed.md says what was measured so far.
"""

import argparse
import gc
import itertools
import json
import statistics
import sys
import time
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

import mmscale  # noqa: F401  (before mmcv.ops)
from mmscale.benchmark.forms import build
from mmscale.benchmark.measuring import machine
from mmscale.deploy import fuse, to_channels_last

PAIRS = {'rexnet-100': 'timm-rexnet-100', 'scalenet-50': 'resnet-50'}  # ours and the peer
DETECTORS = ('faster-rcnn-rexnet-100', 'faster-rcnn-scalenet-50', 'faster-rcnn-resnet-50')
SHAPES = ((1, 800, 1216), (64, 224, 224), (1, 224, 224))
TRAINED = (64, 224, 224)
LEAST = 10.0  # ms that one round lasts at least: short cases run several times in it


def images(shape, dtype=torch.float32):
    """Random images in channels-last memory, the layout of tensor cores."""
    generator = torch.Generator().manual_seed(0)
    count, height, width = shape
    x = torch.randn(count, 3, height, width, generator=generator)
    return x.to('cuda', dtype, memory_format=torch.channels_last)


def kind_of(dtype):
    """A type's name in the table: ``float16``."""
    return str(dtype).removeprefix('torch.')


def recorded(run):
    """What a function launches as one CUDA graph, without the time of Python and of launches."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            run()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return graph.replay


def forms_of(name, shape):
    """Functions of a backbone's inference by the names of their forms."""
    yield 'float32, contiguous', without_grad(build(name).cuda(), images(shape).contiguous())
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        kind = kind_of(dtype)
        x = images(shape, dtype)
        model = fuse(build(name)).to('cuda', dtype)
        yield f'{kind}, fused', without_grad(model, x)
        yield f'{kind}, fused, graph', recorded(without_grad(model, x))


def without_grad(model, x):
    """A pass through a model."""

    def run():
        with torch.no_grad():
            model(x)

    run()
    return run


def taps():
    """Backbones against their peers."""
    for shape in SHAPES:
        for pair in PAIRS.items():
            cases = {}
            for name in pair:
                for form, run in forms_of(name, shape):
                    cases[f'{name}: {form}'] = run
            yield f'taps, {" x ".join(map(str, shape))}', cases


def compiled_taps():
    """Backbones by torch.compile."""
    for shape in SHAPES[:2]:
        for pair in PAIRS.items():
            cases, x = {}, images(shape, torch.float16)
            for name in pair:
                model = torch.compile(fuse(build(name)).cuda().half())
                run = without_grad(model, x)
                cases[f'{name}: float16, compiled'] = run
                cases[f'{name}: float16, compiled, graph'] = recorded(run)
            yield f'taps, {" x ".join(map(str, shape))}', cases


def stepping(model, x, dtype, compiled=False):
    """A step of SGD, by autocast where the type is not single."""
    model.train()
    if compiled:
        model = torch.compile(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9)

    def run():
        with torch.autocast('cuda', dtype, enabled=dtype != torch.float32):
            loss = sum(y.float().square().mean() for y in model(x))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    run()
    return run


def training():
    """Training steps of backbones."""
    shape = TRAINED
    for pair in PAIRS.items():
        cases = {}
        for name, dtype in itertools.product(pair, (torch.float32, torch.bfloat16)):
            kind = kind_of(dtype)
            for layout in ('contiguous', 'channels-last'):
                model, x = build(name).cuda(), images(shape)
                if layout == 'contiguous':
                    x = x.contiguous()
                else:
                    model = to_channels_last(model)
                cases[f'{name}: {kind}, {layout}'] = stepping(model, x, dtype)
        yield f'training, {" x ".join(map(str, shape))}', cases


def compiled_training():
    """Training steps of backbones by torch.compile."""
    for pair in PAIRS.items():
        cases = {}
        for name in pair:
            model, x = to_channels_last(build(name)).cuda(), images(TRAINED)
            step = stepping(model, x, torch.bfloat16, compiled=True)
            cases[f'{name}: bfloat16, compiled'] = step
        yield f'training, {" x ".join(map(str, TRAINED))}', cases


def autocast(run, dtype):
    """A function in lower precision where that is safe."""

    def within():
        with torch.autocast('cuda', dtype):
            run()

    return within


def detectors():
    """Whole detectors, one image of 800 x 1344 pixels."""
    shape, cases = (1, 800, 1344), {}
    for name in DETECTORS:
        model, x = build(name).cuda(), images(shape)
        cases[f'{name}: float32, contiguous'] = without_grad(model, x.contiguous())
        fused = fuse(build(name)).cuda()
        cases[f'{name}: float32, fused'] = without_grad(fused, x)
        for dtype in (torch.float16, torch.bfloat16):
            kind = kind_of(dtype)
            cases[f'{name}: {kind}, fused'] = autocast(without_grad(fused, x), dtype)
    yield 'detectors, 1 x 800 x 1344', cases


def detector_training():
    """Training steps of whole detectors, four images of 800 x 1344 pixels."""
    shape, cases = (4, 800, 1344), {}
    for name in DETECTORS:
        for dtype in (torch.float32, torch.bfloat16):
            kind = kind_of(dtype)
            model = to_channels_last(build(name)).cuda()
            cases[f'{name}: {kind}'] = stepping(model, images(shape), dtype)
    yield 'detector-training, 4 x 800 x 1344', cases


def milliseconds(run, times):
    """Of one call, from several in a row."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    for _ in range(times):
        run()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / times


def time_in_turns(cases, rounds):
    """The median and the least of each case's rounds."""
    often = {}
    for name, run in cases.items():
        milliseconds(run, 3)
        often[name] = max(1, round(LEAST / milliseconds(run, 3)))
    times = {name: [] for name in cases}
    for _ in range(rounds):
        for name, run in cases.items():
            times[name].append(milliseconds(run, often[name]))
    return {name: dict(ms=statistics.median(ms), best_ms=min(ms)) for name, ms in times.items()}


GROUPS = (taps, detectors, training, detector_training, compiled_taps, compiled_training)


def main():
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--rounds', type=int, default=15, help='of which the median counts')
    parser.add_argument('--only', nargs='*', help='groups', choices=[f.__name__ for f in GROUPS])
    parser.add_argument('-o', '--out', type=Path, help='a JSON file for the figures')
    args = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit('there is no GPU here: tools/benchmark.py measures on CPUs')
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    rows, table = [], Table('group', 'case', 'ms, median (least)')
    console = Console(width=120)
    for group in GROUPS:
        if args.only and group.__name__ not in args.only:
            continue
        begun = time.perf_counter()
        for title, cases in group():
            for name, found in time_in_turns(cases, args.rounds).items():
                rows.append(dict(group=title, case=name, **found))
                console.print(f'{title}: {name}: {found["ms"]:.3f} ({found["best_ms"]:.3f})')
                table.add_row(title, name, f'{found["ms"]:.3f} ({found["best_ms"]:.3f})')
            del cases
            gc.collect()
            torch.cuda.empty_cache()
            torch.compiler.reset()
            if args.out:  # after every part, so that a run that ends early keeps them
                text = json.dumps(dict(machine=machine(), rows=rows), indent=1)
                args.out.write_text(text + '\n', encoding='utf-8')
        console.print(f'{group.__name__}: {time.perf_counter() - begun:.0f} s')
    console.print(table)


if __name__ == '__main__':
    main()
