"""Draw the pictures of docs/zoo.md: what networks cost, counted, and how good they are, published.

python docs/images/zoo.py
"""

import runpy
from pathlib import Path

from matplotlib.figure import Figure

HERE = Path(__file__).parent
ZOO = runpy.run_path(str(HERE.parents[1] / '.ci/zoo.py'))
SOURCE, COUNTS = ZOO['SOURCE']['networks'], ZOO['counts']()
# Colour, marker, line, and where the labels stand: points to the right and up, and what is aligned.
FAMILIES = {
    'ReXNet': ('tab:orange', 'o', '-', (-7, 4, 'right')),
    'ReXNet-lite': ('tab:red', 's', '-', (8, -8, 'left')),
    'ScaleNet': ('tab:blue', '^', '-', (-5, 8, 'right')),
    'SAN': ('tab:green', 'D', '-', (9, -4, 'left')),
    'ResNet-50': ('0.35', 'X', 'none', (9, -4, 'left')),
}


def main():
    """Write both pictures."""
    for name, figure in (
        ('zoo-classifiers', draw(points('classifier', 'top-1'), 'published top-1, %')),
        ('zoo-detectors', draw(points('faster-rcnn', 'box AP'), 'published box AP, %')),
    ):
        figure.savefig(HERE / f'{name}.png', metadata=dict(Software=None))


def points(task, metric):
    """Family, label, multiply-adds in G and the published figure of every network that has one."""
    found = []
    for name, published in SOURCE.items():
        for kind, row in published.items():
            if not kind.startswith(task) or metric not in row:
                continue
            macs = COUNTS[ZOO['TASKS'][task].format(name)]['macs'] / 1e9
            family, label = 'ResNet-50', "ScaleNet's authors" if ' of ' in kind else ''
            if name == 'r50':
                label = label or ("SAN's authors" if task == 'classifier' else '')
            else:
                family = ZOO['collection'](name)
                label = short(name)
            found.append((family, label, macs, float(row[metric])))
    return found


def short(name):
    """A network within its family: 1.3 of rexnet-130, 50-light of scalenet-50-light."""
    rest = name.removeprefix('rexnet-').removeprefix('lite-').removeprefix('scalenet-')
    return f'{int(rest) / 100:.1f}' if name.startswith('rexnet') else rest.removeprefix('san-')


def draw(rows, title):
    """A figure with a line for each family."""
    figure = Figure(figsize=(7, 4.2), dpi=150, layout='constrained')
    axes = figure.subplots()
    for family, (colour, marker, line, (right, up, side)) in FAMILIES.items():
        own = sorted((row for row in rows if row[0] == family), key=lambda row: row[2])
        if not own:
            continue
        macs, published = [row[2] for row in own], [row[3] for row in own]
        look = dict(marker=marker, color=colour, linestyle=line, markersize=7)
        axes.plot(macs, published, label=family, **look)
        place = dict(xytext=(right, up), textcoords='offset points', ha=side)
        for text, *point in zip((row[1] for row in own), macs, published):
            axes.annotate(text, point, color=colour, fontsize=10, **place)
    axes.set_xscale('log')
    ticks = (
        [0.3, 0.5, 1, 2, 4, 8] if max(row[2] for row in rows) < 50 else [120, 140, 160, 180, 200]
    )
    axes.set_xticks(ticks, [f'{tick:g}' for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.margins(0.1, 0.14)
    axes.set_xlabel('multiply-adds, G (counted)', fontsize=11)
    axes.set_ylabel(title, fontsize=11)
    axes.grid(alpha=0.3)
    axes.legend(loc='best', fontsize=10)
    return figure


if __name__ == '__main__':
    main()
