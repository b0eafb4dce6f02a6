"""Draw the pictures of docs/backbones.md: the blocks of the three families, and the taps.

    python docs/images/blocks.py

Channels and strides of the taps are asked of the package, nothing is typed twice.
"""

from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch

from mmscale import ReXNet, SANMobileNetV2, SANResNet, ScaleNet

HERE = Path(__file__).parent
CONV, NORM, OTHER, PLAIN, MADE = '#cfe2f3', '#fff2cc', '#d9ead3', '#eeeeee', '#f4cccc'
GREY = '0.25'


def main():
    """Write the four pictures."""
    for name, draw in (('rexnet', rexnet), ('scalenet', scalenet), ('san', san), ('taps', taps)):
        draw().savefig(HERE / f'block-{name}.png', metadata=dict(Software=None))


class Drawing:
    """Boxes and arrows on a plane whose unit is an inch."""

    def __init__(self, width, height):
        self.figure = Figure(figsize=(width, height), dpi=150)
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set(xlim=(0, width), ylim=(0, height))
        self.axes.axis('off')

    def box(self, x, y, text, *, width=2.0, height=0.42, colour=CONV, size=11):
        """A box with text around (x, y)."""
        corner = (x - width / 2, y - height / 2)
        shape = FancyBboxPatch(
            corner, width, height, boxstyle='round,pad=0,rounding_size=0.07',
            facecolor=colour, edgecolor=GREY, linewidth=1,
        )  # fmt: skip
        self.axes.add_patch(shape)
        self.text(x, y, text, size=size)

    def text(self, x, y, text, *, size=10.5, align='center', colour='black', style='normal'):
        """Text at (x, y)."""
        self.axes.text(
            x, y, text, fontsize=size, ha=align, va='center', color=colour, style=style,
            linespacing=1.25,
        )  # fmt: skip

    def arrow(self, *points):
        """A line along points, with a head at its end."""
        *line, last = points
        self.axes.plot(*zip(*line), color=GREY, linewidth=1.3, solid_capstyle='round')
        self.axes.annotate(
            '', last, line[-1], arrowprops=dict(arrowstyle='-|>', color=GREY, linewidth=1.3,
                                                shrinkA=0, shrinkB=0, mutation_scale=12),
        )  # fmt: skip

    def plus(self, x, y):
        """The sign of an addition."""
        self.axes.add_patch(Circle((x, y), 0.15, facecolor='white', edgecolor=GREY, linewidth=1.3))
        self.text(x, y, '+', size=14)


def chain(drawing, x, top, boxes, gap=0.62):
    """Boxes below each other with arrows between; returns the height of the last one."""
    for number, (text, colour, note) in enumerate(boxes):
        y = top - number * gap
        drawing.box(x, y, text, width=2.75, colour=colour)
        if number:
            drawing.arrow((x, y + gap - 0.21), (x, y + 0.21))
        if note:
            drawing.text(x + 1.5, y, note, align='left', size=10, colour='0.3')
    return top - (len(boxes) - 1) * gap


def rexnet():
    """ReXNet's inverted bottleneck and its partial shortcut."""
    d = Drawing(7, 4.9)
    x, top = 3.25, 4.05
    d.text(x, 4.75, 'input: $c$ channels', size=11)
    d.arrow((x, 4.61), (x, top + 0.21))
    last = chain(d, x, top, [
        ('1 x 1 conv, norm, SiLU', CONV, 'to $6\\,c$ channels; not in\nthe first block of all'),
        ('3 x 3 depthwise conv, norm', CONV, 'has the stride'),
        ('squeeze-excite', OTHER, 'from the third stage on;\nnot in ReXNet-lite'),
        ('ReLU6', PLAIN, ''),
        ('1 x 1 conv, norm', CONV, 'to $c + \\Delta$ channels, a few\nmore in every block'),
    ])  # fmt: skip
    d.arrow((x, last - 0.21), (x, last - 0.52))
    d.plus(x, last - 0.67)
    d.arrow((x, last - 0.82), (x, last - 1.13))
    d.text(x, last - 1.28, 'output: $c + \\Delta$ channels', size=11)
    d.arrow((x, 4.45), (1.6, 4.45), (1.6, last - 0.67), (x - 0.15, last - 0.67))
    note = 'shortcut, where\nthe stride is 1:\nadded to the\nfirst $c$ channels'
    d.text(1.48, 2.8, note, size=10, colour='0.3', align='right')
    return d.figure


def scalenet():
    """ScaleNet's bottleneck with a scale aggregation block."""
    d = Drawing(7, 6.9)
    x = 3.6
    d.text(x, 6.72, 'input', size=11)
    d.arrow((x, 6.6), (x, 6.36))
    d.box(x, 6.15, '2 x 2 max pool', colour=OTHER, width=2.4)
    d.text(x + 1.3, 6.15, 'first block of stages 2 to 4', align='left', size=10, colour='0.3')
    d.arrow((x, 5.94), (x, 5.66))
    d.box(x, 5.45, '1 x 1 conv, norm, ReLU', width=2.4)
    branch = FancyBboxPatch((0.75, 1.98), 6.1, 3.0, boxstyle='round,pad=0,rounding_size=0.1',
                            facecolor='none', edgecolor='0.5', linestyle='--')  # fmt: skip
    d.axes.add_patch(branch)
    d.text(6.75, 5.12, 'SA block', size=11, align='right', style='italic')
    for centre, scale in zip((1.55, 3.0, 4.45, 5.9), (1, 2, 4, 7)):
        d.arrow((x, 5.24), (x, 5.1), (centre, 5.1), (centre, 4.78 if scale > 1 else 4.18))
        heights = {'pool': 4.57, 'conv': 3.97, 'up': 3.37, 'norm': 2.77}
        if scale > 1:
            d.box(centre, heights['pool'], f'max pool {scale}', width=1.25, colour=OTHER, size=10.5)
            d.arrow((centre, heights['pool'] - 0.21), (centre, heights['conv'] + 0.21))
            d.box(centre, heights['up'], f'resize x {scale}', width=1.25, colour=OTHER, size=10.5)
            d.arrow((centre, heights['up'] - 0.21), (centre, heights['norm'] + 0.21))
            d.arrow((centre, heights['conv'] - 0.21), (centre, heights['up'] + 0.21))
        else:
            d.arrow((centre, heights['conv'] - 0.21), (centre, heights['norm'] + 0.21))
        d.box(centre, heights['conv'], f'3 x 3 conv, $n_{scale}$', width=1.25, size=10.5)
        d.box(centre, heights['norm'], 'norm', width=1.25, colour=NORM, size=10.5)
        d.arrow((centre, heights['norm'] - 0.21), (centre, 2.37))
    d.box(3.73, 2.2, 'concatenate, ReLU', width=5.6, height=0.34, colour=PLAIN)
    d.arrow((x, 2.03), (x, 1.76))
    d.box(x, 1.55, '1 x 1 conv, norm', width=2.4)
    d.arrow((x, 1.34), (x, 1.1))
    d.plus(x, 0.95)
    d.arrow((x, 0.8), (x, 0.55))
    d.text(x, 0.4, 'ReLU, output', size=11)
    d.arrow((x, 5.8), (0.4, 5.8), (0.4, 0.95), (x - 0.15, 0.95))
    d.text(0.55, 1.45, 'shortcut (a 1 x 1 conv\nwhere channels change)', size=10, align='left',
           colour='0.3')  # fmt: skip
    note = '$n_1, n_2, n_4, n_7$: the neurons of each\nscale, from the structure'
    d.text(5.15, 0.85, note, size=10, colour='0.3')
    return d.figure


def san():
    """SAN's generated convolution and the norms of each resolution."""
    d = Drawing(7, 4.1)
    d.box(1.25, 3.5, 'resolution\n$r$, in pixels', width=1.7, height=0.66, colour=PLAIN)
    d.arrow((2.1, 3.5), (2.75, 3.5))
    d.box(3.5, 3.5, '$e = r\\,/\\,320$', width=1.5, height=0.5, colour=PLAIN)
    d.arrow((4.25, 3.5), (4.8, 3.5))
    d.box(5.85, 3.5, 'generator\n$W = a\\,e + b$', width=2.1, height=0.66, colour=MADE)
    d.arrow((5.85, 3.17), (5.85, 2.75), (3.5, 2.75), (3.5, 2.16))
    d.text(4.7, 2.88, 'the weights $W$ of this conv', size=10, colour='0.3')
    d.text(1.15, 1.95, 'input', size=11)
    d.arrow((1.45, 1.95), (2.4, 1.95))
    d.box(3.5, 1.95, 'conv', width=2.2)
    d.arrow((4.6, 1.95), (5.0, 1.95), (5.0, 1.55))
    d.text(2.2, 1.0, '$r$ chooses the norm', size=10, colour='0.3')
    d.arrow((0.65, 3.17), (0.65, 0.83), (3.88, 0.83))
    for number, resolution in enumerate((224, 192, 160, 128, 96)):
        d.box(
            4.85, 1.37 - number * 0.27, f'norm of {resolution} px', width=1.9, height=0.25,
            colour=NORM, size=9.5,
        )  # fmt: skip
    d.arrow((5.8, 0.83), (6.35, 0.83))
    d.text(6.4, 0.83, 'output', size=11, align='left')
    return d.figure


def taps():
    """Which maps a backbone hands to an FPN."""
    d = Drawing(7, 4.9)
    centres = (1.0, 2.35, 3.7, 5.05, 6.4)
    d.text(0.2, 4.62, 'image', size=11, align='left')
    d.arrow((centres[0], 4.5), (centres[0], 4.12))
    for x, text in zip(centres, ('stem', 'stage 1', 'stage 2', 'stage 3', 'stage 4')):
        d.box(x, 3.9, text, width=1.05, height=0.44)
    for left, right in zip(centres, centres[1:]):
        d.arrow((left + 0.525, 3.9), (right - 0.525, 3.9))
    info = ReXNet(width_mult=1.0).feature_info
    families = (
        ('ReXNet 1.0', info.channels()),
        ('ScaleNet', list(ScaleNet.feature_channels(depth=50))),
        ('SAN ResNet-50', list(SANResNet.feature_channels(depth=50))),
        ('SAN MobileNetV2', list(SANMobileNetV2.feature_channels())),
    )
    for label, y in (('out_indices', 3.2), ('stride', 2.86)):
        d.text(0.2, y, label, size=10.5, align='left')
    d.text(0.2, 2.5, 'channels of', size=10.5, align='left')
    for row, (label, _) in enumerate(families):
        d.text(0.3, 2.18 - row * 0.3, label, size=10, align='left', colour='0.3')
    for index, (x, stride) in enumerate(zip(centres[1:], info.reduction())):
        x += 0.1
        d.arrow((x - 0.1, 3.68), (x - 0.1, 3.36))
        d.text(x - 0.1, 3.2, str(index), size=11)
        d.text(x - 0.1, 2.86, str(stride), size=11)
        for row, (_, channels) in enumerate(families):
            d.text(x - 0.1, 2.18 - row * 0.3, str(channels[index]), size=11)
        d.arrow((x - 0.1, 1.1), (x - 0.1, 0.72))
    note = 'FPN: in_channels = the four numbers of a row, out 256'
    d.box(4.38, 0.5, note, width=5.0, height=0.44, colour=OTHER)
    return d.figure


if __name__ == '__main__':
    main()
