"""The stand-in beside mmcv's compiled operators, in one process."""

import inspect
import itertools
import re

import pytest
import torch
from compiled import through
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from mmcv.ops import batched_nms, deform_conv2d, modulated_deform_conv2d, roi_align

from mmscale.operators import extension

inf, nan = float('inf'), float('nan')
few = settings(deadline=None, max_examples=60)
# Whole numbers make ties, and overlaps that are just at the threshold.
coordinates = st.one_of(
    st.integers(-20, 60).map(float), st.floats(-20, 60, width=32), st.sampled_from([inf, -inf, nan])
)
scores = st.one_of(st.sampled_from([0.0, 0.25, 0.5, 1.0, nan]), st.floats(0, 1, width=32))
rows = st.lists(st.tuples(*[coordinates] * 4, scores), max_size=25)
tidy_rows = st.lists(  # x and y, width and height
    st.tuples(*[st.integers(0, 40).map(float)] * 2, *[st.integers(0, 25).map(float)] * 2, scores),
    max_size=40,
)
thresholds = st.sampled_from([0.0, 0.3, 1 / 3, 0.5, 0.7, 1.0])
offsets = st.sampled_from([0, 1])


def tensors(rows, sides=False):
    dets = torch.tensor(rows, dtype=torch.float32).reshape(-1, 5)
    if sides:
        dets[:, 2:4] += dets[:, :2]
    return dets[:, :4].contiguous(), dets[:, 4].contiguous()


def same(result, expected):
    torch.testing.assert_close(result, expected, rtol=0, atol=0, equal_nan=True)


def check_suppression(compiled, boxes, scores, threshold, offset, min_score):
    same(
        extension.nms(boxes, scores, iou_threshold=threshold, offset=offset),
        compiled.nms(boxes, scores, iou_threshold=threshold, offset=offset),
    )
    for method in range(3):
        results = []
        for operators in (extension, compiled):
            dets = torch.zeros(len(boxes), 5)
            kept = operators.softnms(
                boxes,
                scores,
                dets,
                iou_threshold=threshold,
                sigma=0.5,
                min_score=min_score,
                method=method,
                offset=offset,
            )
            results.append((kept, dets[: len(kept)]))
        same(*[kept for kept, _ in results])
        # C's exponential is off by a rounding in one of 500 cases, and that adds up.
        rtol = 1e-6 if method == 2 else 0
        torch.testing.assert_close(
            *[dets for _, dets in results], rtol=rtol, atol=0, equal_nan=True
        )
    if len(boxes):
        dets = torch.cat([boxes, scores[:, None]], 1)
        assert extension.nms_match(dets, threshold) == compiled.nms_match(dets, threshold)


@few
@given(rows, thresholds, offsets, st.sampled_from([0.0, 0.001, 0.3]))
def test_suppression_of_any_boxes(compiled, rows, threshold, offset, min_score):
    check_suppression(compiled, *tensors(rows), threshold, offset, min_score)


@few
@given(tidy_rows, thresholds, offsets, st.sampled_from([0.0, 0.001, 0.3]))
def test_suppression_of_tidy_boxes(compiled, rows, threshold, offset, min_score):
    check_suppression(compiled, *tensors(rows, sides=True), threshold, offset, min_score)


@pytest.mark.parametrize('offset', [0, 1])
@pytest.mark.parametrize('integers', [True, False])
def test_suppression_of_many_boxes(compiled, offset, integers):
    """More than go into one block, with ties."""
    generator = torch.Generator().manual_seed(offset)
    corners = 300 * torch.rand(700, 2, generator=generator)
    sides = 90 * torch.rand(700, 2, generator=generator)
    boxes = torch.cat([corners, corners + sides], 1)
    scores = torch.rand(700, generator=generator)
    if integers:
        boxes, scores = boxes.round(), (scores * 50).round() / 50
    check_suppression(compiled, boxes, scores, 0.5, offset, 0.01)


@few
@given(rows, st.sampled_from([dict(type='nms'), dict(type='soft_nms')]), st.booleans())
def test_by_class_and_score(compiled, rows, kind, by_class):
    boxes, scores = tensors([row for row in rows if all(abs(x) < inf for x in row)])
    assume(len(boxes))  # mmcv takes their maximum
    labels = torch.arange(len(boxes)) % 3
    cfg = dict(kind, iou_threshold=0.4, split_thr=10)
    if kind['type'] == 'nms':
        cfg.update(score_threshold=0.1, max_num=5)
    results = []
    for operators in (extension, compiled):
        with through(operators):
            results.append(batched_nms(boxes, scores, labels, cfg, class_agnostic=not by_class))
    for result, expected in zip(*results):
        same(result, expected)


@few
@given(rows, rows, st.sampled_from([0, 1]), offsets, st.booleans())
def test_bbox_overlaps(compiled, first, second, mode, offset, aligned):
    if aligned:
        first, second = (some[: min(len(first), len(second))] for some in (first, second))
    first, second = tensors(first)[0], tensors(second)[0]
    results = []
    for operators in (extension, compiled):
        ious = torch.zeros(len(first)) if aligned else torch.zeros(len(first), len(second))
        operators.bbox_overlaps(first, second, ious, mode=mode, aligned=aligned, offset=offset)
        results.append(ious)
    same(*results)


def outputs_and_grads(operators, function, inputs, *arguments):
    """The output and the gradient of each input, through one of the two extensions."""
    inputs = [x.clone().requires_grad_(x.is_floating_point()) for x in inputs]
    with through(operators):
        output = function(*inputs, *arguments)
        grad = torch.linspace(-1, 2, output.numel(), dtype=output.dtype).view_as(output)
        output.backward(grad)
    return [output.detach(), *[x.grad for x in inputs if x.grad is not None]]


def close(results, relative):
    """Within so much of the largest number."""
    for result, expected in zip(*results):
        bound = relative * expected.abs().max().item() if expected.numel() else 0
        torch.testing.assert_close(result, expected, rtol=0, atol=bound)


corners, sides = st.floats(-40, 90, width=16), st.floats(0, 80, width=16)


@few
@given(
    st.lists(st.tuples(st.integers(0, 1), corners, corners, sides, sides), max_size=6),
    st.sampled_from([0, 1, 2]),
    st.booleans(),
    st.sampled_from([0.25, 1 / 3]),
    st.sampled_from(['avg', 'max']),
    st.sampled_from([torch.float32, torch.float64, torch.float16]),
)
def test_roi_align(compiled, rows, ratio, aligned, scale, mode, dtype):
    if mode == 'max' and dtype == torch.float16:
        dtype = torch.float32  # which of equal samples is the highest is left to chance there
    x = torch.randn(2, 3, 13, 17, generator=torch.Generator().manual_seed(0)).to(dtype)
    rois = torch.tensor(rows, dtype=torch.float64).reshape(-1, 5).to(dtype)
    rois[:, 3:] += rois[:, 1:3]

    def run(operators):
        def function(x):
            return roi_align(x, rois, (3, 4), scale, ratio, mode, aligned)

        return outputs_and_grads(operators, function, [x])

    tolerance = 0 if mode == 'avg' else 1e-5 if dtype == torch.float32 else 1e-13
    close([run(extension), run(compiled)], tolerance)


def test_roi_align_of_a_channels_last_map(compiled):
    """mmcv reads the memory of such a map as if it were not; here its values are what counts."""
    x = torch.randn(1, 8, 20, 20)
    rois = torch.tensor([[0, 2.0, 3, 70, 60]])
    with through(compiled):
        expected = roi_align(x, rois, 7, 0.25)
    with through(extension):
        output = roi_align(x.to(memory_format=torch.channels_last), rois, 7, 0.25)
    same(output, expected)


@pytest.mark.parametrize('row', [(0, 10, 10, 5, 20), (0, nan, 1, 5, 20)])
def test_roi_align_refuses_boxes_that_end_before_they_begin(compiled, row):
    for operators in (extension, compiled):
        with through(operators), pytest.raises(RuntimeError, match='RoI|roi_'):
            roi_align(torch.rand(1, 1, 9, 9), torch.tensor([row], dtype=torch.float32), 3)


GEOMETRIES = list(itertools.product([1, 2], [0, 1, 2], [1, 2], [(1, 1), (2, 1), (1, 2), (2, 4)]))


@pytest.mark.parametrize(('dtype', 'tolerance'), [(torch.float32, 1e-6), (torch.float64, 2e-15)])
@pytest.mark.parametrize('offsets', ['none', 'whole', 'any'])
@pytest.mark.parametrize('modulated', [False, True])
def test_deformable_convolution(compiled, modulated, offsets, dtype, tolerance):
    generator = torch.Generator().manual_seed(0)
    for stride, padding, dilation, (groups, offset_groups) in GEOMETRIES:
        kernel, geometry = (3, 2), (stride, padding, dilation, groups, offset_groups)
        x = torch.randn(2, 8, 11, 9, generator=generator, dtype=dtype)
        weight = torch.randn(6, 8 // groups, *kernel, generator=generator, dtype=dtype)
        size = [
            (n + 2 * padding - dilation * (k - 1) - 1) // stride + 1
            for n, k in zip(x.shape[2:], kernel)
        ]
        larger = [n + 2 for n in size] if modulated and stride == 2 else size  # as in DyHead
        moved = 2 * torch.randn(2, offset_groups * 12, *larger, generator=generator, dtype=dtype)
        moved = {'none': 0 * moved, 'whole': moved.round(), 'any': moved}[offsets]
        if modulated:
            masks = torch.rand(2, offset_groups * 6, *larger, generator=generator, dtype=dtype)
            bias = torch.randn(6, generator=generator, dtype=dtype)
            function, inputs = modulated_deform_conv2d, (x, moved, masks, weight, bias)
        else:
            function, inputs = deform_conv2d, (x, moved, weight)
        results = [
            outputs_and_grads(operators, function, inputs, *geometry)
            for operators in (extension, compiled)
        ]
        assert len(results[0]) == len(inputs) + 1
        close(results, tolerance)


def test_every_name_that_is_compiled_is_there(compiled):
    names = [name for name in dir(compiled) if not name.startswith('_')]
    assert len(names) > 100
    assert set(extension.__all__) < set(names)
    for name in names:
        assert callable(getattr(extension, name)), name


def test_arguments_have_the_compiled_names(compiled):
    """pybind11 writes the arguments into the first line of the documentation."""
    for name in extension.__all__:
        signature = getattr(compiled, name).__doc__.partition(') -> ')[0]
        expected = re.findall(r'(\w+): ', signature)
        assert list(inspect.signature(getattr(extension, name)).parameters) == expected, name
