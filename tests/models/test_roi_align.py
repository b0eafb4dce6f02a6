"""RoIAlign by rows gives what mmcv's gives."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmcv.ops import RoIAlign

from mmscale.deploy import fuse
from mmscale.errors import UserError
from mmscale.models import roi_align
from mmscale.models.roi_align import RowRoIAlign


def maps(dtype=torch.float64):
    x = torch.rand(2, 5, 13, 17, generator=torch.Generator().manual_seed(0), dtype=dtype)
    return x.to(memory_format=torch.channels_last)


def boxes(*rows):
    return torch.tensor(rows, dtype=torch.float64).reshape(-1, 5)


def assert_same(layer, x, rois, tolerance=1e-12):
    theirs, ours = x.contiguous().requires_grad_(), x.clone().requires_grad_()
    expected = layer(theirs, rois)
    output = RowRoIAlign(layer)(ours, rois)
    assert output.is_contiguous()
    assert output.dtype == expected.dtype
    torch.testing.assert_close(output, expected, rtol=tolerance, atol=tolerance)
    weights = torch.linspace(-1, 1, output.numel(), dtype=output.dtype).view_as(output)
    for found in (expected, output):
        (found * weights).sum().backward()
    assert ours.grad.dtype == x.dtype
    assert ours.grad.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=tolerance, atol=10 * tolerance)
    with torch.no_grad():
        assert RowRoIAlign(layer)(x, rois).equal(output)


sides = st.floats(0, 90, allow_nan=False)
corners = st.floats(-40, 100, allow_nan=False)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 1), corners, corners, sides, sides), max_size=6),
    st.sampled_from([0, 1, 2]),
    st.booleans(),
    st.sampled_from([(7, 7), (1, 3)]),
)
def test_any_boxes(rows, sampling_ratio, aligned, size):
    rois = boxes(*[(i, x, y, x + w, y + h) for i, x, y, w, h in rows])
    layer = RoIAlign(size, 0.25, sampling_ratio, aligned=aligned)
    assert_same(layer, maps(), rois)


@pytest.mark.parametrize('limit', [1, 2000])
def test_many_samples_in_several_calls(limit, monkeypatch):
    monkeypatch.setattr(roi_align, 'AT_ONCE', limit)
    rois = boxes((0, 0, 0, 68, 52), (1, 0, 0, 68, 52), (1, 3, 4, 20, 52), (0, 1, 1, 66, 51))
    assert_same(RoIAlign(3, 0.25, 0), maps(), rois)


def test_single_precision():
    rois = boxes((0, 2, 3, 40, 30), (1, 0, 0, 60, 50)).float()
    assert_same(RoIAlign(7, 0.25, 0), maps(torch.float32), rois, 1e-6)


def test_gradients_in_several_calls_are_those_of_one(monkeypatch):
    x, grads = maps(), []
    rois = boxes((0, 0, 0, 68, 52), (1, 0, 0, 68, 52), (1, 3, 4, 20, 52), (0, 1, 1, 66, 51))
    for limit in (1, roi_align.AT_ONCE):
        monkeypatch.setattr(roi_align, 'AT_ONCE', limit)
        given = x.clone().requires_grad_()
        RowRoIAlign(RoIAlign(3, 0.25, 0))(given, rois).square().sum().backward()
        grads.append(given.grad)
    torch.testing.assert_close(*grads, rtol=1e-12, atol=1e-12)


def test_what_mmcv_computes():
    rois = boxes((0, 2, 3, 40, 30)).half()
    x = maps(torch.float16).contiguous()
    layer = RoIAlign(7, 0.25, 0)
    assert RowRoIAlign(layer)(x, rois).equal(layer(x, rois))


@pytest.mark.parametrize(
    ('row', 'words'),
    [
        ((0, 10, 10, 5, 20), 'x2 or y2 is smaller'),
        ((0, float('nan'), 1, 5, 20), 'not finite'),
        ((1, 0, 1, float('inf'), 20), 'not finite'),
        ((2, 1, 1, 5, 20), 'not one of 0 to 1'),
        ((-1, 1, 1, 5, 20), 'not one of 0 to 1'),
    ],
)
def test_bad_boxes(row, words):
    with pytest.raises(UserError, match=words):
        RowRoIAlign(RoIAlign(7, 0.25, 0))(maps(), boxes(row))


def test_fuse_takes_averages_alone():
    layers = torch.nn.ModuleList(
        [
            RoIAlign(7, 0.25),
            RoIAlign(7, 0.25, pool_mode='max'),
            RoIAlign(7, 0.25, use_torchvision=True),
            RoIAlign(7, 0.25),
        ]
    )
    layers[3].register_forward_hook(lambda *_: None)
    fused = fuse(fuse(layers))
    assert [type(m).__name__ for m in fused] == ['RowRoIAlign', *['RoIAlign'] * 3]
    assert type(fused[0].layer) is RoIAlign
