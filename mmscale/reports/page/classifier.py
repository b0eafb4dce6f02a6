"""The page of a classifier: one run, or two beside each other."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from mmscale.errors import UserError
from mmscale.reports.kept import Kept
from mmscale.reports.matching import Bins, calibration
from mmscale.reports.page import charts, common
from mmscale.reports.page.common import Run, names_of
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
from mmscale.reports.page.thumbnails import boxes_picture

PICTURES = 16


class Study(NamedTuple):
    """What the page says of a run's answers.

    Attributes:
        names (list[str]): Of the classes.
        paths (list[str]): Of the pictures.
        truth (ndarray): (N,) the pictures' classes.
        labels, scores (ndarray): (N, 5) at most: the likeliest classes, the first first.
        confusion (ndarray): (K, K) rows are the classes, columns what they are taken for.
        calibration (Bins): Of the first answers' scores.
    """

    names: list[str]
    paths: list[str]
    truth: np.ndarray
    labels: np.ndarray
    scores: np.ndarray
    confusion: np.ndarray
    calibration: Bins

    @property
    def right(self) -> np.ndarray:
        """(N,) whether the first answer is right."""
        return self.labels[:, 0] == self.truth

    def rates(self) -> dict[str, np.ndarray]:
        """Recall, precision and F1 of every class; NaN where there is none."""
        hits = np.diag(self.confusion)
        pictures, answers = self.confusion.sum(1), self.confusion.sum(0)
        with np.errstate(divide='ignore', invalid='ignore'):
            return {
                'recall': hits / pictures,
                'precision': hits / answers,
                'F1': 2 * hits / (pictures + answers),
            }


def study(kept: Kept) -> Study:
    """Compute everything that the page says.

    Raises:
        UserError: If the file that was kept is missing, broken or empty.
    """
    answers = kept.read('answers.json')
    if not answers:
        raise UserError(f'the test of {str(kept.work_dir)!r} had no pictures: test again')
    truth = np.array([answer['truth'] for answer in answers])
    labels = np.array([answer['labels'] for answer in answers])
    scores = np.array([answer['scores'] for answer in answers], float)
    names = [str(name) for name in kept.record.get('classes') or ()]
    most = 1 + max(int(truth.max()), int(labels.max()))
    names += [str(number_) for number_ in range(len(names), most)]
    confusion = np.zeros((len(names), len(names)), np.int64)
    np.add.at(confusion, (truth, labels[:, 0]), 1)
    bins = calibration(scores[:, 0], labels[:, 0] == truth)
    paths = [str(answer['path']) for answer in answers]
    return Study(names, paths, truth, labels, scores, confusion, bins)


def sections(runs: Sequence[Run]) -> Iterator[Section]:
    """The page's sections, in order."""
    yield _summary(runs)
    yield _classes(runs)
    yield confusion(
        runs, 'pictures', 'Rows are the classes, columns what their pictures were taken for.'
    )
    yield _scores(runs)
    yield _pictures(runs)
    yield common.learning(runs)
    yield _data(runs)
    yield common.cost(runs)
    yield common.origin(runs)


def _top(found, count):
    return float((found.labels[:, :count] == found.truth[:, None]).any(1).mean())


def _summary(runs):
    rows: dict[str, list] = {}
    for run in runs:
        found, rates = run.study, run.study.rates()
        values = {'top-1 accuracy': _top(found, 1)}
        if len(found.names) > 5:
            values['top-5 accuracy'] = _top(found, 5)
        values['mean F1 of the classes'] = float(np.nanmean(rates['F1']))
        values['calibration error'] = found.calibration.error
        for name, value in values.items():
            rows.setdefault(name, []).append(100 * value)
    figures = {name: [number(value) for value in values] for name, values in list(rows.items())[:2]}
    cards = common.cards(runs, figures)
    found = runs[0].study
    cards += [('pictures', number(len(found.truth))), ('classes', number(len(found.names)))]
    warning = common.differing_sets(runs, [sorted(run.study.paths) for run in runs])
    parts = [Cards(cards), common.beside('Figures, in %', rows)(runs), *warning]
    return Section('Summary', 'Figures are in percent.', parts)


def _classes(runs):
    note = 'Recall is the share of a class that is recognised; precision the share of the answers '
    note += 'that is right; F1 their harmonic mean.'
    rates, counts = [], []
    for run in runs:
        pictures = run.study.confusion.sum(1)
        own = run.study.rates()
        rates.append({**own, 'F1': np.where(pictures, own['F1'], np.nan)})
        counts.append(pictures)
    weight = common.Weight('pictures', 'pictures', lambda count: number(int(count)))
    return common.ranked_classes(runs, 'F1', rates, counts, weight, note)


def _scores(runs):
    grid = np.linspace(0, 1, 101)
    several = len(runs) > 1
    rows, cells = [], []
    for run in runs:
        score, right = run.study.scores[:, 0], run.study.right
        for least in grid:
            kept = score >= least
            if not kept.any():
                continue
            values = {'accuracy': float(right[kept].mean()), 'answered': float(kept.mean())}
            rows += [
                dict(run=run.name, figure=name, score=float(least), value=value)
                for name, value in values.items()
            ]
            if round(least * 100) % 10 == 0:
                cells.append([run.name, number(float(least), 1), *map(percent, values.values())])
    alt = 'Accuracy of the answers above a score, and the share of pictures that have such an '
    alt += 'answer, over that score.'
    by, order = ('run', names_of(runs)) if several else ('figure', ('accuracy', 'answered'))
    dash = ('figure', ('accuracy', 'answered')) if several else None
    spec = charts.lines(
        rows, alt, charts.share('score', 'score'), charts.share('value', 'share'), by, order, dash
    )
    table = Table(['run', 'score', 'accuracy', 'answered'], cells, 'Over the score, in %')
    parts = [
        common.calibration_chart(runs, 'answers'),
        Chart('If unsure answers are left out', spec, alt, table),
    ]
    return Section('Scores', 'The score of the first answer.', parts)


def _pictures(runs):
    parts: list[Any] = []
    for run in runs:
        found = run.study
        wrong = (~found.right).nonzero()[0]
        wrong = wrong[np.argsort(-found.scores[wrong, 0], kind='stable')][:PICTURES].tolist()
        pictures = []
        for place in wrong:
            caption = (
                f'{found.names[found.truth[place]]}, taken for '
                f'{found.names[found.labels[place, 0]]} at score {found.scores[place, 0]:.3f}: '
                f'{common.short(found.paths[place])}'
            )
            picture = boxes_picture(found.paths[place], [()], caption)
            if picture:
                pictures.append(picture)
        of = f' of {run.name}' if len(runs) > 1 else ''
        title = f'The most confident errors{of}'
        if pictures:
            parts.append(Gallery(title, pictures, 'The wrong answers with the highest scores.'))
        else:
            why = 'no picture can be read' if wrong else 'there are none'
            parts.append(Text(f'{title}: {why}.'))
    return Section('Pictures', 'What was certain, and wrong.', parts)


def _data(runs):
    found = runs[0].study
    counts = found.confusion.sum(1)
    order = np.argsort(-counts, kind='stable')
    rows = [dict(run='', name=n, count=int(c)) for n, c in zip(found.names, counts)]
    shown = [found.names[place] for place in order[: common.BARS]]
    alt = f'Bars of the number of pictures by class, from {found.names[order[0]]} to '
    alt += f'{found.names[order[-1]]}.'
    spec = charts.bars(
        [row for row in rows if row['name'] in set(shown)], alt, 'name',
        charts.axis('count', 'pictures'), 'run', [''], shown, lambda row: number(row['count']),
    )  # fmt: skip
    table = Table(
        ['class', 'pictures'],
        [[row['name'], number(row['count'])] for row in rows],
        'Pictures by class',
    )
    note = f'The set of the test: {number(len(found.truth))} pictures.'
    return Section('The data', note, [Chart('Pictures by class', spec, alt, table)])
