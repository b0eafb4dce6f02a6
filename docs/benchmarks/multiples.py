"""ScaleNet-50 with counts of neurons that are multiples of 8 or 16, beside the published one.

    python docs/benchmarks/multiples.py 1x800x1216

Each block's counts are rounded in the published shares, to no more multiply-adds as a whole. Time
only: nobody has trained them. Wants ONNX Runtime, OpenVINO, a C++ compiler and a quiet machine.
"""

import argparse
from collections.abc import Sequence

from mmscale import benchmark
from mmscale.benchmark.forms import MODELS
from mmscale.engine.counting import backbone_macs
from mmscale.structures import Structure, load_structure

FORMS = ('native', 'compiled', 'onnxruntime', 'openvino')
SIDES = 224, 224


def rounded(counts: Sequence[int], factor: float, multiple: int) -> tuple[int, ...]:
    """A block's counts times a factor, as multiples that sum to the multiple nearest to theirs."""
    groups = [factor * count / multiple for count in counts]
    whole = [int(group) for group in groups]
    rest = sorted(range(len(counts)), key=lambda index: whole[index] - groups[index])
    for index in rest[: max(round(sum(groups)), 1) - sum(whole)]:
        whole[index] += 1
    return tuple(multiple * count for count in whole)


def scaled(published: Structure, factor: float, multiple: int) -> dict:
    """A ScaleNet with rounded counts."""
    stages = tuple(
        tuple(rounded(row, factor, multiple) for row in rows) for rows in published.stages
    )
    structure = Structure(f'multiples of {multiple}', published.scales, stages, '')
    return dict(type='mmscale.ScaleNet', structure=structure.content())


def fitted(published: Structure, multiple: int) -> dict:
    """The largest of them with no more multiply-adds than the published one."""
    most = backbone_macs(dict(type='mmscale.ScaleNet', depth=50), SIDES)
    factors = (1.05 - step / 1000 for step in range(200))
    models = (scaled(published, factor, multiple) for factor in factors)
    return next(model for model in models if backbone_macs(model, SIDES) <= most)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('shapes', nargs='+')
    parser.add_argument('--rounds', type=int, default=7)
    args = parser.parse_args()
    names = ['resnet-50', 'scalenet-50']
    for multiple in (8, 16):
        names.append(f'scalenet-50-by-{multiple}')
        MODELS[names[-1]] = fitted(load_structure('scalenet50'), multiple)
    for name in names:
        print(f'{name}: {backbone_macs(MODELS[name], SIDES) / 1e9:.3f} G multiply-adds at 224 px')
    cases = [f'{name}:{form}' for form in FORMS for name in names]
    for row in benchmark.run(cases, args.shapes, rounds=args.rounds)['rows']:
        shape = benchmark.shape_text(row['shape'])
        print(f'{shape} {row["case"]}: {row["ms"]:.0f} ms ({row["best_ms"]:.0f})')


if __name__ == '__main__':
    main()
