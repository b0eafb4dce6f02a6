"""Which detection found which object, by COCO's rules, and what follows from that."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from pycocotools import mask as masks
from pycocotools.coco import COCO

MOST = 100  # detections of a class in a picture that count
RIGHT, WRONG, IGNORED = 1, 0, -1


class Boxes(NamedTuple):
    """Objects or detections of all pictures, one a row, picture after picture.

    Attributes:
        image, label (ndarray): (N,) places of the picture and of the class.
        box (ndarray): (N, 4) x, y, width, height in pixels.
        area (ndarray): (N,) in pixels.
        score (ndarray): (N,) of detections, falling within a picture; 1 for objects.
        crowd (ndarray): (N,) whether it is a crowd, in which detections do not count.
    """

    image: np.ndarray
    label: np.ndarray
    box: np.ndarray
    area: np.ndarray
    score: np.ndarray
    crowd: np.ndarray


class Picture(NamedTuple):
    """A picture's rows, and how they overlap.

    Attributes:
        found, truth (ndarray): (D,), (G,) rows of the detections and of the objects.
        overlap (ndarray): (D, G) IoU; with a crowd, the share of the detection in it.
        same (ndarray): (D, G) whether the classes are one.
    """

    found: np.ndarray
    truth: np.ndarray
    overlap: np.ndarray
    same: np.ndarray


class Compared(NamedTuple):
    """All detections beside all objects.

    Attributes:
        images (list[int]): The pictures' ids.
        categories (list[int]): The classes' ids.
        names (list[str]): The classes' names.
        found, truth (Boxes): Detections and objects.
        pictures (list[Picture]): One for each of `images`.
    """

    images: list[int]
    categories: list[int]
    names: list[str]
    found: Boxes
    truth: Boxes
    pictures: list[Picture]


def compare(
    truth: COCO, found: COCO, kind: str = 'bbox', classes: Sequence[str] | None = None
) -> Compared:
    """Put detections beside objects.

    Args:
        truth, found (COCO): Annotations and results.
        kind (str): 'bbox' or 'segm': what overlaps.
        classes (Sequence[str], optional): Names of the classes that count. Default: all.
    """
    chosen = [
        c for c in truth.dataset['categories'] if not classes or str(c['name']) in set(classes)
    ]
    categories = [category['id'] for category in chosen]
    images = sorted(truth.imgs)
    places = {number: place for place, number in enumerate(images)}
    labels = {number: place for place, number in enumerate(categories)}
    sides = []
    for source in (truth, found):
        rows = [
            row
            for row in source.dataset['annotations']
            if row['category_id'] in labels and row['image_id'] in places
        ]
        # As pycocotools sorts them: by falling score, equals in the order of the file.
        rows.sort(key=lambda row: (places[row['image_id']], -row.get('score', 1)))
        sides.append(rows)
    sides[1] = list(_most(sides[1]))
    boxes = [_boxes(rows, places, labels) for rows in sides]
    regions = [
        [row['bbox'] for row in rows] if kind == 'bbox' else [source.annToRLE(row) for row in rows]
        for source, rows in zip((truth, found), sides)
    ]
    pictures = list(_pictures(len(images), *boxes, *regions))
    names = [str(category['name']) for category in chosen]
    return Compared(images, categories, names, boxes[1], boxes[0], pictures)


def _most(rows):
    """The detections without those of a class and picture beyond the best hundred."""
    seen: dict = {}
    for row in rows:
        key = row['image_id'], row['category_id']
        seen[key] = seen.get(key, 0) + 1
        if seen[key] <= MOST:
            yield row


def _boxes(rows, places, labels):
    return Boxes(
        np.array([places[row['image_id']] for row in rows], np.int64),
        np.array([labels[row['category_id']] for row in rows], np.int64),
        np.array([row['bbox'] for row in rows], float).reshape(-1, 4),
        np.array([row.get('area', row['bbox'][2] * row['bbox'][3]) for row in rows], float),
        np.array([row.get('score', 1) for row in rows], float),
        np.array([bool(row.get('iscrowd', 0)) for row in rows], bool),
    )


def _pictures(count, truth, found, truth_regions, found_regions) -> Iterator[Picture]:
    ends = [np.searchsorted(side.image, np.arange(count + 1)) for side in (found, truth)]
    for place in range(count):
        d, g = (np.arange(end[place], end[place + 1]) for end in ends)
        overlap = np.zeros((len(d), len(g)))
        if len(d) and len(g):
            sides = [found_regions[i] for i in d], [truth_regions[i] for i in g]
            overlap = np.asarray(masks.iou(*sides, truth.crowd[g].astype(np.uint8)))
        yield Picture(d, g, overlap, found.label[d][:, None] == truth.label[g][None])


class Matches(NamedTuple):
    """Who found whom at one IoU.

    Attributes:
        outcome (ndarray): (D,) of detections: `RIGHT`, `WRONG`, or `IGNORED` where it lies in a
            crowd.
        truth_of (ndarray): (D,) row of the object found, or -1.
        found_by (ndarray): (G,) row of the detection that found the object, or -1.
    """

    outcome: np.ndarray
    truth_of: np.ndarray
    found_by: np.ndarray


def match(compared: Compared, iou: float = 0.5) -> Matches:
    """Give every object the best-scored detection of its class, by pycocotools' rules.

    Args:
        compared (Compared): Of :func:`compare`.
        iou (float): The least overlap.
    """
    found, truth = compared.found, compared.truth
    matches = Matches(
        np.full(len(found.score), WRONG),
        np.full(len(found.score), -1),
        np.full(len(truth.score), -1),
    )
    least = min(iou, 1 - 1e-10)
    for picture in compared.pictures:
        if not picture.overlap.size:
            continue
        crowd = truth.crowd[picture.truth]
        fits = picture.same & (picture.overlap >= least)
        for row in np.flatnonzero(fits.any(1)):
            open_ = fits[row] & ~crowd & (matches.found_by[picture.truth] < 0)
            if open_.any():
                overlaps = np.where(open_, picture.overlap[row], -1)
                column = len(overlaps) - 1 - overlaps[::-1].argmax()  # of equals, the last
                matches.outcome[picture.found[row]] = RIGHT
                matches.truth_of[picture.found[row]] = picture.truth[column]
                matches.found_by[picture.truth[column]] = picture.found[row]
            elif (fits[row] & crowd).any():
                matches.outcome[picture.found[row]] = IGNORED
    return matches


def average_precision(
    label: np.ndarray, score: np.ndarray, right: np.ndarray, objects: np.ndarray
) -> np.ndarray:
    """AP of every class by COCO's 101 points, NaN where there is nothing of a class.

    Args:
        label, score, right (ndarray): (D,) of the detections that count: class, score, whether it
            is right.
        objects (ndarray): (K,) how many there are of each class.
    """
    order = np.lexsort((-score, label))
    label, right = label[order], right[order]
    ends = np.searchsorted(label, np.arange(len(objects) + 1))
    values = np.full(len(objects), np.nan)
    for k, count in enumerate(objects):
        hits = right[ends[k] : ends[k + 1]].astype(float).cumsum()
        if count <= 0:
            if len(hits):
                values[k] = 0.0
            continue
        precision = hits / np.arange(1, len(hits) + 1)
        precision = np.maximum.accumulate(precision[::-1])[::-1]
        at = np.searchsorted(hits / count, np.linspace(0, 1, 101), side='left')
        values[k] = np.append(precision, 0.0)[at].mean()
    return values


class Thresholds(NamedTuple):
    """Precision, recall and F1 over the score from which detections count.

    Attributes:
        score, precision, recall, f1 (ndarray): (N,) by falling score.
    """

    score: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray

    @property
    def best(self) -> float:
        """The score with the highest F1; 0 where nothing was found."""
        return float(self.score[self.f1.argmax()]) if len(self.score) else 0.0


def thresholds(score: np.ndarray, outcome: np.ndarray, objects: int) -> Thresholds:
    """Precision, recall and F1 of detections, from each of their scores on.

    Args:
        score, outcome (ndarray): (D,) of detections, as in :class:`Matches`.
        objects (int): How many there are to find.
    """
    counts = outcome != IGNORED
    order = np.argsort(-score[counts], kind='stable')
    score, right = score[counts][order], (outcome[counts] == RIGHT)[order].cumsum()
    # Of equal scores the last: they are all in or all out.
    last = np.append(np.diff(score) != 0, True)[: len(score)].astype(bool)
    seen = np.arange(1, len(score) + 1)
    f1 = 2 * right / np.maximum(seen + objects, 1)
    columns = (score, right / np.maximum(seen, 1), right / max(objects, 1), f1)
    return Thresholds(*(column[last] for column in columns))


def confusion(compared: Compared, matches: Matches, score: float, iou: float = 0.5) -> np.ndarray:
    """Objects of each class by what they were taken for.

    First come the matches of one class; what is left over is matched by overlap, whatever its
    class.

    Args:
        compared (Compared), matches (Matches): At `iou`.
        score (float): From which detections count.
        iou (float): The least overlap.

    Returns:
        ndarray: (K + 1, K + 1); rows are the objects' classes, columns the detections'. The last
        row is background, where there is nothing; the last column is missed.
    """
    found, truth, classes = compared.found, compared.truth, len(compared.categories)
    matrix = np.zeros((classes + 1, classes + 1), np.int64)
    for picture in compared.pictures:
        in_play = found.score[picture.found] >= score
        outcome = matches.outcome[picture.found]
        right = in_play & (outcome == RIGHT)
        taken = np.isin(picture.truth, matches.truth_of[picture.found[right]])
        np.add.at(matrix, (truth.label[picture.truth[taken]],) * 2, 1)
        rest = (in_play & (outcome == WRONG)).nonzero()[0]
        open_ = ~taken & ~truth.crowd[picture.truth]
        pairs = np.argwhere(picture.overlap[rest] >= iou).tolist()
        pairs.sort(key=lambda pair: -picture.overlap[rest[pair[0]], pair[1]])
        used = set()
        for d, g in pairs:
            if open_[g] and d not in used:
                used.add(d)
                open_[g] = False
                cell = truth.label[picture.truth[g]], found.label[picture.found[rest[d]]]
                matrix[cell] += 1
        np.add.at(matrix[:, classes], truth.label[picture.truth[open_]], 1)
        alone = [row for place, row in enumerate(rest) if place not in used]
        np.add.at(matrix[classes], found.label[picture.found[alone]], 1)
    return matrix


class Bins(NamedTuple):
    """Scores beside how often they are right, in bins of equal width.

    Attributes:
        low, score, right (ndarray): (B,) where the bin begins, the mean score in it, and the share
            that is right; NaN where it is empty.
        amount (ndarray): (B,) how many.
        error (float): The expected calibration error: the mean distance of the two, by counts.
    """

    low: np.ndarray
    score: np.ndarray
    right: np.ndarray
    amount: np.ndarray
    error: float


def calibration(score: np.ndarray, right: np.ndarray, bins: int = 10) -> Bins:
    """Compare scores with the share of them that is right.

    Args:
        score, right (ndarray): (N,) from 0 to 1, and whether it was right.
        bins (int): How many.
    """
    place = np.clip((score * bins).astype(int), 0, bins - 1)
    amount = np.bincount(place, minlength=bins)
    with np.errstate(invalid='ignore'):
        means, rates = (
            np.bincount(place, values.astype(float), minlength=bins) / amount
            for values in (score, right)
        )
    distance = np.nansum(np.abs(means - rates) * amount) / max(amount.sum(), 1)
    return Bins(np.arange(bins) / bins, means, rates, amount, float(distance))
