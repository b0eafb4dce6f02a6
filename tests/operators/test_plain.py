"""Operators that mmcv compiles for GPUs alone, beside other words for the same."""

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from compiled import through
from mmcv.ops import (
    SyncBatchNorm,
    bbox_overlaps,
    carafe,
    deform_conv2d,
    masked_conv2d,
    modulated_deform_conv2d,
    nms,
    roi_align,
    sigmoid_focal_loss,
    soft_nms,
    softmax_focal_loss,
)
from mmcv.ops.multi_scale_deform_attn import (
    MultiScaleDeformableAttnFunction,
    multi_scale_deformable_attn_pytorch,
)

from mmscale.operators import extension


@pytest.fixture(autouse=True)
def standing_in():
    with through(extension):
        yield


def compare(function, expected, *inputs):
    """Outputs and all gradients."""
    results = []
    for run in (function, expected):
        leaves = [x.clone().requires_grad_() for x in inputs]
        output = run(*leaves)
        output.backward(torch.linspace(-1, 2, output.numel(), dtype=output.dtype).view_as(output))
        results.append([output, *[x.grad for x in leaves]])
    for result, other in zip(*results):
        torch.testing.assert_close(result, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('weighted', [False, True])
@pytest.mark.parametrize('gamma', [2.0, 1.5])
def test_sigmoid_focal_loss(weighted, gamma):
    logits = 4 * torch.randn(40, 5, dtype=torch.float64)
    target = torch.randint(0, 6, (40,))  # 5 is the background
    weight = torch.rand(5, dtype=torch.float64) + 0.5 if weighted else None

    def expected(x):
        positive = F.one_hot(target, 6)[:, :5]
        p = x.sigmoid()
        missed = torch.where(positive > 0, 1 - p, p)
        factor = torch.where(positive > 0, 0.25, 0.75) * missed**gamma
        loss = factor * F.binary_cross_entropy_with_logits(x, positive.double(), reduction='none')
        return loss * (F.pad(weight, (0, 1), value=1)[target][:, None] if weighted else 1)

    def function(x):
        return sigmoid_focal_loss(x, target, gamma, 0.25, weight, 'none')

    compare(function, expected, logits)


@pytest.mark.parametrize('weighted', [False, True])
def test_softmax_focal_loss(weighted):
    logits = 3 * torch.randn(40, 5, dtype=torch.float64)
    target = torch.randint(0, 5, (40,))
    weight = torch.rand(5, dtype=torch.float64) + 0.5 if weighted else None

    def expected(x):
        loss = F.cross_entropy(x, target, reduction='none')
        factor = 0.25 * (weight[target] if weighted else 1)
        return (factor * (1 - (-loss).exp()) ** 2 * loss).mean()

    compare(lambda x: softmax_focal_loss(x, target, 2.0, 0.25, weight, 'mean'), expected, logits)


@pytest.mark.parametrize(('kernel', 'groups', 'scale'), [(5, 1, 2), (3, 2, 3)])
def test_carafe(kernel, groups, scale):
    features = torch.randn(2, 4, 6, 5)
    masks = torch.randn(2, groups * kernel**2, 6 * scale, 5 * scale)

    def expected(features, masks):
        around = F.unfold(features, kernel, padding=kernel // 2)
        around = around.view(2, groups, 4 // groups, kernel**2, 6, 1, 5, 1)
        weights = masks.view(2, groups, 1, kernel**2, 6, scale, 5, scale)
        return (around * weights).sum(3).reshape(2, 4, 6 * scale, 5 * scale)

    compare(lambda *inputs: carafe(*inputs, kernel, groups, scale), expected, features, masks)


def test_carafe_of_a_channels_last_map():
    features, masks = torch.randn(2, 4, 6, 5), torch.randn(2, 25, 12, 10)
    expected = carafe(features, masks, 5, 1, 2)
    channels_last = [x.to(memory_format=torch.channels_last) for x in (features, masks)]
    torch.testing.assert_close(carafe(*channels_last, 5, 1, 2), expected, rtol=0, atol=0)


@pytest.mark.parametrize('lower', [False, True])
@pytest.mark.parametrize(('kernel', 'padding'), [(3, 1), (1, 0)])
def test_masked_convolution(kernel, padding, lower):
    x, mask = torch.randn(1, 4, 9, 7), torch.rand(1, 9, 7) > 0.6
    weight, bias = torch.randn(5, 4, kernel, kernel), torch.randn(5)
    with torch.autocast('cpu', enabled=lower):
        output = masked_conv2d(x, mask, weight, bias, padding)
    expected = F.conv2d(x, weight, bias, padding=padding) * mask
    tolerance = 0.05 if lower else 1e-5
    torch.testing.assert_close(output, expected, rtol=tolerance, atol=tolerance)


def test_attention():
    shapes = torch.tensor([[6, 5], [3, 2]])
    starts = torch.tensor([0, 30])
    value = torch.randn(2, 36, 3, 4)
    places = torch.rand(2, 7, 3, 2, 4, 2) * 1.4 - 0.2
    weights = torch.rand(2, 7, 3, 2, 4)

    def function(value, places, weights):
        arguments = shapes, starts, places, weights, 64
        return MultiScaleDeformableAttnFunction.apply(value, *arguments)

    def expected(value, places, weights):
        return multi_scale_deformable_attn_pytorch(value, shapes, places, weights)

    compare(function, expected, value, places, weights)


def test_bfloat16():
    """As single precision, rounded at the end; mmcv compiles nothing for it."""
    x, rois = torch.randn(1, 4, 12, 12), torch.tensor([[0, 2.0, 4, 40, 30], [0, 8, 8, 16, 24]])
    moved, weight = torch.randn(1, 18, 12, 12), torch.randn(3, 4, 3, 3)
    for function, inputs in (
        (lambda a, b: roi_align(a, b, 3, 0.25), (x, rois)),
        (lambda a, b: roi_align(a, b, 3, 0.25, 2, 'max'), (x, rois)),
        (lambda a, b: roi_align(a, b.float(), 3, 0.25, 2, 'max'), (x, rois)),
        (lambda a, b, c: deform_conv2d(a, b, c, 1, 1), (x, moved, weight)),
    ):
        inputs = [tensor.bfloat16() for tensor in inputs]
        results = []
        for dtype in (torch.bfloat16, torch.float32):
            leaf = inputs[0].to(dtype, copy=True).requires_grad_()
            output = function(leaf, *[tensor.to(dtype) for tensor in inputs[1:]])
            output.sum().backward()
            results.append([output.bfloat16(), leaf.grad.bfloat16()])
        assert results[0][0].dtype == torch.bfloat16
        torch.testing.assert_close(*results, rtol=0.02, atol=0.05)


@pytest.mark.parametrize('offset', [0, 1])
@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_nms_of_boxes_in_half_precision(dtype, offset):
    generator = torch.Generator().manual_seed(0)
    corners = 60 * torch.rand(3000, 2, generator=generator)
    boxes = torch.cat([corners, corners + 30 * torch.rand(3000, 2, generator=generator)], 1)
    boxes, scores = boxes.to(dtype), torch.rand(3000, generator=generator)
    _, kept = nms(boxes, scores, 0.5, offset=offset)
    _, expected = nms(boxes.float(), scores, 0.5, offset=offset)
    assert kept.tolist() == expected.tolist()
    assert 5 < len(kept) < 1500


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_boxes_in_half_precision(dtype):
    """As single precision, rounded at the end."""
    boxes = (100 * torch.rand(50, 4)).to(dtype)
    boxes[:, 2:] += boxes[:, :2]
    ious = bbox_overlaps(boxes, boxes[:20])
    expected = bbox_overlaps(boxes.float(), boxes[:20].float())
    torch.testing.assert_close(ious, expected.to(dtype), rtol=0, atol=0.01)
    scores = torch.rand(50).to(dtype)
    dets, kept = soft_nms(boxes, scores, 0.4, min_score=0.1)
    expected = soft_nms(boxes.float(), scores.float(), 0.4, min_score=0.1)
    assert kept.tolist() == expected[1].tolist()
    torch.testing.assert_close(dets, expected[0].to(dtype), rtol=0, atol=0.01)


@pytest.mark.parametrize('modulated', [False, True])
def test_offsets_that_are_no_numbers(modulated):
    """Such a tap reads nothing; in torchvision's operator it ends the process."""
    x, weight = torch.randn(1, 4, 5, 5), torch.randn(4, 4, 3, 3)
    results = []
    for nothing in (float('nan'), 1e9):
        moved = torch.zeros(1, 18, 5, 5)
        moved[0, 8, 2, 2], moved[0, 3, 0, 4] = nothing, nothing
        leaves = [t.clone().requires_grad_() for t in (x, moved, weight)]
        if modulated:
            args = leaves[0], leaves[1], torch.ones(1, 9, 5, 5), leaves[2], None, 1, 1
            output = modulated_deform_conv2d(*args, 1, 1, 1)
        else:
            output = deform_conv2d(*leaves, 1, 1)
        output.sum().backward()
        results.append([output, *[t.grad for t in leaves]])
    torch.testing.assert_close(*results, rtol=0, atol=0)
    assert results[0][0].isfinite().all()


@pytest.mark.parametrize('mode', ['avg', 'max'])
@pytest.mark.parametrize(
    ('row', 'said'),
    [((0, float('nan'), 0, 1, 1), 'not a number'), ((2, 0, 0, 1, 1), 'not one of 0 to 1'),
     ((-1, 0, 0, 1, 1), 'not one of 0 to 1')],
)  # fmt: skip
def test_roi_align_refuses_what_would_read_foreign_memory(row, said, mode):
    with pytest.raises(RuntimeError, match=said):
        roi_align(torch.rand(2, 1, 9, 9), torch.tensor([row]), 3, 1.0, 2, mode, False)


@pytest.fixture
def one_process():
    dist.init_process_group('gloo', store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def test_synchronized_batch_norm(one_process):
    """In one process it is ordinary batch norm."""
    own, usual = SyncBatchNorm(4), torch.nn.BatchNorm2d(4)
    with torch.no_grad():
        for layer in (own, usual):
            layer.weight.copy_(torch.arange(1.0, 5))
            layer.bias.copy_(torch.arange(4.0))
    compare(own, usual, torch.randn(3, 4, 5, 6))
    for name in ('weight', 'bias'):
        ours, theirs = getattr(own, name).grad, getattr(usual, name).grad
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(own.running_mean, usual.running_mean)
    torch.testing.assert_close(own.running_var, usual.running_var)
