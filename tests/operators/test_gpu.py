"""The stand-in on a GPU beside itself on the CPU and, where they are built, mmcv's CUDA kernels."""

import pytest
import torch
from compiled import load, through
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
from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttnFunction

from mmscale.operators import extension

if not torch.cuda.is_available():
    pytest.skip('no GPU here', allow_module_level=True)


@pytest.fixture(autouse=True)
def single_precision(monkeypatch):
    """TensorFloat-32 rounds the products of convolutions to 10 bits."""
    monkeypatch.setattr(torch.backends.cudnn, 'allow_tf32', False)
    monkeypatch.setattr(torch.backends.cuda.matmul, 'allow_tf32', False)


def random_boxes(count, seed=0):
    """Corners and sides of whole and half pixels: many overlaps, some of them equal."""
    generator = torch.Generator().manual_seed(seed)
    corners = torch.randint(0, 400, (count, 2), generator=generator) / 2
    sides = torch.randint(2, 160, (count, 2), generator=generator) / 2
    scores = torch.rand(count, generator=generator)
    return torch.cat([corners, corners + sides], 1), scores


def rois():
    boxes, _ = random_boxes(40)
    return torch.cat([torch.arange(40.0)[:, None] % 2, boxes], 1)


def target(classes):
    return torch.arange(40) % classes


def image(*shape, scale=1.0):
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def attend(value, places, weights):
    shapes = torch.tensor([[6, 5], [3, 2]], device=value.device)
    starts = torch.tensor([0, 30], device=value.device)
    return MultiScaleDeformableAttnFunction.apply(value, shapes, starts, places, weights, 64)


# Functions, their inputs that have gradients, and those that have none.
DIFFERENTIABLE = {
    'roi_align': (lambda x, r: roi_align(x, r, 7, 0.25, 0, 'avg', True), [image(2, 8, 50, 50)],
                  [rois()]),
    'roi_align, 2 samples, not aligned': (
        lambda x, r: roi_align(x, r, (3, 5), 0.25, 2, 'avg', False), [image(2, 8, 50, 50)],
        [rois()]),
    'roi_align, maxima': (lambda x, r: roi_align(x, r, 7, 0.25, 2, 'max', True),
                          [image(2, 8, 50, 50)], [rois()]),
    'deform_conv': (lambda *t: deform_conv2d(*t, 1, 1, 1, 1, 2),
                    [image(2, 8, 11, 9), image(2, 36, 11, 9), image(6, 8, 3, 3)], []),
    'modulated_deform_conv': (
        lambda *t: modulated_deform_conv2d(*t, 2, 1, 1, 2, 2),
        [image(2, 8, 11, 9), image(2, 36, 6, 5), image(2, 18, 6, 5), image(6, 4, 3, 3), image(6)],
        []),
    'sigmoid_focal_loss': (lambda x, t: sigmoid_focal_loss(x, t, 2.0, 0.25, None, 'none'),
                           [image(40, 5, scale=4)], [target(6)]),
    'softmax_focal_loss': (lambda x, t: softmax_focal_loss(x, t, 2.0, 0.25, None, 'mean'),
                           [image(40, 5, scale=3)], [target(5)]),
    'carafe': (lambda x, m: carafe(x, m, 5, 1, 2), [image(2, 4, 6, 5), image(2, 25, 12, 10)], []),
    'attention': (attend, [image(2, 36, 3, 4), torch.rand(2, 7, 3, 2, 4, 2) * 1.4 - 0.2,
                           torch.rand(2, 7, 3, 2, 4)], []),
}  # fmt: skip
PLAIN = {
    'bbox_overlaps': (lambda a, b: bbox_overlaps(a, b, 'iou', False, 1),
                      [random_boxes(30)[0], random_boxes(50, 1)[0]]),
    'bbox_overlaps, aligned': (lambda a, b: bbox_overlaps(a, b, 'iof', True, 0),
                               [random_boxes(30)[0], random_boxes(30, 1)[0]]),
    'nms': (lambda b, s: nms(b, s, 0.5), random_boxes(700)),
    'nms, offset 1': (lambda b, s: nms(b, s, 0.5, offset=1), random_boxes(700)),
    'soft_nms': (lambda b, s: soft_nms(b, s, 0.4, 0.5, 0.05, 'linear'), random_boxes(300)),
    'masked_conv': (lambda x, m, w, b: masked_conv2d(x, m, w, b, 1),
                    [image(1, 4, 9, 7), image(1, 9, 7) > 0.3, image(5, 4, 3, 3), image(5)]),
}  # fmt: skip


def outputs(name, device, dtype=None):
    """The outputs, on the CPU, and the gradients where there are some."""
    if name in PLAIN:
        function, inputs = PLAIN[name]
        done = function(*[x.to(device) for x in inputs])
        done = done if isinstance(done, tuple) else (done,)
        return [x.cpu() for x in done]
    function, inputs, others = DIFFERENTIABLE[name]
    leaves = [x.to(device, dtype, copy=True).requires_grad_() for x in inputs]
    others = [x.to(device, dtype if x.is_floating_point() else None) for x in others]
    output = function(*leaves, *others)
    grad = torch.linspace(-1, 2, output.numel(), dtype=output.dtype).view_as(output)
    output.backward(grad.to(device))
    return [x.detach().cpu() for x in (output, *[leaf.grad for leaf in leaves])]


def close(results, expected, relative):
    """Within so much of the largest number of each."""
    assert len(results) == len(expected)
    for result, other in zip(results, expected):
        assert result.dtype == other.dtype
        bound = relative * max(other.abs().max().item(), 1) if other.is_floating_point() else 0
        torch.testing.assert_close(result, other, rtol=0, atol=bound)


@pytest.mark.parametrize('name', [*DIFFERENTIABLE, *PLAIN])
def test_as_on_the_cpu(name):
    with through(extension):
        close(outputs(name, 'cuda'), outputs(name, 'cpu'), 1e-5)


@pytest.mark.parametrize('name', [*DIFFERENTIABLE, *PLAIN])
def test_as_mmcv_kernels(name, tmp_path):
    compiled = load(tmp_path)
    if compiled is None or 'not' in compiled.get_compiling_cuda_version():
        pytest.skip('mmcv has no CUDA kernels here')
    with through(extension):
        ours = outputs(name, 'cuda')
    with through(compiled):
        close(ours, outputs(name, 'cuda'), 1e-5)


@pytest.mark.parametrize(('dtype', 'most'), [(torch.float16, 0.03), (torch.bfloat16, 0.1)])
@pytest.mark.parametrize('name', DIFFERENTIABLE)
def test_half_precision(name, dtype, most):
    """Near single precision; the corners of boxes are rounded too."""
    with through(extension):
        halves, singles = outputs(name, 'cuda', dtype), outputs(name, 'cpu')
    assert all(x.dtype == dtype and x.isfinite().all() for x in halves)
    error = (halves[0].float() - singles[0]).abs().mean() / singles[0].abs().mean()
    assert error < most


@pytest.mark.parametrize('name', [n for n in DIFFERENTIABLE if n != 'softmax_focal_loss'])
def test_autocast_and_determinism(name):
    """mmdet trains detectors under both."""
    with through(extension):
        expected = outputs(name, 'cuda')
        torch.use_deterministic_algorithms(True, warn_only=True)
        try:
            with torch.autocast('cuda'):
                close(outputs(name, 'cuda'), expected, 0.02)
        finally:
            torch.use_deterministic_algorithms(False)


def test_synchronized_batch_norm():
    torch.distributed.init_process_group(
        'gloo', store=torch.distributed.HashStore(), rank=0, world_size=1
    )
    try:
        x = image(3, 4, 5, 6)
        own, usual = SyncBatchNorm(4).cuda(), torch.nn.BatchNorm2d(4)
        results = []
        with through(extension):
            for layer, given in ((own, x.cuda()), (usual, x.clone())):
                given.requires_grad_()
                output = layer(given)
                output.backward(torch.linspace(-1, 2, x.numel()).view_as(x).to(given.device))
                results.append([given.grad.cpu(), layer.weight.grad.cpu(), layer.bias.grad.cpu()])
        close(*results, 1e-4)
    finally:
        torch.distributed.destroy_process_group()
