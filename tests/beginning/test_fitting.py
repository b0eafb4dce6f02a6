"""Image size, batch and schedule."""

import numpy as np
import pytest

from mmscale.beginning import fitting
from mmscale.beginning.fitting import (
    classifier_size,
    detector_size,
    plan_classifier,
    plan_detector,
)


def boxes(side):
    return np.array([[0, 0, side, side]] * 20, float)


@pytest.mark.parametrize(
    ('picture', 'side', 'size'),
    [
        ((640, 480), 60, (640, 480)),
        ((640, 480), 10, (1024, 768)),  # small objects: enlarged
        ((640, 480), 4, (1088, 800)),
        ((4000, 3000), 300, (1088, 800)),
        ((320, 320), 40, (320, 320)),
        ((100, 80), 60, (224, 160)),
        ((6000, 1000), 100, (1333, 800)),
    ],
)
def test_size_of_a_detectors_pictures(picture, side, size):
    assert detector_size(np.array([picture] * 9, float), boxes(side)) == size


def test_size_without_boxes():
    assert detector_size(np.array([(640.0, 480)]), np.zeros((0, 4))) == (640, 480)


@pytest.mark.parametrize(('side', 'size'), [(32, 64), (64, 64), (100, 96), (1000, 224)])
def test_size_of_a_classifiers_pictures(side, size):
    assert classifier_size(np.array([(side * 2, side)])) == size


@pytest.fixture
def memory(monkeypatch):
    def has(gib):
        monkeypatch.setattr(fitting, 'free_memory', lambda: (gib * 2**30, f'{gib} GiB'))

    return has


@pytest.mark.parametrize(
    ('gib', 'images', 'batch'),
    [
        (80, 5000, 16),
        (16, 5000, 2),
        (8, 5000, 1),
        (1, 5000, 1),
        (80, 40, 4),
        (80, 3, 2),
        (80, 1, 1),
    ],
)
def test_batch_fits_memory_and_set(memory, gib, images, batch):
    memory(gib)
    assert plan_detector((1333, 800), images).batch_size == batch


@pytest.mark.parametrize(
    ('images', 'epochs', 'warm_up'), [(20, 100, 10), (1000, 20, 2), (118_000, 12, 0.068)]
)
def test_schedule_fits_the_number_of_pictures(memory, images, epochs, warm_up):
    memory(80)
    plan = plan_detector((1333, 800), images)
    assert (plan.max_epochs, plan.warm_up) == (epochs, warm_up)
    assert 0 < plan.warm_up * plan.steps <= min(510, plan.max_epochs * plan.steps / 9)


def test_a_classifiers_batch(memory):
    memory(8)
    assert plan_classifier(224, 100_000).batch_size == 16
    assert plan_classifier(64, 100_000).batch_size == 64
    assert plan_classifier(64, 50).batch_size == 8


def test_free_memory_is_some():
    free, named = fitting.free_memory()
    assert free > 2**20
    assert 'GiB free on' in named
