"""Every form of a model computes the same."""

import pytest
import torch

from mmscale import benchmark
from mmscale.errors import UserError


@pytest.mark.parametrize('form', ['eager', 'channels-last', 'fused'])
def test_forms_of_a_model_compute_the_same(form):
    model = benchmark.build('scalenet-50-light')
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        expected = model(x)
        outputs = benchmark.FORMS[form](model, x)(x)
    for ours, theirs in zip(outputs, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('text', ['', 'a = 1', 'model = None'])
def test_a_config_without_a_model(tmp_path, text):
    config = tmp_path / 'nomodel.py'
    config.write_text(text)
    with pytest.raises(UserError, match=r"nomodel.py' has no model = dict\(...\): give"):
        benchmark.build(str(config))


@pytest.mark.parametrize('engine', ['onnxruntime', 'openvino'])
def test_engines_compute_the_same(engine):
    pytest.importorskip(engine)
    pytest.importorskip('onnxscript')
    model = benchmark.build('rexnet-lite-100')
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        expected = model(x)
    outputs = benchmark.FORMS[engine](model, x)(x)
    for ours, theirs in zip(outputs, expected, strict=True):
        torch.testing.assert_close(torch.as_tensor(ours), theirs, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize('engine', ['onnxruntime', 'openvino'])
def test_whole_detectors_in_engines(engine):
    pytest.importorskip(engine)
    pytest.importorskip('onnxscript')
    detector = benchmark.build('faster-rcnn-rexnet-100')
    x = torch.rand(2, 3, 128, 160)
    boxes, scores, labels = benchmark.FORMS[engine](detector, x)(x)
    assert boxes.shape == (2, 100, 4)
    assert scores.shape == labels.shape == (2, 100)
