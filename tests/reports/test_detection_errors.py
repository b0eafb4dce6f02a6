"""Errors by kind, beside the numbers of tidecv 1.0.1 for the same detections."""

import json

import numpy as np
import pytest
from kept_tests import detections

from mmscale.reports.coco import read_found, read_truth
from mmscale.reports.detection_errors import KINDS, find_errors
from mmscale.reports.matching import compare, match

# tidecv takes recall at 0.35 where pycocotools takes it at 0.35000000000000003: the number of
# objects of each class (89, 39, 31) has no such places.
DRAWN = dict(images=40, classes=3, noise=10, seed=27)
AP = 67.41056643736908
ALONE = (9.590617293047686, 2.3250778238195124, 0.17010765343496814, 3.6097802676070216,
         1.9801946692857513, 8.44446712057892)  # fmt: skip
IN_TURN = (9.590617293047686, 2.3344581316863326, 0.2612622192293088, 3.8134064903756695,
           5.038534312780371, 11.551155115511548)  # fmt: skip
COUNTS = (8, 20, 31, 22, 360, 20)


def errors(tmp_path, truth, found):
    for name, content in (('truth', truth), ('found', found)):
        (tmp_path / f'{name}.json').write_text(json.dumps(content))
    annotations = read_truth(tmp_path / 'truth.json')
    compared = compare(annotations, read_found(annotations, tmp_path / 'found.json'))
    return find_errors(compared, match(compared))


def test_errors_are_those_of_tidecv(tmp_path):
    found = errors(tmp_path, *detections(**DRAWN))
    assert found.ap == pytest.approx(AP, abs=1e-9)
    assert [found.counts[kind] for kind in KINDS] == list(COUNTS)
    np.testing.assert_allclose([found.alone[kind] for kind in KINDS], ALONE, atol=1e-9)
    np.testing.assert_allclose([found.in_turn[kind] for kind in KINDS], IN_TURN, atol=1e-9)


@pytest.mark.parametrize('seed', range(3))
def test_errors_mended_in_turn_lead_to_100(tmp_path, seed):
    found = errors(tmp_path, *detections(seed=seed))
    assert found.ap + sum(found.in_turn.values()) == pytest.approx(100, abs=1e-9)
    assert found.counts['background'] + found.counts['missed'] > 0


def one(category, box, score):
    return dict(image_id=1, category_id=category, bbox=box, score=score)


@pytest.mark.parametrize(
    ('found', 'kind'),
    [
        ([one(2, [0, 0, 10, 10], 0.9)], 'class'),
        ([one(1, [5, 0, 10, 10], 0.9)], 'localisation'),
        ([one(2, [5, 0, 10, 10], 0.9)], 'both'),
        ([one(1, [0, 0, 10, 10], 0.9), one(1, [0, 0, 10, 9], 0.8)], 'duplicate'),
        ([one(1, [50, 50, 10, 10], 0.9)], 'background'),
        ([], 'missed'),
    ],
)
def test_each_kind_of_error(tmp_path, found, kind):
    truth = dict(
        images=[dict(id=1, file_name='a.jpg', width=100, height=100)],
        annotations=[
            dict(id=1, image_id=1, category_id=1, bbox=[0, 0, 10, 10], area=100, iscrowd=0)
        ],
        categories=[dict(id=1, name='a'), dict(id=2, name='b')],
    )
    counts = errors(tmp_path, truth, found).counts
    assert counts[kind] == 1
    assert sum(counts.values()) - counts['missed'] <= 1
