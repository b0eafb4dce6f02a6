"""One call from any file to the same results."""

import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from commands import ROOT

import mmscale
from mmscale.errors import UserError
from mmscale.inference.videos import video_writer


@pytest.fixture(scope='module')
def roads(detector, detector_files, tmp_path_factory):
    """One detector as a checkpoint, as ONNX and as OpenVINO."""
    onnx = pytest.importorskip('onnx')
    pytest.importorskip('openvino')
    from mmscale.exported.engines import engine_of
    from mmscale.exported.files import ExportedFile

    out = tmp_path_factory.mktemp('openvino') / 'detector.xml'
    meta = ExportedFile(detector_files.path).meta
    engine_of(out).write(onnx.load(detector_files.path), meta, out)
    return dict(
        checkpoint=mmscale.load(detector[1], config=detector[0]),
        onnx=mmscale.load(detector_files.path),
        openvino=mmscale.load(out),
    )


@pytest.fixture(scope='module')
def found(detector):
    """The small detector, by the name of its config."""
    return mmscale.load(detector[0], weights=detector[1])


@pytest.fixture(scope='module')
def classes(classifier):
    return mmscale.load(classifier[1], config=classifier[0])


def assert_same(one, other):
    # Rounding may swap neighbours whose scores are all but equal.
    apart = np.abs(one.boxes[:, None] - other.boxes).max(-1)
    order = np.where(one.labels[:, None] == other.labels, apart, np.inf).argmin(1)
    assert sorted(order) == list(range(len(other)))
    assert one.labels.tolist() == other.labels[order].tolist()
    assert one.names == [other.names[i] for i in order]
    np.testing.assert_allclose(one.boxes, other.boxes[order], rtol=0, atol=0.01)
    # The checkpoint's own scores differ by 3e-5 between one thread and two.
    np.testing.assert_allclose(one.scores, other.scores[order], rtol=0, atol=2e-4)
    np.testing.assert_allclose(one.scores, other.scores, rtol=0, atol=2e-4)
    masks = other.masks[order]
    union = (one.masks | masks).sum((1, 2))
    assert ((one.masks & masks).sum((1, 2)) >= 0.99 * union).all()


@pytest.mark.parametrize('batch', [1, 2])
@pytest.mark.parametrize('form', ['onnx', 'openvino'])
def test_checkpoint_and_files_give_equal_results(roads, pictures, form, batch, tmp_path):
    expected = roads['checkpoint'].predict(pictures, batch=batch)
    results = roads[form].predict(pictures, batch=batch)
    assert sum(map(len, expected)) >= 20
    for one, other in zip(expected, results, strict=True):
        assert_same(one, other)
        assert np.array_equal(one.picture, other.picture)
    drawn = [model.predict(pictures[0])[0].draw() for model in (roads['checkpoint'], roads[form])]
    assert np.abs(drawn[0].astype(int) - drawn[1]).mean() < 1


def test_results_are_arrays_of_one_form(found, pictures):
    (result,) = found.predict(pictures[0], threshold=0.5)
    height, width = cv2.imread(pictures[0]).shape[:2]
    count = len(result)
    assert count > 3
    assert (result.boxes.shape, result.boxes.dtype) == ((count, 4), np.float32)
    assert (result.scores.dtype, result.labels.dtype) == (np.float32, np.int64)
    assert (result.masks.shape, result.masks.dtype) == ((count, height, width), bool)
    assert result.size == (height, width)
    assert result.scores.min() >= 0.5
    assert (np.diff(result.scores) <= 0).all()
    assert result.names == [found.classes[label] for label in result.labels]
    every = found.predict(pictures[0], threshold=0)[0]
    assert len(every) > count
    assert np.array_equal(every.boxes[:count], result.boxes)


def test_every_form_of_a_picture_gives_the_same_result(found, pictures):
    (expected,) = found.predict(pictures[0])
    pixels = cv2.imread(pictures[0])
    for given, channels in (
        (pixels, 'bgr'),
        (pixels[..., ::-1], 'rgb'),
        (Path(pictures[0]).read_bytes(), 'bgr'),
        (iter([pictures[0]]), 'bgr'),
    ):
        (result,) = found.predict(given, channels=channels)
        assert np.array_equal(result.boxes, expected.boxes)
        assert np.array_equal(result.picture, pixels)
    wrong = found.predict(pixels[..., ::-1])[0]
    assert len(wrong) != len(expected) or not np.array_equal(wrong.boxes, expected.boxes)


def test_batches_are_computed_at_once(classes, pictures, monkeypatch):
    sizes = []
    step = classes.model.test_step

    def counted(data):
        sizes.append(len(data['inputs']))
        return step(data)

    monkeypatch.setattr(classes.model, 'test_step', counted)
    together = classes.predict(pictures, batch=2)
    assert sizes == [2, 1]
    for one, other in zip(classes.predict(pictures), together, strict=True):
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-4)


def test_classifiers_name_the_best_classes(classes, pictures):
    (result,) = classes.predict(pictures[0], top=3)
    assert len(result) == 3
    assert result.probabilities.shape == (8,)
    assert result.probabilities.sum() == pytest.approx(1)
    assert result.labels[0] == result.probabilities.argmax()
    assert result.scores.tolist() == sorted(result.probabilities.tolist(), reverse=True)[:3]
    assert result.boxes.shape == (0, 4)
    with pytest.raises(UserError, match='slices=64: a classifier'):
        classes.predict(pictures[0], slices=64)


def test_segmentors_give_maps(segmentor, pictures):
    model = mmscale.load(segmentor[1], config=segmentor[0])
    (result,) = model.predict(pictures[0])
    assert result.map.shape == result.size == cv2.imread(pictures[0]).shape[:2]
    shares = [(result.map == label).mean() for label in result.labels]
    np.testing.assert_allclose(result.scores, shares, atol=1e-6)
    assert sum(shares) == pytest.approx(1)


def test_a_video_is_answered_frame_by_frame(classes, tmp_path):
    path = tmp_path / 'clip.mp4'
    with video_writer(path, 10) as add:
        for level in (0, 100, 200):
            add(np.full((64, 64, 3), level, np.uint8))
    results = classes.predict(path, batch=2)
    assert not isinstance(results, list)
    first = next(results)
    assert (first.frame, first.path) == (0, str(path))
    assert first.picture.mean() < 5
    assert [result.frame for result in results] == [1, 2]


def test_an_iterator_is_asked_only_for_what_is_computed(classes, pictures):
    asked = []

    def camera():
        for path in pictures:
            asked.append(path)
            yield path

    results = classes.predict(camera())
    next(results)
    assert asked == pictures[:1]


def test_large_pictures_in_slices(found, pictures):
    pytest.importorskip('supervision')
    small = cv2.imread(pictures[0])
    height, width = small.shape[:2]
    large = np.zeros((2 * height, width, 3), np.uint8)
    large[height:] = small
    (expected,) = found.predict(small)
    (result,) = found.predict(large, slices=(width, height), overlap=0, batch=2)
    below = result.boxes[:, 1] >= height - 1
    lower = result.boxes[below] - [0, height, 0, height]
    kept = [(np.abs(lower - box).max(1) < 0.01).any() for box in expected.boxes]
    assert sum(kept) >= len(expected) // 3  # overlapping ones of one class are suppressed
    assert kept[0]
    assert result.masks.shape == (len(result), 2 * height, width)
    assert result.size == (2 * height, width)
    assert (np.diff(result.scores) <= 0).all()
    for wrong in (4, (64, 64, 64), 'big'):
        with pytest.raises(UserError, match='slices='):
            found.predict(small, slices=wrong)


# What is loaded


def test_a_checkpoint_of_a_run_needs_no_config(detector_run, pictures):
    model = mmscale.load(detector_run / 'iter_4.pth')
    assert (model.task, model.classes[0]) == ('detector', 'circle')
    named = mmscale.load(detector_run / 'iter_4.pth', config='faster-rcnn_rexnet-100_fpn_shapes')
    for one, other in zip(*(m.predict(pictures, threshold=0) for m in (model, named)), strict=True):
        assert np.array_equal(one.boxes, other.boxes)


def test_a_classifiers_run_too(classifier_run, pictures):
    assert mmscale.load(classifier_run).predict(pictures[0])[0].probabilities.sum() > 0.99


def test_a_new_process_loads_a_classifier(classifier_run):
    code = f'import mmscale; print(mmscale.load({str(classifier_run)!r}).task)'
    done = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1:] == ['classifier'], done.stderr[-2000:]


def test_a_work_dir_gives_its_best_checkpoint_or_its_last(detector_run, tmp_path, log):
    run = tmp_path / 'run'
    run.mkdir()
    shutil.copy(detector_run / 'iter_4.pth', run)
    mmscale.load(run)
    assert 'iter_4.pth is taken' in log.with_word('is taken')
    shutil.copy(detector_run / 'iter_4.pth', run / 'best_coco_bbox_mAP_iter_2.pth')
    log.clear()
    mmscale.load(run)
    assert 'best_coco_bbox_mAP_iter_2.pth is taken' in log.with_word('is taken')
    (tmp_path / 'empty').mkdir()
    with pytest.raises(UserError, match="empty' has no checkpoint"):
        mmscale.load(tmp_path / 'empty')


@pytest.mark.parametrize(
    ('given', 'options', 'words'),
    [
        ('faster_rcnn_rexnet_fpn', {}, 'is a config: give its weights too'),
        ('nowhere.pth', {}, "'nowhere.pth' is missing"),
        ('faster_rcnn_rexnt_fpn', {}, 'close to it: faster_rcnn_rexnet_fpn'),
        ('nowhere.onnx', {}, "'nowhere.onnx' is missing"),
        ('nowhere.onnx', dict(device='cuda'), 'runs on the CPU'),
        ('faster_rcnn_rexnet_fpn', dict(weights='x.pth', config='y'), 'leave config= out'),
    ],
)
def test_what_cannot_be_loaded_is_named(given, options, words):
    with pytest.raises(UserError, match=words) as error:
        mmscale.load(given, **options)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (dict(threshold=2), 'threshold=2 must be'),
        (dict(batch=0), 'batch=0 must be'),
        (dict(top=0), 'top=0 must be'),
        (dict(channels='RGB'), "channels='RGB' is unknown"),
    ],
)
def test_arguments_that_do_not_fit_are_named(classes, pictures, options, words):
    with pytest.raises(UserError, match=words):
        classes.predict(pictures[0], **options)


@pytest.mark.parametrize(
    ('given', 'words'),
    [
        (torch.zeros(3, 60, 60), 'pictures of type Tensor; what is taken: a path'),
        ([torch.zeros(3, 60, 60)], 'pictures of type Tensor'),
        (np.zeros((2, 3000, 3), np.uint8), 'the array of 2 x 3000 px .* too thin'),
    ],
)
def test_what_is_no_picture_is_named(found, given, words):
    with pytest.raises(UserError, match=words) as error:
        found.predict(given)
    assert '\n' not in str(error.value)


def test_weights_alone_do_not_say_their_config(tmp_path):
    torch.save(dict(state_dict=dict(a=torch.zeros(1))), tmp_path / 'alone.pth')
    with pytest.raises(UserError, match='does not quote: --config CONFIG'):
        mmscale.load(tmp_path / 'alone.pth')
