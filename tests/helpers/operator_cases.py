"""Small stored cases of mmcv's compiled operators: what they were given, and what came out.

``python tests/helpers/operator_cases.py`` makes them anew, where mmcv has its compiled operators.
"""

import sys
import tempfile
from pathlib import Path

import compiled
import numpy as np
import torch
from mmcv.ops import bbox_overlaps, deform_conv2d, modulated_deform_conv2d, nms, roi_align, soft_nms

FILE = Path(__file__).parents[1] / 'data/operators/cases.npz'


def results():
    """Every case's outputs and gradients by name, from the operators that mmcv calls now."""
    generator = torch.Generator().manual_seed(0)

    def rand(*shape):
        # Multiples of 1/64: the same on every machine, and with ties.
        return torch.randint(0, 64, shape, generator=generator) / 64

    boxes = 40 * rand(60, 4)
    boxes[:, 2:] = boxes[:, :2] + boxes[:, 2:] / 2
    scores = rand(60)
    found = {}
    for offset in (0, 1):
        found[f'nms {offset}'] = nms(boxes, scores, 0.4, offset)
        for method in ('naive', 'linear', 'gaussian'):
            options = dict(method=method, min_score=0.05, offset=offset)
            found[f'soft-nms {method} {offset}'] = soft_nms(boxes, scores, 0.4, **options)
        for mode in ('iou', 'iof'):
            found[f'overlaps {mode} {offset}'] = [
                bbox_overlaps(boxes[:9], boxes[9:15], mode, offset=offset)
            ]
    rois = torch.cat([(torch.arange(60) % 2)[:, None].float(), 2 * boxes - 10], 1)[:8]
    for mode in ('avg', 'max'):
        for ratio in (0, 2):
            options = (2, 3), 0.25, ratio, mode, True
            found[f'roi_align {mode} {ratio}'] = with_grads(
                lambda x, options=options: roi_align(x, rois, *options), rand(2, 2, 12, 14)
            )
    x, weight, bias = rand(1, 4, 7, 6), rand(4, 2, 3, 3), rand(4)
    offsets, masks = 4 * rand(1, 36, 4, 3) - 2, rand(1, 18, 4, 3)
    geometry = 2, 1, 1, 2, 2
    found['deform_conv'] = with_grads(
        lambda *inputs: deform_conv2d(*inputs, *geometry), x, offsets, weight
    )
    found['modulated_deform_conv'] = with_grads(
        lambda *inputs: modulated_deform_conv2d(*inputs, *geometry), x, offsets, masks, weight, bias
    )
    return {
        f'{name}, {number}': tensor.numpy()
        for name, tensors in found.items()
        for number, tensor in enumerate(tensors)
    }


def with_grads(function, *inputs):
    inputs = [x.clone().requires_grad_() for x in inputs]
    output = function(*inputs)
    output.backward(torch.arange(output.numel()).view_as(output) % 7 - 3.0)
    return [output.detach(), *[x.grad for x in inputs]]


if __name__ == '__main__':
    with tempfile.TemporaryDirectory() as folder, compiled.through(compiled.load(folder)):
        np.savez_compressed(FILE, **results())
    print(f'{FILE}: {FILE.stat().st_size} bytes', file=sys.stderr)
