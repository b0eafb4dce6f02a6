"""Results: what can be made of them, with numbers that are known."""

import cv2
import numpy as np
import pytest
from pycocotools import mask as mask_utils

from mmscale.engine.tasks import CLASSIFIER, DETECTOR, SEGMENTOR
from mmscale.errors import UserError
from mmscale.inference.drawing import Drawing
from mmscale.inference.results import Result

CLASSES = ('cat', 'dog', 'owl')
PALETTE = [(250, 0, 0), (0, 250, 0), (0, 0, 250)]
PICTURE = np.full((60, 80, 3), 128, np.uint8)


def result(task, **found):
    defaults = dict(boxes=np.zeros((0, 4), np.float32), size=(60, 80), pixels=PICTURE)
    found['names'] = [CLASSES[label] for label in found['labels']]
    return Result(**{**defaults, **found}, drawing=Drawing(task, CLASSES, PALETTE))


@pytest.fixture(scope='module')
def detected():
    masks = np.zeros((2, 60, 80), bool)
    masks[0, 10:30, 10:40] = masks[1, 35:55, 50:70] = True
    return result(
        DETECTOR,
        boxes=np.array([[10, 10, 40, 30], [50, 35, 70, 55]], np.float32),
        scores=np.array([0.9, 0.4], np.float32),
        labels=np.array([2, 0]),
        masks=masks,
    )


@pytest.fixture(scope='module')
def classified():
    probabilities = np.array([0.1, 0.7, 0.2], np.float32)
    labels = np.array([1, 2])
    return result(
        CLASSIFIER, scores=probabilities[labels], labels=labels, probabilities=probabilities
    )


@pytest.fixture(scope='module')
def mapped():
    pytest.importorskip('mmseg')
    labels = np.zeros((60, 80), np.int64)
    labels[:, 60:] = 2
    shares = np.array([0.75, 0.25], np.float32)
    return result(SEGMENTOR, scores=shares, labels=np.array([0, 2]), map=labels)


def test_coco_has_sides_numbers_and_masks(detected):
    first, second = detected.to_coco(7)
    assert first['bbox'] == [10, 10, 30, 20]
    assert (first['image_id'], first['category_id']) == (7, 2)
    assert second['score'] == pytest.approx(0.4)
    assert mask_utils.area(first['segmentation']) == 600
    assert np.array_equal(mask_utils.decode(first['segmentation']), detected.masks[0])
    categories = [dict(id=17, name='cat'), dict(id=16, name='owl')]
    assert [entry['category_id'] for entry in detected.to_coco(7, categories)] == [16, 17]
    with pytest.raises(UserError, match="'cat' is none of the categories"):
        detected.to_coco(7, categories[1:])


def test_coco_of_maps_and_of_classifiers(mapped, classified):
    entries = mapped.to_coco()
    assert [entry['bbox'] for entry in entries] == [[0, 0, 60, 60], [60, 0, 20, 60]]
    assert [entry['category_id'] for entry in entries] == [0, 2]
    assert mask_utils.area(entries[1]['segmentation']) == 1200
    with pytest.raises(UserError, match='whole picture'):
        classified.to_coco()


def test_supervision_gets_the_same_numbers(detected, classified):
    supervision = pytest.importorskip('supervision')
    found = detected.to_supervision()
    assert isinstance(found, supervision.Detections)
    assert np.array_equal(found.xyxy, detected.boxes)
    assert np.array_equal(found.mask, detected.masks)
    assert found.class_id.tolist() == [2, 0]
    assert found.data['class_name'].tolist() == ['owl', 'cat']
    assert classified.to_supervision().get_top_k(1)[0].tolist() == [1]
    nothing = result(DETECTOR, scores=np.zeros(0, np.float32), labels=np.zeros(0, np.int64))
    assert len(nothing.to_supervision()) == 0
    assert nothing.to_coco() == []


def test_drawn_pictures_show_what_is_above_the_threshold(detected, tmp_path):
    both, one = detected.draw(), detected.draw(threshold=0.5)
    assert both.shape == PICTURE.shape
    changed = [(np.abs(drawn.astype(int) - PICTURE) > 9).any(2) for drawn in (both, one)]
    assert changed[0][36:54, 51:69].mean() > 0.5
    assert not changed[1][36:54, 51:69].any()
    assert changed[1][11:29, 11:39].mean() > 0.5
    # The palette is RGB: owls are blue.
    blue, red = detected.draw()[25, 30, 0], detected.draw()[25, 30, 2]
    assert blue > red + 50
    assert np.array_equal(detected.draw(channels='rgb'), detected.draw()[..., ::-1])
    assert detected.save(tmp_path / 'drawn.png', threshold=0.5) == tmp_path / 'drawn.png'
    assert np.array_equal(cv2.imread(str(tmp_path / 'drawn.png')), one)
    for wrong in ('drawn.txt', 'none/drawn.png'):
        with pytest.raises(UserError, match='drawn'):
            detected.save(tmp_path / wrong)
    with pytest.raises(UserError, match='channels'):
        detected.draw(channels='hsv')


def test_boxes_over_the_edge_are_drawn_without_a_warning(recwarn):
    found = result(
        DETECTOR,
        boxes=np.array([[-3, 10, 85, 70]], np.float32),
        scores=np.array([0.9], np.float32),
        labels=np.array([1]),
    )
    assert (found.draw() != PICTURE).any()
    assert not [one for one in recwarn if 'out of bounds' in str(one.message)]


def test_maps_and_classes_are_drawn(mapped, classified):
    drawn = mapped.draw().astype(int)
    assert (drawn[5, 70] - drawn[5, 5])[[0, 2]].tolist()[0] > 50  # bluer on the right
    assert (np.abs(classified.draw().astype(int) - PICTURE) > 50).any()


def test_a_result_says_what_it_is(detected, classified):
    assert repr(detected) == '<owl 0.90, cat 0.40>'
    assert len(detected) == 2
    assert classified.to_dict()['pred_class'] == 'dog'
    assert list(detected.to_dict()) == ['labels', 'scores', 'bboxes', 'masks', 'names']
