"""Operators of exported graphs compute what mmcv's do."""

from inspect import signature

import pytest
import torch
from torch import nn

from mmscale.export.operators import nms_keep, pyramid_roi_align, translations

onnx = pytest.importorskip('onnx')
pytest.importorskip('onnxscript')
pytest.importorskip('onnxruntime')
pytestmark = pytest.mark.skipif(
    'custom_translation_table' not in signature(torch.onnx.export).parameters,
    reason='this torch has no exporter that mmscale uses',
)


class Keep(nn.Module):
    def forward(self, boxes, scores):
        return nms_keep(boxes, scores, 7, 0.5, 0.2)


class Align(nn.Module):
    def __init__(self, sampling_ratio, aligned):
        super().__init__()
        self.options = [1.0, 0.5], [4, 3], sampling_ratio, aligned

    def forward(self, fine, coarse, rois, images, levels):
        return pyramid_roi_align([fine, coarse], rois, images, levels, *self.options)


def by_onnxruntime(module, inputs, path):
    import onnxruntime

    program = torch.onnx.export(
        module, inputs, dynamo=True, verbose=False, custom_translation_table=translations()
    )
    program.save(path)
    session = onnxruntime.InferenceSession(path)
    names = [value.name for value in session.get_inputs()]
    return torch.from_numpy(
        session.run(None, dict(zip(names, [value.numpy() for value in inputs])))[0]
    )


def boxes_of(*shape):
    corners = torch.rand(*shape, 2) * 20
    return torch.cat([corners, corners + torch.rand(*shape, 2) * 20], -1)


def test_suppression_is_that_of_mmcv(tmp_path):
    torch.manual_seed(0)
    inputs = boxes_of(2, 60), torch.rand(2, 3, 60)
    expected = Keep()(*inputs)
    assert 0 < (expected > 0).sum() <= 2 * 3 * 7
    assert torch.equal(by_onnxruntime(Keep(), inputs, tmp_path / 'keep.onnx'), expected)


@pytest.mark.parametrize(
    ('sampling_ratio', 'aligned', 'levels'),
    [(0, True, (0, 1)), (2, True, (1, 1)), (0, False, (0, 1))],  # (1, 1): a level without boxes
)
def test_roi_align_is_that_of_mmcv(sampling_ratio, aligned, levels, tmp_path):
    torch.manual_seed(0)
    maps = torch.randn(2, 5, 40, 40), torch.randn(2, 5, 20, 20)
    level = torch.tensor(levels)[torch.randint(0, 2, (9,))]
    inputs = (*maps, boxes_of(9), torch.randint(0, 2, (9,)), level)
    module = Align(sampling_ratio, aligned)
    found = by_onnxruntime(module, inputs, tmp_path / 'align.onnx')
    torch.testing.assert_close(found, module(*inputs), rtol=1e-4, atol=1e-5)
