"""This package's backbones and peers of 2018 to 2026 on a CPU: cost and published accuracy.

    python docs/benchmarks/peers.py --run   # times them: docs/benchmarks/peers-SHAPE.json
    python docs/benchmarks/peers.py         # from them: the table of docs/speed.md, the picture

All run in turns in one process, each in the forms that it has; of these the fastest counts. Wants
timm, ONNX Runtime, OpenVINO, a C++ compiler and a quiet machine.
"""

import argparse
import json
from pathlib import Path
from typing import NamedTuple

from mmscale import benchmark
from mmscale.utils.figures import new_figure, write_figure

HERE = Path(__file__).parent
PICTURE = HERE.parent / 'images/speed-budget.png'
LARGE = '1x800x1216'
SHAPES = {'1x224x224': 25, LARGE: 9}  # and the rounds
ENGINES = ('compiled', 'onnxruntime', 'openvino')


class Peer(NamedTuple):
    """A backbone of the benchmark.

    Attributes:
        label (str): Its name.
        top1 (float | None): Published, on ImageNet at 224 px if nothing else is said.
        note (str): What is special to that figure.
        native (bool): Whether there is something for the C++ to compute.
    """

    label: str
    top1: float | None
    note: str = ''
    native: bool = False


PEERS = {
    'rexnet-lite-100': Peer('ReXNet-lite 1.0', 76.2, native=True),
    'rexnet-100': Peer('ReXNet 1.0', 77.9, native=True),
    'scalenet-50-light': Peer('ScaleNet-50-light', 77.2, native=True),
    'scalenet-50': Peer('ScaleNet-50', 77.98, native=True),
    'resnet-50': Peer('ResNet-50', 75.98, "of ScaleNet's authors", native=True),
    'mobilenet-v2': Peer('MobileNetV2', 72.0),
    'timm-rexnet-100': Peer("timm's ReXNet 1.0", 77.9),
    'timm-efficientnet-b0': Peer('EfficientNet-B0', 77.1),
    'timm-mobilenetv4-small': Peer('MobileNetV4-Conv-S', 73.8),
    'timm-mobilenetv4-medium': Peer('MobileNetV4-Conv-M', 79.9, 'at 256 px'),
    'timm-repvit-m1.0': Peer('RepViT-M1.0', 80.0, 'distilled'),
    'timm-hgnetv2-b0': Peer('HGNetV2-B0', 77.8, 'distilled', native=True),
    'timm-cpubone-b0': Peer('CPUBone-B0', None),
    'timm-cpubone-b1': Peer('CPUBone-B1', None),
}

BELOW = ('timm-rexnet-100', 'timm-mobilenetv4-medium')  # labels in the way of others


def path_of(shape: str) -> Path:
    """The file of what was measured."""
    return HERE / f'peers-{shape}.json'


def time_all(rounds: int | None) -> None:
    """Measure, and keep what was measured."""
    cases = [
        f'{name}:{form}'
        for name, peer in PEERS.items()
        for form in (*(['native'] if peer.native else []), *ENGINES)
    ]
    for shape, usual in SHAPES.items():
        result = benchmark.run(cases, [shape], rounds=rounds or usual)
        path_of(shape).write_text(json.dumps(result, indent=1) + '\n')


def fastest(shape: str) -> dict[str, dict]:
    """The row of the least time of each backbone."""
    found: dict[str, dict] = {}
    for row in json.loads(path_of(shape).read_text())['rows']:
        name = row['case'].rpartition(':')[0]
        if name not in found or row['best_ms'] < found[name]['best_ms']:
            found[name] = row
    return found


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('--run', action='store_true', help='measure first')
    parser.add_argument('--rounds', type=int, help='in place of 25 and 9')
    args = parser.parse_args()
    if args.run:
        time_all(args.rounds)
    measured = {shape: fastest(shape) for shape in SHAPES if path_of(shape).is_file()}
    large = measured[LARGE]
    print(f'| backbone | published top-1, % | {" | ".join(f"{shape}, ms" for shape in measured)} |')
    print('|---' * (2 + len(measured)) + '|')
    for name in sorted(large, key=lambda name: large[name]['best_ms']):
        peer = PEERS[name]
        told = f'{peer.top1:g}' if peer.top1 else ''
        cells = [f'{told}, {peer.note}' if peer.note else told]
        for rows in measured.values():
            row = rows[name]
            cells.append(f'{row["best_ms"]:.3g} ({row["case"].rpartition(":")[2]})')
        print(f'| {peer.label} | {" | ".join(cells)} |')
    figure, [[axes]] = new_figure(1)
    for name, peer in PEERS.items():
        if peer.top1 and name in large:
            place = large[name]['best_ms'], peer.top1
            axes.scatter(*place, color='C1' if name.startswith(('rexnet', 'scalenet')) else 'C0')
            side = (5, -10) if name in BELOW else (5, 3)
            axes.annotate(peer.label, place, side, textcoords='offset points', fontsize=7)
    axes.set(xscale='log', xlabel='ms, 1 x 800 x 1216, fastest form', ylabel='published top-1, %')
    axes.set(xlim=(35, 1600), xticks=(50, 100, 200, 400, 800), xticklabels=(50, 100, 200, 400, 800))
    axes.minorticks_off()
    write_figure(figure, PICTURE)


if __name__ == '__main__':
    main()
