"""Matches by COCO's rules: beside pycocotools, and by hand."""

import json

import numpy as np
import pytest
from kept_tests import detections
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mmscale.errors import UserError
from mmscale.evaluation.hot import hot_evaluation
from mmscale.reports.coco import IOUS, evaluate_coco, read_found, read_truth
from mmscale.reports.matching import (
    IGNORED,
    RIGHT,
    WRONG,
    average_precision,
    calibration,
    compare,
    confusion,
    match,
    thresholds,
)


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """Annotations with crowds and a class without objects, and results."""
    folder = tmp_path_factory.mktemp('coco')
    truth, found = detections(images=30, classes=4)
    truth['categories'].append(dict(id=9, name='nowhere'))
    found.append(dict(image_id=1, category_id=9, bbox=[0, 0, 9, 9], score=0.5))
    (folder / 'truth.json').write_text(json.dumps(truth))
    (folder / 'found.json').write_text(json.dumps(found))
    return folder / 'truth.json', folder / 'found.json'


@pytest.fixture(scope='module')
def pycocotools(files):
    truth = COCO(str(files[0]))
    evaluation = COCOeval(truth, truth.loadRes(str(files[1])), 'bbox')
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation


@pytest.fixture(scope='module')
def compared(files):
    truth = read_truth(files[0])
    return compare(truth, read_found(truth, files[1]))


@pytest.mark.parametrize('faster', [True, False])
def test_figures_and_curves_are_pycocotools_own(files, pycocotools, monkeypatch, faster):
    if not faster:
        monkeypatch.setitem(__import__('sys').modules, 'hotcoco', None)
    truth = read_truth(files[0])
    found = evaluate_coco(truth, read_found(truth, files[1]))
    np.testing.assert_allclose(list(found.figures.values()), pycocotools.stats, atol=1e-12)
    for name in ('precision', 'scores'):
        theirs = pycocotools.eval[name][..., 0, -1]
        np.testing.assert_allclose(getattr(found, name), theirs, atol=1e-12)
    assert found.class_ap()[-1] == -1
    assert found.curve(0).mean() == pytest.approx(found.figures['AP50'], abs=1e-12)


@pytest.mark.parametrize('faster', [True, False])
def test_curves_are_in_the_order_that_is_asked_for(files, pycocotools, monkeypatch, faster):
    if not faster:
        monkeypatch.setitem(__import__('sys').modules, 'hotcoco', None)
    truth = read_truth(files[0])
    found = evaluate_coco(truth, read_found(truth, files[1]), categories=[3, 1, 2])
    theirs = pycocotools.eval['precision'][..., [2, 0, 1], 0, -1]
    np.testing.assert_allclose(found.precision, theirs, atol=1e-12)


def test_ids_that_hotcoco_cannot_read_are_compared_all_the_same(files, pycocotools, tmp_path):
    for file in files:
        content = json.loads(file.read_text())
        for image in content['images'] if file.name == 'truth.json' else []:
            image['id'] = str(image['id'])
        for row in content['annotations'] if file.name == 'truth.json' else content:
            row['image_id'] = str(row['image_id'])
        (tmp_path / file.name).write_text(json.dumps(content))
    truth = read_truth(tmp_path / files[0].name)
    results = json.loads((tmp_path / files[1].name).read_text())
    with pytest.raises(UserError, match=r"expected a non-negative integer.*mmdet's CocoMetric"):
        hot_evaluation(truth, results, 'bbox', 'a test')
    found = evaluate_coco(truth, read_found(truth, tmp_path / files[1].name))
    np.testing.assert_allclose(list(found.figures.values()), pycocotools.stats, atol=1e-12)


@pytest.mark.parametrize('place', [0, 5, 9])
def test_matches_give_pycocotools_ap(compared, pycocotools, place):
    matches = match(compared, IOUS[place])
    counts = matches.outcome != IGNORED
    objects = np.bincount(compared.truth.label[~compared.truth.crowd], minlength=5)
    ap = average_precision(
        compared.found.label[counts],
        compared.found.score[counts],
        matches.outcome[counts] == RIGHT,
        objects,
    )
    theirs = pycocotools.eval['precision'][place, :, :4, 0, -1].mean(0)
    np.testing.assert_allclose(ap[:4], theirs, atol=1e-9)
    assert ap[4] == 0  # detections of a class without objects


def test_matches_are_pairs_of_one_class(compared):
    matches = match(compared)
    rows = np.flatnonzero(matches.outcome == RIGHT)
    assert (compared.found.label[rows] == compared.truth.label[matches.truth_of[rows]]).all()
    assert (matches.found_by[matches.truth_of[rows]] == rows).all()
    assert (matches.found_by[compared.truth.crowd] == -1).all()
    assert (matches.outcome == IGNORED).any()


def test_confusion_counts_every_object_and_detection_once(compared):
    matches, classes = match(compared), len(compared.names)
    matrix = confusion(compared, matches, score=0.4)
    objects = np.bincount(compared.truth.label[~compared.truth.crowd], minlength=classes)
    np.testing.assert_array_equal(matrix[:-1].sum(1), objects)
    sure = (compared.found.score >= 0.4) & (matches.outcome != IGNORED)
    found = np.bincount(compared.found.label[sure], minlength=classes)
    np.testing.assert_array_equal(matrix[:, :-1].sum(0), found)
    right = np.bincount(compared.found.label[sure & (matches.outcome == RIGHT)], minlength=classes)
    np.testing.assert_array_equal(np.diag(matrix)[:-1], right)
    assert matrix[:-1, :-1].sum() > right.sum()  # some are taken for others


def test_thresholds_by_hand():
    score = np.array([0.9, 0.8, 0.8, 0.7, 0.1])
    outcome = np.array([RIGHT, WRONG, RIGHT, IGNORED, WRONG])
    over = thresholds(score, outcome, objects=4)
    assert over.score.tolist() == [0.9, 0.8, 0.1]
    assert over.precision.tolist() == pytest.approx([1, 2 / 3, 1 / 2])
    assert over.recall.tolist() == [0.25, 0.5, 0.5]
    assert over.f1.tolist() == pytest.approx([2 / 5, 4 / 7, 4 / 8])
    assert over.best == 0.8
    assert thresholds(score[:0], outcome[:0], objects=4).best == 0


def test_calibration_by_hand():
    bins = calibration(np.array([0.95, 1.0, 0.15, 0.15]), np.array([True, False, False, True]))
    assert bins.amount.tolist() == [0, 2, 0, 0, 0, 0, 0, 0, 0, 2]
    assert bins.right[[1, 9]].tolist() == [0.5, 0.5]
    assert bins.error == pytest.approx((2 * 0.35 + 2 * 0.475) / 4)
    assert np.isnan(bins.score[0])
