"""The page of a segmentor of classes: one run, or two beside each other."""

import colorsys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from PIL import Image

from mmscale.errors import UserError
from mmscale.reports.kept import Kept
from mmscale.reports.page import charts, common
from mmscale.reports.page.common import EXACT, Run
from mmscale.reports.page.confusion import confusion
from mmscale.reports.page.parts import (
    Cards,
    Chart,
    Gallery,
    Section,
    Table,
    Text,
    number,
    percent,
)
from mmscale.reports.page.thumbnails import HEIGHT, WIDTH, read_picture, strip

PICTURES = 12


class Study(NamedTuple):
    """What the page says of a run's maps.

    Attributes:
        names (list[str]): Of the classes.
        pictures (list[dict]): As :class:`mmscale.evaluation.keeping.KeptMaps` keeps them.
        confusion (ndarray): (K, K) pixels; rows are the classes, columns what they are taken for.
        colours (ndarray): (256, 3) RGB, of the classes.
        accuracy (ndarray): (N,) share of a picture's pixels that is right.
    """

    names: list[str]
    pictures: list[dict[str, Any]]
    confusion: np.ndarray
    colours: np.ndarray
    accuracy: np.ndarray

    def rates(self) -> dict[str, np.ndarray]:
        """IoU, recall and precision of every class; NaN where there is none."""
        hits = np.diag(self.confusion)
        truth, found = self.confusion.sum(1), self.confusion.sum(0)
        with np.errstate(divide='ignore', invalid='ignore'):
            return {
                'IoU': hits / (truth + found - hits),
                'recall': hits / truth,
                'precision': hits / found,
            }


def study(kept: Kept) -> Study:
    """Compute everything that the page says.

    Raises:
        UserError: If the file that was kept is missing, broken or empty.
    """
    pictures = kept.read('pixels.json')
    if not pictures:
        raise UserError(f'the test of {str(kept.work_dir)!r} had no pictures: test again')
    names = [str(name) for name in kept.record['classes']]
    confusion = np.zeros((len(names), len(names)), np.int64)
    accuracy = []
    for picture in pictures:
        counts = np.array(picture['counts'], np.int64).reshape(-1, 3)
        np.add.at(confusion, (counts[:, 0], counts[:, 1]), counts[:, 2])
        right = counts[counts[:, 0] == counts[:, 1], 2].sum()
        accuracy.append(right / counts[:, 2].sum() if len(counts) else np.nan)
    colours = _colours(kept.record.get('palette'), len(names))
    return Study(names, pictures, confusion, colours, np.array(accuracy))


def _colours(palette, count):
    colours = np.zeros((256, 3), np.uint8)
    if not palette or len(palette) < count:
        hues = (np.arange(count) * 0.618034) % 1
        palette = [[255 * v for v in colorsys.hsv_to_rgb(hue, 0.65, 0.9)] for hue in hues]
    colours[:count] = np.array(palette[:count]).astype(np.uint8)
    return colours


def sections(runs: Sequence[Run]) -> Iterator[Section]:
    """The page's sections, in order."""
    yield _summary(runs)
    yield _classes(runs)
    yield confusion(
        runs, 'pixels', 'Rows are the classes of the pixels, columns what they were taken for.'
    )
    yield _spread(runs)
    yield _pictures(runs)
    yield common.learning(runs)
    yield _data(runs)
    yield common.cost(runs)
    yield common.origin(runs)


def _summary(runs):
    rows: dict[str, list] = {'mIoU': [], 'mean recall (mAcc)': [], 'pixels right (aAcc)': []}
    for run in runs:
        rates, confusion = run.study.rates(), run.study.confusion
        rows['mIoU'].append(100 * float(np.nanmean(rates['IoU'])))
        rows['mean recall (mAcc)'].append(100 * float(np.nanmean(rates['recall'])))
        right = np.trace(confusion) / max(confusion.sum(), 1)
        rows['pixels right (aAcc)'].append(100 * float(right))
    figures = {name: [number(value) for value in values] for name, values in rows.items()}
    cards = common.cards(runs, figures)
    found = runs[0].study
    cards += [('pictures', number(len(found.pictures))), ('classes', number(len(found.names)))]
    sets = [sorted(picture['path'] for picture in run.study.pictures) for run in runs]
    parts = [Cards(cards), common.beside('Figures, in %', rows)(runs)]
    return Section(
        'Summary', 'Figures are in percent.', [*parts, *common.differing_sets(runs, sets)]
    )


def _classes(runs):
    note = 'IoU is the overlap of what is and what was found, over both together; all in percent.'
    pixels = [run.study.confusion.sum(1) for run in runs]
    shares = [count / max(count.sum(), 1) for count in pixels]
    rates = [run.study.rates() for run in runs]
    weight = common.Weight('share of the pixels (%)', '% of the pixels', percent)
    return common.ranked_classes(runs, 'IoU', rates, shares, weight, note)


def _spread(runs):
    edges = np.linspace(0, 1, 11)
    names = [f'{round(100 * low)}–{round(100 * low) + 10}' for low in edges[:-1]]
    parts = []
    for run in runs:
        values = run.study.accuracy[np.isfinite(run.study.accuracy)]
        counts = np.histogram(values, edges)[0].tolist()
        rows = [dict(range=name, count=count) for name, count in zip(names, counts)]
        of = f' of {run.name}' if len(runs) > 1 else ''
        alt = f'Pictures{of} by the share of their pixels that is right; '
        alt += f'{counts[-1]} of {sum(counts)} are above 90 %.'
        what = 'pixels right (%)'
        spec = charts.histogram(rows, alt, 'range', what, names, 'pictures')
        cells = [[name, number(count)] for name, count in zip(names, counts)]
        parts.append(
            Chart(f'Pictures{of}', spec, alt, Table([what, 'pictures'], cells, 'Pictures'))
        )
    return Section('From picture to picture', 'How much of each picture is right.', parts)


def _pictures(runs):
    parts: list[Any] = []
    for run in runs:
        found, pictures = run.study, []
        for place in np.argsort(found.accuracy, kind='stable')[:PICTURES].tolist():
            given = found.pictures[place]
            panels = _panels(run, given)
            if panels:
                share = percent(float(found.accuracy[place]))
                caption = f'{share} % right: {common.short(given["path"])}'
                pictures.append(strip(panels, caption))
        of = f' of {run.name}' if len(runs) > 1 else ''
        legend = 'From the left: the picture, the ground truth, what was found. Black does not '
        legend += 'count. '
        legend += 'The classes have the colours of the data set.' if found.names else ''
        if pictures:
            parts.append(Gallery(f'The worst pictures{of}', pictures, legend))
        else:
            parts.append(Text(f'The worst pictures{of}: no picture can be read.'))
    return Section('Pictures', 'Those with the smallest share of right pixels.', parts)


def _panels(run, given):
    """The picture, the classes of its pixels, and what was found, at one size."""
    image = read_picture(given['path'])
    if image is None or 'maps' not in given:
        return []
    maps = []
    for name in ('truth', 'found'):
        try:
            content = np.fromfile(run.kept.path(f'{given["maps"]}.{name}.png'), np.uint8)
        except OSError:
            return []
        labels = cv2.imdecode(content, cv2.IMREAD_GRAYSCALE)
        if labels is None:
            return []
        maps.append(Image.fromarray(run.study.colours[labels]))
    scale = min(WIDTH / image.width, HEIGHT / image.height, 1.0)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return [
        image.resize(size, Image.Resampling.LANCZOS),
        *(drawn.resize(size, Image.Resampling.NEAREST) for drawn in maps),
    ]


def _data(runs):
    found = runs[0].study
    pixels = found.confusion.sum(1)
    shares = pixels / max(pixels.sum(), 1)
    order = np.argsort(-shares, kind='stable')
    within = np.zeros(len(found.names), int)
    for picture in found.pictures:
        within[list({row[0] for row in picture['counts']})] += 1
    rows = [
        dict(run='', name=name, share=round(100 * float(share), EXACT))
        for name, share in zip(found.names, shares)
    ]
    shown = [found.names[place] for place in order[: common.BARS]]
    alt = f'Bars of the share of pixels by class, from {found.names[order[0]]} to '
    alt += f'{found.names[order[-1]]}.'
    spec = charts.bars(
        [row for row in rows if row['name'] in set(shown)], alt, 'name',
        charts.axis('share', 'pixels (%)'), 'run', [''], shown, lambda row: number(row['share']),
    )  # fmt: skip
    table = Table(
        ['class', 'pixels (%)', 'pictures with it'],
        [
            [found.names[p], percent(float(shares[p])), number(int(within[p]))]
            for p in order.tolist()
        ],
        'Pixels by class',
    )
    note = f'The set of the test: {number(len(found.pictures))} pictures.'
    return Section('The data', note, [Chart('Pixels by class', spec, alt, table)])
