"""Pictures of neuron structures: the share of each scale in each block, and what it comes from."""

from mmscale.curves import new_figure, write_figure


def draw_structures(structures, out):
    """Draw the shares of the scales in every block, one row for each structure.

    Args:
        structures (Sequence[Structure]): To compare.
        out (str | Path): The PNG to write.

    Returns:
        Path: `out`.
    """
    figure, axes = new_figure(1, rows=len(structures))
    for axis, structure in zip(axes[:, 0], structures):
        _draw_shares(axis, structure)
    return write_figure(figure, out)


def draw_allocation(structure, scores, kept, out):
    """Draw the shares of an allocation above the scores of the network that it was made from.

    Args:
        structure (Structure): What was found.
        scores, kept (list[list[dict]]): See :mod:`mmscale.allocation`.
        out (str | Path): The PNG to write.

    Returns:
        Path: `out`.
    """
    figure, axes = new_figure(1, rows=2)
    _draw_shares(axes[0, 0], structure)
    _draw_scores(axes[1, 0], structure.scales, scores, kept)
    return write_figure(figure, out)


def _draw_shares(axis, structure):
    rows = [row for blocks in structure.stages for row in blocks]
    below = [0.0] * len(rows)
    for index, (scale, share) in enumerate(zip(structure.scales, structure.shares)):
        heights = [row[index] / sum(row) for row in rows]
        axis.bar(range(len(rows)), heights, 0.9, below, label=f'scale {scale}: {share:.1%}')
        below = [low + height for low, height in zip(below, heights)]
    neurons = '/'.join(str(sum(blocks[0])) for blocks in structure.stages)
    axis.set(title=f'{structure.name}: {neurons} neurons in a block', ylabel='share of neurons')
    axis.set(xlim=(-0.6, len(rows) - 0.4), ylim=(0, 1))
    _mark_stages(axis, structure.depths)
    axis.legend(loc='upper left', bbox_to_anchor=(1, 1))


def _draw_scores(axis, scales, scores, kept):
    """Boxes of the scores' quartiles for each block and scale; dots where the selection ends."""
    width = 0.9 / len(scales)
    blocks = [pair for stage in zip(scores, kept) for pair in zip(*stage)]
    for index, scale in enumerate(scales):
        drawn = [(n, block[scale]) for n, (block, _) in enumerate(blocks) if scale in block]
        if not drawn:
            continue
        places = [n + (index - (len(scales) - 1) / 2) * width for n, _ in drawn]
        values = [score.numpy() for _, score in drawn]
        colour = f'C{index}'
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
    axis.set(xlabel='block', ylabel='score; above the dashes kept', xlim=(-0.6, len(blocks) - 0.4))
    _mark_stages(axis, [len(stage) for stage in scores])


def _mark_stages(axis, depths):
    ends = [sum(depths[: n + 1]) - 0.5 for n in range(len(depths) - 1)]
    for end in ends:
        axis.axvline(end, color='black', linewidth=1)
    axis.set_xticks(range(sum(depths)), [str(n) for n in range(sum(depths))], fontsize=7)
