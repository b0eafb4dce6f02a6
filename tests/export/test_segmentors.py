"""Segmentors as files: what they compute, and which are refused."""

import json

import cv2
import numpy as np
import pytest
from commands import tool
from mmengine.registry import MODELS, DefaultScope
from small_segmentors import HEAD, LOSS, fcn

from mmscale.engine.config import load_config
from mmscale.engine.testing import evaluate
from mmscale.errors import UserError
from mmscale.export import ExportedFile, export
from mmscale.export.tracing import build_graph

pytest.importorskip('mmseg')


@pytest.fixture(scope='module', params=['onnx', 'xml'])
def written(request, exporter, segmentor, pictures, tmp_path_factory):
    """The small segmentor as a file for images of any size."""
    pytest.importorskip('onnxruntime' if request.param == 'onnx' else 'openvino')
    out = tmp_path_factory.mktemp('files') / f'segmentor.{request.param}'
    options = {'test_dataloader.dataset.pipeline.1.scale': (128, 96)}
    return export(*segmentor, str(out), images=pictures, overrides=options)


def test_a_segmentor_was_compared_and_takes_any_size(written):
    assert written.compared.startswith('outputs of 3 pictures differ by')
    file = ExportedFile(written.path)
    assert file.meta['part'] == 'segmentor'
    assert file.meta['outputs'] == {'logits': 'float32 (N, classes, H, W), before the softmax'}
    for size in ((64, 64), (96, 160), (70, 99)):
        found = file.run(np.zeros((2, 3, *size), np.uint8))
        assert found['logits'].shape == (2, 9, *size)


def test_a_file_says_what_the_checkpoint_says(written, segmentor, pictures, tmp_path):
    config, checkpoint = segmentor
    overrides = {
        'work_dir': str(tmp_path / 'run'),
        'test_dataloader.dataset.pipeline.1.scale': (128, 96),
    }
    expected = evaluate(config, checkpoint, overrides=overrides)
    found = evaluate(config, str(written.path), overrides=overrides)
    assert found['mIoU'] == pytest.approx(expected['mIoU'], abs=0.1)
    options = ['--cfg-options', 'test_dataloader.dataset.pipeline.1.scale=(128,96)']
    arguments = [*pictures, '--out']
    tool('infer')([checkpoint, '--config', config, *arguments, str(tmp_path / 'a'), *options])
    tool('infer')([str(written.path), *arguments, str(tmp_path / 'b')])
    for row, other in zip(
        *(json.loads((tmp_path / name / 'predictions.json').read_text()) for name in 'ab')
    ):
        one, two = (cv2.imread(r['map'], cv2.IMREAD_UNCHANGED) for r in (row, other))
        assert (one == two).mean() > 0.99


READING = dict(HEAD, in_channels=128)
REFUSED = {
    'a cascade': (
        dict(type='CascadeEncoderDecoder', num_stages=1, decode_head=[READING]),
        'CascadeEncoderDecoder',
    ),
    'windows': (
        dict(test_cfg=dict(mode='slide', crop_size=(64, 64), stride=(32, 32))),
        'test_cfg.mode=whole',
    ),
    'a threshold': (
        dict(decode_head=dict(READING, num_classes=2, out_channels=1)),
        'out_channels=1',
    ),
    'padding': (
        dict(data_preprocessor=dict(type='SegDataPreProcessor', test_cfg=dict(size=(64, 64)))),
        'test_cfg=None',
    ),
}


@pytest.mark.parametrize(('changes', 'words'), REFUSED.values(), ids=REFUSED)
def test_other_segmentors_are_refused_in_a_line(changes, words):
    cfg = fcn(pretrained=None, auxiliary_head=None, **changes)
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = MODELS.build(cfg.model)
    with pytest.raises(UserError, match=words) as error:
        build_graph(model, 'segmentor', (64, 64))
    assert '\n' not in str(error.value)


def test_pyramid_pooling_needs_a_fixed_size():
    head = dict(type='UPerHead', in_channels=[16, 32, 64, 128], in_index=[0, 1, 2, 3])
    head |= dict(channels=8, num_classes=3, loss_decode=LOSS)
    cfg = fcn(pretrained=None, auxiliary_head=None, decode_head=head)
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = MODELS.build(cfg.model)
    with pytest.raises(UserError, match='2 cells .*--shape'):
        build_graph(model, 'segmentor', None)


def test_a_detectors_part_does_not_suit(exporter, segmentor, tmp_path):
    with pytest.raises(UserError, match=r"does not suit.*'segmentor', 'backbone'"):
        export(*segmentor, tmp_path / 'x.onnx', part='detector')
    assert load_config(segmentor[0]).default_scope == 'mmseg'


def test_what_the_exporter_cannot_write_is_said_in_a_line(
    exporter, segmentor, tmp_path, monkeypatch
):
    def cannot(*args, **kwargs):
        raise NotImplementedError('no such operator\nand so on')

    monkeypatch.setattr('mmscale.export.exporting.to_onnx', cannot)
    with pytest.raises(UserError, match='the segmentor has .*no such operator') as error:
        export(*segmentor, tmp_path / 'x.onnx')
    assert '\n' not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_what_an_engine_cannot_compute_is_said_in_a_line(written, monkeypatch):
    def cannot(arrays):
        raise RuntimeError('indices out of bounds\nand so on')

    file = ExportedFile(written.path)
    monkeypatch.setattr(file, '_compute', cannot)
    with pytest.raises(UserError, match=r'cannot be computed for \(1, 3, 64, 64\): .*bounds$'):
        file.run(np.zeros((1, 3, 64, 64), np.uint8))
