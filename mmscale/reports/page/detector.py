"""The page of a detector: one run, or two beside each other."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmscale.errors import UserError
from mmscale.reports import matching
from mmscale.reports.coco import (
    FIGURES,
    IOUS,
    RECALLS,
    Evaluation,
    evaluate_coco,
    read_found,
    read_truth,
)
from mmscale.reports.detection_errors import KINDS, Errors, find_errors
from mmscale.reports.kept import Kept, read_json
from mmscale.reports.matching import IGNORED, RIGHT, WRONG, Bins, Compared, Matches, Thresholds
from mmscale.reports.page import charts, common
from mmscale.reports.page.common import EXACT, Run, names_of
from mmscale.reports.page.parts import (
    Cards,
    Chart,
    Gallery,
    Picture,
    Section,
    Table,
    Text,
    difference,
    number,
    percent,
)
from mmscale.reports.page.thumbnails import GREEN, ORANGE, RED, Mark, boxes_picture

PICTURES = 12  # of a gallery
CELLS = 40  # classes in a confusion matrix, at most
LARGEST = 60e6  # bytes of an annotation file of training that is read for its counts
SIZES = (0, 8, 16, 32, 64, 128, 256, 512, np.inf)
KIND_WORDS = {
    'class': 'on an object of another class',
    'localisation': 'near an object of its class, too far off',
    'both': 'neither place nor class are right',
    'duplicate': 'the object was found already',
    'background': 'on nothing',
    'missed': 'objects that nothing came near',
}
KIND_NAMES = {'bbox': 'Boxes', 'segm': 'Masks'}
SHOWN = {'bbox': 'box', 'segm': 'mask'}


class Study(NamedTuple):
    """What the page says of a run's detections.

    Attributes:
        evaluations (dict[str, Evaluation]): By 'bbox' and 'segm', as far as tested.
        compared (Compared): Detections and objects, of the first kind.
        matches, stricter (Matches): At IoU 0.5 and 0.75.
        errors (Errors): Sorted by kind.
        thresholds (Thresholds): Precision, recall and F1 over all classes.
        calibration (Bins): Of the scores.
        confusion (ndarray): At the score with the best F1.
        paths (dict[str, str]): Of the pictures, by id.
        trained_on (Counter | None): Objects of the training set, by name of the class.
    """

    evaluations: dict[str, Evaluation]
    compared: Compared
    matches: Matches
    stricter: Matches
    errors: Errors
    thresholds: Thresholds
    calibration: Bins
    confusion: np.ndarray
    paths: dict[str, str]
    trained_on: Counter | None

    @property
    def names(self) -> list[str]:
        """The classes' names, told apart."""
        counts = Counter(self.compared.names)
        return [
            name if counts[name] == 1 else f'{name} ({category})'
            for name, category in zip(self.compared.names, self.compared.categories)
        ]

    @property
    def objects(self) -> np.ndarray:
        """(K,) how many there are of each class, without crowds."""
        truth = self.compared.truth
        return np.bincount(truth.label[~truth.crowd], minlength=len(self.compared.names))


def study(kept: Kept) -> Study:
    """Compute everything that the page says.

    Raises:
        UserError: If a file that was kept is missing or broken.
    """
    record = kept.record
    truth = read_truth(kept.path(record['annotations']))  # absolute, or beside the record
    kinds = record.get('kinds') or ()
    if not kinds:
        raise UserError(f'{str(kept.work_dir)!r} has no results of boxes or masks: test again')
    evaluations, compared = {}, None
    for kind in kinds:
        found = read_found(truth, kept.path(f'predictions.{kind}.json'), kind)
        compared = compared or matching.compare(truth, found, kind, record.get('classes'))
        evaluations[kind] = evaluate_coco(truth, found, kind, compared.categories)
    assert compared
    matches = matching.match(compared, 0.5)
    counts = matches.outcome != IGNORED
    score, objects = compared.found.score, int((~compared.truth.crowd).sum())
    over_scores = matching.thresholds(score, matches.outcome, objects)
    return Study(
        evaluations,
        compared,
        matches,
        matching.match(compared, 0.75),
        find_errors(compared, matches),
        over_scores,
        matching.calibration(score[counts], matches.outcome[counts] == RIGHT),
        matching.confusion(compared, matches, over_scores.best),
        kept.read('pictures.json'),
        _training_counts(record.get('trained_on') or ()),
    )


def _training_counts(files):
    """How many objects of each class the training files have; None if they are not at hand."""
    counts: Counter = Counter()
    for name in files:
        if not Path(name).is_file() or Path(name).stat().st_size > LARGEST:
            return None
        try:
            content = read_json(Path(name))
            names = {c['id']: str(c['name']) for c in content['categories']}
            counts.update(names.get(a['category_id'], '') for a in content['annotations'])
        except (UserError, KeyError, TypeError):  # of the training, on which nothing here rests
            return None
    return counts if files else None


def sections(runs: Sequence[Run]) -> Iterator[Section]:
    """The page's sections, in order."""
    yield _summary(runs)
    yield _figures(runs)
    yield _classes(runs)
    yield _curves(runs)
    yield _errors(runs)
    yield _confusion(runs)
    yield _scores(runs)
    yield _sizes(runs)
    yield _pictures(runs)
    yield common.learning(runs)
    yield _data(runs)
    yield common.cost(runs)
    yield common.origin(runs)


def _summary(runs):
    figures = {}
    for kind in runs[0].study.evaluations:
        for name in ('AP', 'AP50'):
            every = [run.study.evaluations.get(kind) for run in runs]
            values = [e.figures[name] if e else None for e in every]
            figures[f'{SHOWN[kind]} {name}'] = [percent(value) for value in values]
    figures['best F1'] = [percent(_best_f1(run.study)) for run in runs]
    figures['at score'] = [number(run.study.thresholds.best, 2) for run in runs]
    cards = common.cards(runs, figures)
    compared = runs[0].study.compared
    cards.append(('pictures', number(len(compared.images))))
    cards.append(('objects', number(int((~compared.truth.crowd).sum()))))
    cards.append(('classes', number(len(compared.names))))
    sets = [run.study.compared for run in runs]
    warning = common.differing_sets(runs, [(s.images, s.names, len(s.truth.label)) for s in sets])
    note = 'Figures are in percent. AP is the mean over ten overlaps (IoU 0.50 to 0.95).'
    return Section('Summary', note, [Cards(cards), *warning])


def _best_f1(found):
    return float(found.thresholds.f1.max()) if len(found.thresholds.f1) else 0.0


def _figures(runs):
    tables = []
    for kind in runs[0].study.evaluations:
        evaluations = [run.study.evaluations.get(kind) for run in runs]
        rows = {
            f'{name} ({meaning})': [
                100 * e.figures[name] if e and e.figures[name] >= 0 else None for e in evaluations
            ]
            for name, meaning in FIGURES
        }
        tables.append(common.beside(KIND_NAMES[kind], rows)(runs))
    note = (
        'Average precision (AP) and recall (AR), in percent; small, medium and large are objects '
    )
    note += 'below 32² px, up to 96² px, and above. A dash: there are no such objects.'
    return Section("COCO's figures", note, tables)


def _classes(runs):
    kind = next(iter(runs[0].study.evaluations))
    names, objects = runs[0].study.names, runs[0].study.objects
    rows = []
    for run in runs:
        evaluation = run.study.evaluations[kind]
        at = run.study.objects
        for name, ap, ap50, count in zip(
            run.study.names, evaluation.class_ap(), evaluation.class_ap(0), at
        ):
            if count:
                rows.append(
                    dict(run=run.name, name=name, ap=round(100 * float(ap), EXACT),
                         ap50=round(100 * float(ap50), EXACT), objects=int(count))
                )  # fmt: skip
    first = {row['name']: row['ap'] for row in reversed(rows)}
    order = sorted(first, key=lambda name: (-first[name], name))
    shown, said = order, ''
    if len(order) > common.BARS:
        shown = order[-common.BARS :]
        said = f' The chart has the {common.BARS} worst of {len(order)} classes, the table all.'
    table = _class_table(runs, kind, names, objects, order)
    worst = ', '.join(f'{name} ({number(first[name])})' for name in order[::-1][:3])
    alt = f'Bars of AP by class, the best first. The worst: {worst}.'
    spec = charts.bars(
        [row for row in rows if row['name'] in set(shown)],
        alt,
        'name',
        charts.axis('ap', 'AP (%)', scale={'domain': [0, 100]}),
        'run',
        names_of(runs),
        shown,
        lambda row: f'{number(row["ap"])} · {number(row["objects"])} objects',
        [('ap50', 'AP50 (%)'), ('objects', 'objects'), ('run', 'run')],
    )
    note = f'AP of every class over all overlaps, with the number of its objects.{said}'
    return Section('Classes', note, [Chart('AP by class', spec, alt, table)])


def _class_table(runs, kind, names, objects, order):
    several = len(runs) > 1
    trained = runs[0].study.trained_on
    columns = ['class', 'objects']
    columns += ['in training'] if trained is not None else []
    for run in runs:
        of = f' {run.name}' if several else ''
        columns += [f'AP{of}', f'AP50{of}']
        columns += [f'mask AP{of}'] if kind == 'bbox' and 'segm' in run.study.evaluations else []
        columns += [] if several else ['best F1', 'at score']
    columns += ['difference of AP'] if several else []
    cells = {}
    for name, count in zip(names, objects):
        cells[name] = [name, number(int(count))]
        if trained is not None:
            cells[name].append(number(trained.get(name, 0)))
    values: dict = {name: [] for name in cells}
    for run in runs:
        evaluations, where = run.study.evaluations, {n: i for i, n in enumerate(run.study.names)}
        ap, ap50 = evaluations[kind].class_ap(), evaluations[kind].class_ap(0)
        masks = evaluations['segm'].class_ap() if kind == 'bbox' and 'segm' in evaluations else None
        best = {} if several else _class_thresholds(run.study)
        for name, row in cells.items():
            place = where.get(name)
            numbers = [ap, ap50] + ([masks] if masks is not None else [])
            row += [percent(x[place]) if place is not None else '–' for x in numbers]
            known = place is not None and ap[place] >= 0
            values[name].append(100 * float(ap[place]) if known else None)
            row += [] if several else best[name]
    for name, row in cells.items():
        row += difference(values[name])
    rest = [name for name in cells if name not in set(order)]
    return Table(columns, [cells[name] for name in [*order, *rest] if name in cells], 'Classes')


def _class_thresholds(found):
    """Of every class its best F1 and the score with it, as texts."""
    labels, objects = found.compared.found.label, found.objects
    cells = {}
    for place, name in enumerate(found.names):
        own = labels == place
        over = matching.thresholds(
            found.compared.found.score[own], found.matches.outcome[own], int(objects[place])
        )
        known = bool(objects[place]) and len(over.f1) > 0
        cells[name] = [percent(over.f1.max()), number(over.best, 2)] if known else ['–', '–']
    return cells


def _curves(runs):
    kind = next(iter(runs[0].study.evaluations))
    several = len(runs) > 1
    kinds = ('IoU 0.50', 'IoU 0.75', 'mean of IoU 0.50 to 0.95')
    rows = []
    for run in runs:
        evaluation = run.study.evaluations[kind]
        means = [evaluation.curve(place) for place in range(len(IOUS))]
        for name, curve in zip(kinds, (means[0], means[5], np.mean(means, 0))):
            rows += [
                dict(run=run.name, iou=name, recall=round(float(r), 2), precision=_exact(p))
                for r, p in zip(RECALLS, curve)
            ]
    areas = {
        (row['run'], row['iou']): np.mean(
            [r['precision'] for r in rows if (r['run'], r['iou']) == (row['run'], row['iou'])]
        )
        for row in rows
    }
    said = '; '.join(
        f'{run} at {iou}: {number(100 * area)}' if several else f'{iou}: {number(100 * area)}'
        for (run, iou), area in areas.items()
    )
    alt = f'Precision over recall, mean of all classes. The area below is AP, {said} %.'
    table = Table(
        ['run', 'IoU', 'recall', 'precision'],
        [
            [row['run'], row['iou'], number(row['recall'], 2), number(row['precision'], 3)]
            for row in rows
            if round(row['recall'] * 100) % 10 == 0
        ],
        'Precision at every tenth of recall',
    )
    by, order = ('run', names_of(runs)) if several else ('iou', kinds)
    spec = charts.lines(
        rows, alt, charts.share('recall', 'recall'), charts.share('precision', 'precision'), by,
        order, ('iou', kinds) if several else None,
    )  # fmt: skip
    parts = [Chart('All classes', spec, alt, table), _class_curves(runs, kind)]
    note = 'How many of the objects are found, and how much of what is found is right, as the '
    note += 'score from which detections count goes down.'
    return Section('Precision and recall', note, parts)


def _exact(value):
    return round(float(value), EXACT)


def _class_curves(runs, kind):
    """The curves of one class, which is chosen in the page."""
    rows = []
    for run in runs:
        evaluation = run.study.evaluations[kind]
        for place, name in enumerate(run.study.names):
            for iou, at in (('IoU 0.50', 0), ('IoU 0.75', 5)):
                curve = evaluation.precision[at, :, place]
                if curve[0] >= 0:
                    rows.append(
                        dict(run=run.name, name=name, iou=iou, precision=[*map(_exact, curve)],
                             recall=[round(float(r), 2) for r in RECALLS])
                    )  # fmt: skip
    names = list(dict.fromkeys(row['name'] for row in rows))
    alt = 'Precision over recall of one class, which the list below the chart chooses.'
    several = len(runs) > 1
    by, order = ('run', names_of(runs)) if several else ('iou', ('IoU 0.50', 'IoU 0.75'))
    spec = charts.lines(
        rows, alt, charts.share('recall', 'recall'), charts.share('precision', 'precision'), by,
        order, ('iou', ('IoU 0.50', 'IoU 0.75')) if several else None,
    )  # fmt: skip
    spec['params'] = [
        dict(
            name='chosen',
            value=names[0] if names else '',
            bind=dict(input='select', options=names, name='class '),
        )
    ]
    spec['transform'] = [
        {'filter': 'datum.name == chosen'},
        {'flatten': ['recall', 'precision']},
    ]
    table = Table(
        ['run', 'class', 'IoU', 'area below (AP, %)'],
        [
            [row['run'], row['name'], row['iou'], number(100 * float(np.mean(row['precision'])))]
            for row in rows
        ],
        'Areas below the curves',
    )
    return Chart('One class', spec, alt, table)


def _errors(runs):
    several = len(runs) > 1
    rows, cells, sums = [], [], []
    for run in runs:
        errors = run.study.errors
        for kind in KINDS:
            gain = errors.in_turn[kind]
            rows.append(dict(run=run.name, kind=kind, gain=gain, count=errors.counts[kind]))
            cells.append(
                [
                    f'{kind}: {KIND_WORDS[kind]}',
                    *([run.name] if several else []),
                    number(errors.counts[kind]),
                    number(errors.alone[kind], 2),
                    number(gain, 2),
                ]
            )
        whole = errors.ap + sum(errors.in_turn.values())
        of = f' of {run.name}' if several else ''
        sums.append(
            f'AP50{of} is {number(errors.ap, 2)}; mended one kind after the other, the errors give '
            f'back {number(whole - errors.ap, 2)}: together {number(whole, 1)}.'
        )
    alt = 'Bars of the AP50 that each kind of error costs, mended in turn. ' + ' '.join(sums)
    heads = ['errors', 'AP50 if mended alone', 'AP50 if mended in turn']
    cells = sorted(cells, key=lambda row: KINDS.index(row[0].partition(':')[0]))
    table = Table(['kind', *(['run'] if several else []), *heads], cells, 'Errors by kind')
    x = charts.axis('gain', 'AP50 that it costs')
    more = [('count', 'errors'), ('run', 'run')]
    spec = charts.bars(
        rows, alt, 'kind', x, 'run', names_of(runs), KINDS,
        lambda row: f'{number(row["gain"])} · {number(row["count"])} errors', more,
    )  # fmt: skip
    note = 'After TIDE (Bolya et al., 2020), at IoU 0.5: why detections are wrong, and what AP50 '
    note += 'gains if a kind of error is mended.'
    parts = [*map(Text, sums), Chart('What the errors cost', spec, alt), table]
    return Section('Errors by kind', note, parts)


def _confusion(runs):
    parts: list = []
    for run in runs:
        matrix, names = run.study.confusion, [*run.study.names, 'background']
        found = [*run.study.names, 'missed']
        wrong = matrix.copy()
        np.fill_diagonal(wrong, 0)
        busiest = np.argsort(-(wrong[:-1, :-1].sum(0) + wrong[:-1, :-1].sum(1)), kind='stable')
        shown = sorted(busiest[:CELLS].tolist())
        keep = [*shown, len(names) - 1]
        rows = [
            dict(truth=names[t], found='missed' if f == len(names) - 1 else found[f],
                 count=int(matrix[t, f]), share=float(matrix[t, f] / matrix[t].sum()))
            for t in keep
            for f in keep
            if matrix[t, f]
        ]  # fmt: skip
        order = np.argsort(-wrong, axis=None, kind='stable')[:40]
        pairs = [(i // len(names), i % len(names)) for i in order.tolist()]
        cells = [
            [names[t], found[f], number(int(wrong[t, f])), percent(wrong[t, f] / matrix[t].sum())]
            for t, f in pairs
            if wrong[t, f]
        ]
        of = f' of {run.name}' if len(runs) > 1 else ''
        first = f'{cells[0][0]} as {cells[0][1]} ({cells[0][2]})' if cells else 'nothing'
        alt = f'Objects{of} by what they were taken for. The most frequent error: {first}.'
        columns = ['object', 'taken for', 'how often', 'share of the row (%)']
        table = Table(columns, cells, 'The most frequent errors')
        several = [names[t] for t in shown]
        spec = charts.heatmap(
            rows, alt, [*several, 'background', 'missed'], 'taken for', 'object', 'how often'
        )
        spec['encoding']['x']['scale'] = {'domain': [*several, 'missed']}
        spec['encoding']['y']['scale'] = {'domain': [*several, 'background']}
        title = f'Confusion{of} at score {number(run.study.thresholds.best, 2)}'
        if len(shown) < len(run.study.names):
            title += f': the {len(shown)} classes that are confused most'
        parts.append(Chart(title, spec, alt, table))
    note = 'Rows are objects, columns what was found on them at IoU 0.5 and the score with the '
    note += 'best F1. The last row is background where something was found, the last column '
    note += 'objects that were missed.'
    return Section('What is taken for what', note, parts)


def _scores(runs):
    grid = np.linspace(0, 1, 101)
    several = len(runs) > 1
    rows, cells, said = [], [], []
    for run in runs:
        over = run.study.thresholds
        at = np.searchsorted(-over.score, -grid, side='right') - 1
        for score, place in zip(grid, at):
            if place < 0:
                continue
            for name in ('F1', 'precision', 'recall'):
                if several and name != 'F1':
                    continue
                value = float(getattr(over, name.lower())[place])
                rows.append(dict(run=run.name, figure=name, score=float(score), value=value))
            if round(score * 100) % 10 == 0:
                values = (over.f1[place], over.precision[place], over.recall[place])
                cells.append([run.name, number(float(score), 1), *map(percent, values)])
        said.append(
            f'{run.name + ": " if several else ""}the best F1, {percent(_best_f1(run.study))} %, '
            f'is at score {number(over.best, 3)}'
        )
    alt = f'{"F1" if several else "F1, precision and recall"} over the score from which '
    alt += f'detections count: {"; ".join(said)}.'
    by, order = (
        ('run', names_of(runs)) if several else ('figure', ('F1', 'precision', 'recall'))
    )  # fmt: skip
    spec = charts.lines(
        rows, alt, charts.share('score', 'score'), charts.share('value', by), by, order
    )
    spec['encoding']['y']['title'] = 'F1' if several else 'share'
    lines = {'mark': spec.pop('mark'), 'encoding': spec.pop('encoding')}
    best = {
        'data': {'values': [{'score': run.study.thresholds.best} for run in runs]},
        'mark': {'type': 'rule', 'strokeDash': [4, 4], 'color': '#888888'},
        'encoding': {'x': {'field': 'score', 'type': 'quantitative'}},
    }
    spec['layer'] = [best, lines]
    table = Table(['run', 'score', 'F1', 'precision', 'recall'], cells, 'Over the score, in %')
    parts = [
        Text(f'{". ".join(s[0].upper() + s[1:] for s in said)}.'),
        Chart('Which score to cut at', spec, alt, table),
        common.calibration_chart(runs, 'detections'),
    ]
    note = 'All classes together, at IoU 0.5. The table of the classes has the best score of each.'
    return Section('Scores', note, parts)


def _sizes(runs):
    several = len(runs) > 1
    names = [f'{low}–{high}' if high < np.inf else f'{low}+' for low, high in zip(SIZES, SIZES[1:])]
    kinds = ('IoU 0.50', 'IoU 0.75', 'IoU 0.50, above the best score')
    rows, cells = [], []
    for run in runs:
        found = run.study
        truth, best = found.compared.truth, found.thresholds.best
        real = ~truth.crowd
        place = np.digitize(np.sqrt(truth.area), SIZES) - 1
        sure = np.append(found.compared.found.score >= best, False)[found.matches.found_by]
        hits = (found.matches.found_by >= 0, found.stricter.found_by >= 0, sure)
        for number_, name in enumerate(names):
            chosen = real & (place == number_)
            count = int(chosen.sum())
            if not count:
                continue
            recalls = [float(hit[chosen].mean()) for hit in hits]
            cells.append([run.name, name, number(count), *map(percent, recalls)])
            rows += [
                dict(run=run.name, size=name, kind=kind, recall=recall, count=count)
                for kind, recall in zip(kinds, recalls)
                if not several or kind == kinds[0]
            ]
    said = ', '.join(
        f'{row["size"]} px: {percent(row["recall"])} % of {row["count"]}'
        for row in rows
        if row['kind'] == kinds[0] and row['run'] == runs[0].name
    )
    alt = f'Recall over the size of objects (the root of their area). At IoU 0.50: {said}.'
    present = [name for name in names if any(row['size'] == name for row in rows)]
    x: dict[str, Any] = {
        'field': 'size',
        'type': 'ordinal',
        'sort': present,
        'title': 'size of the object (px)',
    }
    x['axis'] = {'labelAngle': 0, 'labelOverlap': True}
    by, order = ('run', names_of(runs)) if several else ('kind', kinds)
    spec = charts.lines(rows, alt, x, charts.share('recall', 'recall'), by, order, points=True)
    spec['encoding']['tooltip'].append({'field': 'count', 'title': 'objects'})
    columns = ['run', 'size (px)', 'objects', *(f'{kind} (%)' for kind in kinds)]
    table = Table(columns, cells, 'Recall by size')
    note = 'How many objects of a size are found at all, with up to 100 detections of a class in a '
    note += 'picture, and how many above the score with the best F1.'
    return Section('Recall over size', note, [Chart('Recall over size', spec, alt, table)])


class _Counts(NamedTuple):
    """Of every picture what is right, wrong and missed above the best score."""

    right: np.ndarray
    wrong: np.ndarray
    missed: np.ndarray

    @property
    def f1(self) -> np.ndarray:
        total = 2 * self.right + self.wrong + self.missed
        return np.where(total, 2 * self.right / np.maximum(total, 1), 1.0)


def _counts(found):
    compared, count = found.compared, len(found.compared.images)
    sure = compared.found.score >= found.thresholds.best
    right, wrong = (
        np.bincount(compared.found.image[sure & (found.matches.outcome == o)], minlength=count)
        for o in (RIGHT, WRONG)
    )
    objects = np.bincount(compared.truth.image[~compared.truth.crowd], minlength=count)
    return _Counts(right, wrong, objects - right)


def _pictures(runs):
    if len(runs) > 1:
        return _pictures_of_two(runs)
    found = runs[0].study
    counts = _counts(found)
    bad = ((counts.wrong + counts.missed) > 0).nonzero()[0]
    order = bad[np.lexsort((-(counts.wrong + counts.missed)[bad], counts.f1[bad]))]
    worst = []
    for image in order[:PICTURES].tolist():
        caption = f'{_counted(counts, image)}: {common.short(_path(found, image))}'
        worst.append((image, [_truth_marks(found, image), _found_marks(found, image)], caption))
    legend = 'Left the ground truth: green is found, orange is missed. Right what was found above '
    legend += f'score {number(found.thresholds.best, 2)}: green is right, red is wrong.'
    parts: list = [
        *_gallery(found, 'The worst pictures', worst, legend),
        *_confident(found),
    ]
    note = 'The worst are those with the lowest F1; of equals, those with the most errors.'
    return Section('Pictures', note, parts)


def _counted(counts, image):
    right, wrong, missed = (int(column[image]) for column in counts)
    return f'{right} of {right + missed} found, {wrong} wrong'


def _confident(found):
    """The wrong detections with the highest scores, one of a picture."""
    compared, errors = found.compared, found.errors
    wrong = (found.matches.outcome == WRONG).nonzero()[0]
    wrong = wrong[np.argsort(-compared.found.score[wrong], kind='stable')]
    seen: set = set()
    shown = []
    for row in wrong.tolist():
        image = int(compared.found.image[row])
        if image in seen:
            continue
        seen.add(image)
        name, score = found.names[compared.found.label[row]], compared.found.score[row]
        mark = Mark(compared.found.box[row], RED, f'{name} {score:.2f}')
        kind = KINDS[errors.kind[row]]
        caption = f'{name} at score {score:.3f}: {KIND_WORDS[kind]} ({kind}). '
        caption += common.short(_path(found, image))
        shown.append((image, [_truth_marks(found, image, plain=True), [mark]], caption))
        if len(shown) == PICTURES:
            break
    legend = 'Left the ground truth, right the one detection that is wrong.'
    return _gallery(found, 'The most confident errors', shown, legend)


def _pictures_of_two(runs):
    first, second = (run.study for run in runs)
    if first.compared.images != second.compared.images:
        note = 'The two were tested on other pictures, which cannot be put beside each other.'
        return Section('Pictures', note, [])
    sides = [_counts(found) for found in (first, second)]
    gap = sides[1].f1 - sides[0].f1
    parts: list = []
    for better, sign in ((runs[0].name, -1), (runs[1].name, 1)):
        order = np.argsort(-sign * gap, kind='stable')
        chosen = [image for image in order.tolist() if sign * gap[image] > 0][: PICTURES // 2]
        shown = []
        for image in chosen:
            caption = '; '.join(
                f'{run.name}: {_counted(counts, image)}' for run, counts in zip(runs, sides)
            )
            panels = [_truth_marks(first, image, plain=True)]
            panels += [_found_marks(found, image) for found in (first, second)]
            caption = f'{caption}. {common.short(_path(first, image))}'
            shown.append((image, panels, caption))
        legend = f'From the left: the ground truth, {runs[0].name}, {runs[1].name}, each above the '
        legend += 'score with its best F1. Green is right, red is wrong.'
        parts += _gallery(first, f'Where {better} is better', shown, legend)
    return Section('Pictures', 'Where the F1 of a picture differs most.', parts)


def _gallery(found, title, shown, legend) -> list:
    pictures: list[Picture] = []
    for image, panels, caption in shown:
        picture = boxes_picture(_path(found, image), panels, caption)
        if picture:
            pictures.append(picture)
    if not shown:
        return [Text(f'{title}: there are none.')]
    if not pictures:
        return [Text(f'{title}: no picture can be read at {_path(found, shown[0][0])}.')]
    return [Gallery(title, pictures, legend)]


def _path(found, image):
    return str(found.paths.get(str(found.compared.images[image]), ''))


def _truth_marks(found, image, plain=False):
    truth = found.compared.truth
    sure = np.append(found.compared.found.score >= found.thresholds.best, False)
    for row in found.compared.pictures[image].truth.tolist():
        if truth.crowd[row]:
            continue
        hit = plain or sure[found.matches.found_by[row]]
        yield Mark(truth.box[row], GREEN if hit else ORANGE, found.names[truth.label[row]])


def _found_marks(found, image):
    boxes = found.compared.found
    for row in found.compared.pictures[image].found.tolist():
        if boxes.score[row] >= found.thresholds.best and found.matches.outcome[row] != IGNORED:
            colour = GREEN if found.matches.outcome[row] == RIGHT else RED
            yield Mark(boxes.box[row], colour, f'{found.names[boxes.label[row]]} '
                       f'{boxes.score[row]:.2f}')  # fmt: skip


def _data(runs):
    found = runs[0].study
    truth = found.compared.truth
    real = ~truth.crowd
    sizes = np.sqrt(truth.area[real])
    per_picture = np.bincount(truth.image[real], minlength=len(found.compared.images))
    with np.errstate(divide='ignore', invalid='ignore'):
        ratios = truth.box[real, 2] / truth.box[real, 3]
    ratios = ratios[np.isfinite(ratios)]
    parts: list = []
    edges: tuple[tuple[str, str, Any, Any, str], ...] = (
        ('Sizes of the objects', 'root of the area (px)', sizes, SIZES, 'objects'),
        ('Objects in a picture', 'objects', per_picture, (0, 1, 2, 3, 5, 9, 17, 33, np.inf),
         'pictures'),
        ('Shapes of the objects', 'width / height', ratios,
         (0, 0.25, 0.5, 0.8, 1.25, 2, 4, np.inf), 'objects'),
    )  # fmt: skip
    for title, what, values, bounds, counted in edges:
        parts.append(_histogram(title, what, values, bounds, counted))
    objects = found.objects
    rows = [dict(run='', name=n, count=int(c)) for n, c in zip(found.names, objects)]
    order = [found.names[place] for place in np.argsort(-objects, kind='stable')]
    shown = set(order[: common.BARS])
    alt = f'Bars of the number of objects by class, from {order[0]} to {order[-1]}.'
    spec = charts.bars(
        [row for row in rows if row['name'] in shown], alt, 'name',
        charts.axis('count', 'objects'), 'run', [''], order[:common.BARS],
        lambda row: number(row['count']),
    )  # fmt: skip
    cells = [[row['name'], number(row['count'])] for row in rows]
    table = Table(['class', 'objects'], cells, 'Objects by class')
    title = 'Objects by class' + (
        f': the {common.BARS} most frequent' if len(order) > common.BARS else ''
    )
    parts.append(Chart(title, spec, alt, table))
    empty, crowds = int((per_picture == 0).sum()), int(truth.crowd.sum())
    note = f'The set of the test: {number(len(found.compared.images))} pictures, '
    note += f'{number(int(real.sum()))} objects; {number(empty)} pictures are without any, and '
    note += f'{number(crowds)} crowds do not count.'
    return Section('The data', note, parts)


def _histogram(title, what, values, bounds, counted):
    whole = all(bound == int(bound) for bound in bounds[:-1]) and counted == 'pictures'
    names = []
    for low, high in zip(bounds, bounds[1:]):
        if high == np.inf:
            names.append(f'{low:g}+')
        elif whole:
            names.append(f'{low:g}' if high - low == 1 else f'{low:g}–{high - 1:g}')
        else:
            names.append(f'{low:g}–{high:g}')
    counts = np.histogram(values, bounds)[0].tolist()
    rows = [dict(range=name, count=count) for name, count in zip(names, counts)]
    most = names[int(np.argmax(counts))]
    alt = f'{title}: most are at {most} ({max(counts)} of {sum(counts)} {counted}).'
    table = Table([what, counted], [[n, number(c)] for n, c in zip(names, counts)], title)
    return Chart(
        title, charts.histogram(rows, alt, 'range', what, names, counted), alt, table
    )  # fmt: skip
