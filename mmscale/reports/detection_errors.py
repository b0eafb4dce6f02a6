"""What a detector's errors cost: the kinds of TIDE (Bolya et al., ECCV 2020).

Of a detection that is wrong, at IoU 0.5:

- class: it lies on an object (0.5 or more) of another class;
- localisation: it is of the right class and lies near (0.1 to 0.5);
- both: near, and of another class; or what else is none of the others;
- duplicate: the object was found already, with a higher score;
- background: it lies on nothing (0.1 or less);

and of an object: missed, if no detection could be mended into it. The cost of a kind is what AP50
gains when it alone is mended. Mended one after the other, in this order, they lead to AP 100.

The paper's own program, tidecv 1.0.1, is not used: it takes a minute and more than a gigabyte for
5,000 pictures, asks for pandas and seaborn (and a second OpenCV beside a headless one), and has had
no release since. ``tests/reports/test_detection_errors.py`` compares with its numbers.
"""

from typing import NamedTuple

import numpy as np

from mmscale.reports.matching import IGNORED, RIGHT, Compared, Matches, average_precision

KINDS = ('class', 'localisation', 'both', 'duplicate', 'background', 'missed')
NEAR, ON = 0.1, 0.5


class Errors(NamedTuple):
    """A detector's errors.

    Attributes:
        ap (float): AP50, 0 to 100.
        kind (ndarray): (D,) of detections: the place in `KINDS`, or -1 where it is no error.
        counts (dict[str, int]): How many there are of each kind.
        alone (dict[str, float]): What AP50 gains by mending a kind alone.
        in_turn (dict[str, float]): Likewise after those before it; with `ap` they add up to 100.
    """

    ap: float
    kind: np.ndarray
    counts: dict[str, int]
    alone: dict[str, float]
    in_turn: dict[str, float]


def find_errors(compared: Compared, matches: Matches) -> Errors:
    """Sort a detector's errors, and find out what each kind costs.

    Args:
        compared (Compared), matches (Matches): At IoU 0.5.
    """
    found, truth = compared.found, compared.truth
    kind, target = _kinds(compared, matches)
    # An object that was not found goes to the best-scored detection that could be mended into it.
    mendable = (target >= 0) & (matches.found_by[np.maximum(target, 0)] < 0)
    rows = mendable.nonzero()[0]
    rows = rows[np.argsort(-found.score[rows], kind='stable')]
    reached, first = np.unique(target[rows], return_index=True)
    mended = np.zeros(len(kind), bool)
    mended[rows[first]] = True
    missed = ~truth.crowd & (matches.found_by < 0)
    missed[reached] = False

    objects = np.bincount(truth.label[~truth.crowd], minlength=len(compared.names))
    without = np.bincount(truth.label[missed], minlength=len(compared.names))

    def ap(kinds):
        fixed = np.isin(kind, [KINDS.index(name) for name in kinds])
        keep = np.where(fixed, mended, matches.outcome != IGNORED)
        label = np.where(fixed & mended, truth.label[np.maximum(target, 0)], found.label)[keep]
        right = ((matches.outcome == RIGHT) | (fixed & mended))[keep]
        left = objects - without if 'missed' in kinds else objects
        values = average_precision(label, found.score[keep], right, left)[objects > 0]
        if np.isnan(values).all():  # all that there was to find is mended away
            return 100.0
        return 100 * float(np.nanmean(values))

    if not objects.any():
        nothing = dict.fromkeys(KINDS, 0.0)
        return Errors(0.0, kind, _counts(kind, missed), nothing, dict(nothing))
    start = ap(())
    steps = [ap(KINDS[: n + 1]) for n in range(len(KINDS))]
    gains = np.diff([start, *steps])
    return Errors(
        start,
        kind,
        _counts(kind, missed),
        {name: ap((name,)) - start for name in KINDS},
        {name: float(gain) for name, gain in zip(KINDS, gains)},
    )


def _counts(kind, missed):
    counts = {name: int((kind == n).sum()) for n, name in enumerate(KINDS)}
    return {**counts, 'missed': int(missed.sum())}


def _kinds(compared, matches):
    """Of every detection its kind of error, and the object that it could be mended into."""
    kind = np.full(len(compared.found.score), -1)
    target = np.full(len(compared.found.score), -1)
    for picture in compared.pictures:
        wrong = matches.outcome[picture.found] != RIGHT
        rows = picture.found[wrong]
        real = ~compared.truth.crowd[picture.truth]
        objects = picture.truth[real]
        if not len(objects):
            kind[rows] = KINDS.index('background')
            continue
        overlap, same = picture.overlap[wrong][:, real], picture.same[wrong][:, real]
        own, other = overlap * same, overlap * ~same
        used = matches.found_by[objects] >= 0
        tests = {
            'localisation': (own.max(1) >= NEAR) & (own.max(1) <= ON),
            'class': other.max(1) >= ON,
            'duplicate': (own * used).max(1) >= ON,
            'background': overlap.max(1) <= NEAR,
        }
        names = [KINDS.index(name) for name in tests]
        kind[rows] = np.select(list(tests.values()), names, KINDS.index('both'))
        nearest = np.select(
            [kind[rows] == KINDS.index('localisation'), kind[rows] == KINDS.index('class')],
            [objects[own.argmax(1)], objects[other.argmax(1)]],
            -1,
        )
        target[rows] = nearest
    return kind, target
