"""3x3 convolutions in C++ beside oneDNN's: the table of docs/notes/speed.md, in Markdown."""

import time
from copy import deepcopy

import torch
from torch import nn

from mmscale.deploy.native import to_winograd

# Channels in and out, height and width.
SIZES = (
    (256, 256, 200, 304),
    (256, 256, 50, 76),
    (128, 128, 100, 152),
    (64, 64, 200, 304),
    (35, 70, 56, 56),
)


@torch.no_grad()
def main() -> None:
    """See the module."""
    print('| channels, map | oneDNN, ms | in C++, ms | ratio | errors |\n|---|---|---|---|---|')
    for channels, out, height, width in SIZES:
        plain = nn.Conv2d(channels, out, 3, padding=1).to(memory_format=torch.channels_last)
        ours = deepcopy(plain)
        to_winograd(ours)
        x = torch.randn(1, channels, height, width).to(memory_format=torch.channels_last)
        exact = deepcopy(plain).double()(x.double())
        times: dict[nn.Module, list[float]] = {plain: [], ours: []}
        for _ in range(9):
            for conv, spent in times.items():
                start = time.perf_counter()
                conv(x)
                spent.append(1000 * (time.perf_counter() - start))
        errors = [((c(x) - exact).abs().max() / exact.abs().max()).item() for c in times]
        theirs, own = map(min, times.values())
        cells = [f'{theirs:.3g}', f'{own:.3g}', f'{theirs / own:.2f}']
        cells.append(', '.join(f'{error:.1e}' for error in errors))
        print(f'| {channels} to {out}, {height} x {width} | {" | ".join(cells)} |')


if __name__ == '__main__':
    main()
