"""Pictures of neuron structures: the share of each scale in each block, and what it comes from."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

from matplotlib import colormaps

from mmscale.structures import Structure
from mmscale.utils.figures import new_figure, write_figure


def draw_structures(structures: Sequence[Structure], out: str | Path) -> Path:
    """Draw the shares of the scales in every block, one row for each structure.

    Args:
        structures (Sequence[Structure]): To compare.
        out (str | Path): The PNG to write.

    Returns:
        Path: `out`.
    """
    figure, axes = new_figure(1, rows=len(structures))
    colours = _colours(sorted({scale for s in structures for scale in s.scales}))
    for axis, structure in zip(axes[:, 0], structures):
        _draw_shares(axis, structure, colours)
    return write_figure(figure, out)


def draw_allocation(
    structure: Structure, scores: Sequence, kept: Sequence, measure: str, out: str | Path
) -> Path:
    """Draw the shares of an allocation above the scores of the network that it was made from.

    Args:
        structure (Structure): What was found.
        scores, kept (list[list[dict]]), measure (str): See :mod:`mmscale.allocation`.
        out (str | Path): The PNG to write.

    Returns:
        Path: `out`.
    """
    figure, axes = new_figure(1, rows=2)
    colours = _colours(structure.scales)
    _draw_shares(axes[0, 0], structure, colours)
    _draw_scores(axes[1, 0], colours, scores, kept)
    axes[1, 0].set(xlabel='block', ylabel=f'{measure}; dashes: the lowest that is kept')
    return write_figure(figure, out)


def _colours(scales):
    """A colour for each scale, the same in all panels."""
    if len(scales) <= 10:
        return {scale: f'C{index}' for index, scale in enumerate(scales)}
    turbo = colormaps['turbo']
    return {scale: turbo(index / (len(scales) - 1)) for index, scale in enumerate(scales)}


def _draw_shares(axis, structure, colours):
    rows = [row for blocks in structure.stages for row in blocks]
    below = [0.0] * len(rows)
    for index, (scale, share) in enumerate(zip(structure.scales, structure.shares)):
        heights = [row[index] / sum(row) for row in rows]
        label = f'scale {scale}: {share:.1%}'
        axis.bar(range(len(rows)), heights, 0.9, below, color=colours[scale], label=label)
        below = [low + height for low, height in zip(below, heights)]
    neurons = '/'.join(_range(sum(row) for row in blocks) for blocks in structure.stages)
    name = textwrap.shorten(structure.name, 60, placeholder='...')
    # A name may hold dollars, which would be mathematics.
    axis.set_title(f'{name}: {neurons} neurons in a block', parse_math=False)
    axis.set(ylabel='share of neurons', xlim=(-0.6, len(rows) - 0.4), ylim=(0, 1))
    _mark_stages(axis, structure.depths)
    axis.legend(loc='upper left', bbox_to_anchor=(1, 1))


def _range(numbers):
    numbers = sorted(set(numbers))
    return str(numbers[0]) if len(numbers) == 1 else f'{numbers[0]}-{numbers[-1]}'


def _draw_scores(axis, colours, scores, kept):
    """Boxes of the scores' quartiles for each block and scale; dashes where the selection ends."""
    width = 0.9 / len(colours)
    blocks = [pair for stage in zip(scores, kept) for pair in zip(*stage)]
    for index, (scale, colour) in enumerate(colours.items()):
        drawn = [(n, block[scale]) for n, (block, _) in enumerate(blocks) if scale in block]
        if not drawn:
            continue
        places = [n + (index - (len(colours) - 1) / 2) * width for n, _ in drawn]
        values = [score.numpy() for _, score in drawn]
        axis.boxplot(
            values,
            positions=places,
            widths=width * 0.8,
            patch_artist=True,
            manage_ticks=False,
            boxprops=dict(facecolor=colour, linewidth=0),
            medianprops=dict(color='black'),
            flierprops=dict(marker='.', markersize=2, markeredgecolor=colour),
        )
    for number, (block, best) in enumerate(blocks):
        lowest = min(float(block[k][i].min()) for k, i in best.items() if len(i))
        axis.hlines(lowest, number - 0.45, number + 0.45, color='black', linestyle='--')
    axis.set_xlim(-0.6, len(blocks) - 0.4)
    axis.ticklabel_format(axis='y', useOffset=False)
    _mark_stages(axis, [len(stage) for stage in scores])


def _mark_stages(axis, depths):
    ends = [sum(depths[: n + 1]) - 0.5 for n in range(len(depths) - 1)]
    for end in ends:
        axis.axvline(end, color='black', linewidth=1)
    every = 1 if sum(depths) <= 20 else 5
    axis.set_xticks(range(0, sum(depths), every))
    axis.tick_params(axis='x', labelsize=7)
