"""Exported files: what they compute, what they say of themselves, what is refused."""

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.machinery import PathFinder
from inspect import signature
from unittest import mock

import cv2
import mmcv
import mmcv.ops
import numpy as np
import pytest
import torch
from commands import ROOT, tool
from exportable import randomised
from mmengine.dataset import Compose
from mmengine.runner import save_checkpoint

from mmscale.engine.config import load_config
from mmscale.engine.testing import evaluate
from mmscale.errors import UserError
from mmscale.export import ExportedFile, export
from mmscale.export.certificate import Certificate
from mmscale.export.parity import compare, data_set
from mmscale.exported.engines import engine_of
from mmscale.inference.loading import open_model
from mmscale.inference.predicting import infer

onnx = pytest.importorskip('onnx')
pytest.importorskip('onnxscript')
pytest.importorskip('onnxruntime')
pytestmark = pytest.mark.skipif(
    'custom_translation_table' not in signature(torch.onnx.export).parameters,
    reason='this torch has no exporter that mmscale uses',
)


def standard(path):
    """An ONNX file with operators of the standard only; their names."""
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert not model.functions
    assert {node.domain for node in model.graph.node} == {''}
    return {node.op_type for node in model.graph.node}


def test_detector_is_standard_onnx_and_was_compared(detector_files, detector):
    path, compared = detector_files
    assert int(compared.split()[0]) >= 20, compared  # boxes above 0.3
    assert [file.name for file in path.parent.iterdir()] == ['detector.onnx']
    assert {'RoiAlign', 'NonMaxSuppression'} < standard(path)
    meta = ExportedFile(path).meta
    assert meta['part'] == 'detector'
    assert meta['config'] == detector[0]
    assert meta['classes'] == list(load_config(detector[0]).metainfo.classes)
    assert meta['input']['size'] == [224, 224]
    assert meta['input']['batch'] == 2
    assert meta['normalised'] == dict(mean=[127.5] * 3, std=[64.0] * 3, order='RGB')
    assert meta['thresholds'] == dict(score=0.05, nms=0.5, mask=0.5)
    assert list(meta['outputs']) == ['boxes', 'scores', 'labels', 'masks']


def test_the_file_does_not_depend_on_the_operators(detector_files, detector, pictures, tmp_path):
    if PathFinder.find_spec('_ext', mmcv.__path__) is None:
        pytest.skip('mmcv has no compiled operators here')
    stands_in = 'stands in' in mmcv.ops.get_compiler_version()
    out = tmp_path / 'detector.onnx'
    arguments = ['--shape', '224', '--batch', '2', '--images', *pictures]
    subprocess.run(
        [sys.executable, str(ROOT / 'tools/export.py'), *detector, str(out), *arguments],
        env={**os.environ, 'MMSCALE_OPERATORS': 'compiled' if stands_in else 'torchvision'},
        check=True,
    )
    assert out.read_bytes() == detector_files.path.read_bytes()


def test_a_picture_is_computed_the_same_alone_and_in_a_batch(detector_files, pictures):
    model = open_model(str(detector_files.path))
    pipeline = Compose(model.cfg.test_dataloader.dataset.pipeline)

    def predict(paths):
        samples = [pipeline(dict(img_path=path, img_id=0)) for path in paths]
        data = {key: [sample[key] for sample in samples] for key in samples[0]}
        return [sample.pred_instances for sample in model.test_step(data)]

    for alone, together in zip([predict([path])[0] for path in pictures], predict(pictures)):
        assert len(alone) > 0
        torch.testing.assert_close(alone.bboxes, together.bboxes, rtol=1e-4, atol=1e-2)
        torch.testing.assert_close(alone.scores, together.scores, rtol=1e-3, atol=1e-4)
        assert torch.equal(alone.labels, together.labels)


def test_testing_a_file_gives_the_metrics_of_the_checkpoint(detector_files, detector, tmp_path):
    config, checkpoint = detector
    overrides = {'test_evaluator.metric': ['bbox', 'segm'], 'work_dir': str(tmp_path)}
    overrides['test_dataloader.dataset.pipeline.2.with_mask'] = True
    expected = evaluate(config, checkpoint, overrides=overrides)
    found = evaluate(config, str(detector_files.path), overrides=overrides)
    names = [name for name in expected if name.startswith('coco/') and 'copypaste' not in name]
    assert len(names) >= 12
    for name in names:
        assert found[name] == pytest.approx(expected[name], abs=1e-3), name
    with pytest.raises(UserError, match='--tta'):
        evaluate(config, str(detector_files.path), tta=True, overrides=overrides)
    with pytest.raises(UserError, match=r'8 classes .* 80 \(person'):
        evaluate('faster_rcnn_rexnet_fpn', str(detector_files.path))


def test_inference_says_the_same_from_a_checkpoint_and_a_file(
    detector_files, detector, pictures, tmp_path
):
    config, checkpoint = detector
    arguments = [*pictures, '--batch-size', '2', '--out']
    tool('infer')([checkpoint, '--config', config, *arguments, str(tmp_path / 'a')])
    tool('infer')([str(detector_files.path), *arguments, str(tmp_path / 'b')])
    assert len(list((tmp_path / 'b/vis').iterdir())) == len(pictures)
    expected, found = (
        json.loads((tmp_path / name / 'predictions.json').read_text()) for name in 'ab'
    )
    assert [result['picture'] for result in found] == pictures
    for one, other in zip(expected, found):
        assert one.keys() == other.keys() >= {'bboxes', 'scores', 'labels', 'names', 'masks'}
        assert one['labels'][:3] == other['labels'][:3]
        # Boxes that differ by their last digits pool other values.
        np.testing.assert_allclose(one['scores'][:3], other['scores'][:3], atol=1e-3)
        np.testing.assert_allclose(one['bboxes'][:3], other['bboxes'][:3], atol=0.05)


def test_classifier_of_any_size_and_number(classifier, pictures, tmp_path):
    out = tmp_path / 'classifier[1].onnx'
    arguments = [*classifier, str(out), '--shape', 'dynamic', '--images', pictures[0]]
    tool('export')(arguments)
    standard(out)
    file, model = ExportedFile(out), open_model(classifier[1], classifier[0])
    assert file.meta['normalised'] == dict(mean=[127.5] * 3, std=[64.0] * 3, order='RGB')
    # Through mmengine's Runner, which builds the model by itself.
    expected, found = (
        evaluate(classifier[0], str(path), work_dir=tmp_path / 'run')
        for path in (classifier[1], out)
    )
    assert found['accuracy/top1'] == expected['accuracy/top1'] > 0
    assert found['worst/recall'] == expected['worst/recall']
    for shape in ((1, 3, 64, 96), (3, 3, 160, 128)):
        images = torch.randint(0, 256, shape, dtype=torch.uint8)
        data = dict(inputs=images.flip(1))  # the preprocessor expects BGR
        with torch.no_grad():
            expected = model(model.data_preprocessor(data)['inputs'], mode='tensor')
        found = torch.from_numpy(file.run(images.numpy())['logits'])
        assert (found - expected).abs().max() < 1e-4 * expected.abs().max()
    roads = [infer(classifier[1], pictures, tmp_path / 'a', config=classifier[0])]
    roads.append(infer(str(out), pictures, tmp_path / 'b'))
    for one, other in zip(*roads):
        assert one.keys() == other.keys() >= {'pred_label', 'pred_score', 'pred_scores'}
        assert one['pred_label'] == other['pred_label']
        np.testing.assert_allclose(one['pred_scores'], other['pred_scores'], rtol=1e-3, atol=1e-5)
    assert len(list((tmp_path / 'b/vis').iterdir())) == len(pictures)


@pytest.fixture
def eight_bits(monkeypatch):
    """Sets what the certificate says, which an untrained network and a busy machine leave open."""
    pytest.importorskip('nncf')
    return lambda kept: monkeypatch.setattr(Certificate, 'kept', kept)


def test_eight_bits_with_pictures_of_the_training_set(classifier, eight_bits, tmp_path, capsys):
    eight_bits(True)
    out = tmp_path / 'c.onnx'
    tool('export')([*classifier, str(out), '--shape', '64', '--batch', '1', '--int8'])
    assert [file.name for file in tmp_path.iterdir()] == ['c.onnx']
    assert {'QuantizeLinear', 'DequantizeLinear'} < standard(out)
    meta = ExportedFile(out).meta
    assert (meta['input']['batch'], meta['input']['size']) == (1, [64, 64])
    tested = evaluate(classifier[0], str(out), work_dir=tmp_path / 'test')
    assert meta['eight_bits']['kept']
    before, after = meta['eight_bits']['figures']['accuracy/top1']
    assert after == pytest.approx(tested['accuracy/top1'], abs=1e-4)
    said = capsys.readouterr().out
    assert f'accuracy/top1 {before:.2f} to {after:.2f}, ' in said
    assert 'the file is in 8 bits' in said
    pictures = []
    for index, crop in enumerate(data_set(load_config(classifier[0]), 'test')):
        pictures.append(str(tmp_path / f'{index}.jpg'))  # the folders of classes have equal names
        shutil.copy(crop, pictures[-1])
    roads = [infer(classifier[1], pictures, tmp_path / 'a', config=classifier[0])]
    roads.append(infer(str(out), pictures, tmp_path / 'b'))
    # An untrained network in 8 bits keeps half of what tells one picture from another.
    logits = [np.log([result['pred_scores'] for result in road]) for road in roads]
    logits = [of - of.mean(0) - of.mean(1, keepdims=True) for of in logits]
    assert np.corrcoef(logits[0].ravel(), logits[1].ravel())[0, 1] > 0.3
    assert abs(np.corrcoef(logits[0].ravel(), np.roll(logits[1], 1, 0).ravel())[0, 1]) < 0.25


def test_an_operator_that_saw_no_numbers(classifier, monkeypatch, tmp_path):
    nncf = pytest.importorskip('nncf')
    refused = nncf.InternalError('Statistics were not collected for the node RoiAlign')
    monkeypatch.setattr(nncf, 'quantize', mock.Mock(side_effect=refused))
    with pytest.raises(UserError, match='into 8 bits: .*Statistics were .* as before a training'):
        export(*classifier, str(tmp_path / 'c.onnx'), shape=(64, 64), batch=1, int8=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('suffix', ['.onnx', '.xml'])
def test_float32_stays_where_eight_bits_do_not_pay(classifier, eight_bits, suffix, tmp_path):
    eight_bits(False)
    out = tmp_path / f'c{suffix}'
    written = export(*classifier, out, shape=(64, 64), batch=1, int8=True)
    assert 'the file stays in float32' in written.compared
    file = ExportedFile(out)
    assert not file.meta['eight_bits']['kept']
    assert file.meta['part'] == 'classifier'
    assert out.with_suffix('.bin' if suffix == '.xml' else suffix).stat().st_size > 10_000_000


@pytest.mark.parametrize(
    ('figures', 'milliseconds', 'kept'),
    [
        ({'coco/bbox_mAP': (40.0, 39.5)}, (20.0, 10.0), True),
        ({'coco/bbox_mAP': (40.0, 39.4)}, (20.0, 10.0), False),
        ({'coco/bbox_mAP': (40.0, 40.0), 'coco/segm_mAP': (35.0, 34.0)}, (20.0, 10.0), False),
        ({'mIoU': (70.0, 70.2)}, (20.0, 20.0), False),
    ],
)
def test_eight_bits_lose_half_a_point_and_are_faster(figures, milliseconds, kept):
    certificate = Certificate(figures, milliseconds)
    assert certificate.kept is kept
    assert ('is in 8 bits' in str(certificate)) is kept


def test_what_differs_is_not_kept(classifier, pictures, tmp_path, monkeypatch):
    def forgotten(self, images):
        return images.float()

    monkeypatch.setattr('mmscale.export.graphs.Normalise.forward', forgotten)
    with pytest.raises(UserError, match=r'not kept.*000001.jpg: logits'):
        export(*classifier, str(tmp_path / 'c.onnx'), shape=(320, 320), images=pictures)
    unsized = [dict(type='mmscale.LoadImage', replace=True), dict(type='PackInputs')]
    unsized = {'test_dataloader.dataset.pipeline': unsized}
    fixed = dict(shape=(64, 64), images=pictures, overrides=unsized)
    with pytest.raises(UserError, match='64 x 64 px .* 320 x 320'):
        export(*classifier, str(tmp_path / 'c.onnx'), **fixed)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ('backbone', 'part'),
    [
        (dict(type='mmscale.ScaleNet', depth=(1, 1, 1, 1), structure=[[9, 4, 3, 2]] * 4), 'neck'),
        (dict(type='mmscale.SANResNet', depth=18, resolution=96), 'backbone'),
    ],
)
def test_backbones_and_necks(backbone, part, detector, pictures, tmp_path):
    from mmengine.registry import MODELS, DefaultScope

    from mmscale import feature_channels

    config, checkpoint = tmp_path / 'config.py', tmp_path / 'weights.pth'
    channels = list(feature_channels(**backbone))
    config.write_text(
        "_base_ = 'mmscale::shapes/faster-rcnn_rexnet-100_fpn_shapes.py'\n"
        f'model = dict(backbone={dict(_delete_=True, **backbone)}, '
        f'neck=dict(in_channels={channels}))'
    )
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = randomised(MODELS.build(load_config(config).model))
    save_checkpoint(dict(state_dict=model.state_dict()), str(checkpoint))
    out = tmp_path / 'maps.onnx'
    written = export(config, checkpoint, out, part=part, shape=(256, 224), images=pictures[:1])
    assert 'outputs of 1 pictures differ by' in written.compared
    standard(out)
    file = ExportedFile(out)
    assert len(file.outputs) == (5 if part == 'neck' else 4)
    found = file.run(np.zeros((2, 3, 256, 224), np.uint8))
    assert found['map0'].shape == (2, 64, 64, 56)


def test_openvino_says_the_same(detector_files, detector, pictures, tmp_path):
    pytest.importorskip('openvino')
    out = tmp_path / 'detector.xml'
    meta = ExportedFile(detector_files.path).meta
    engine_of(out).write(onnx.load(detector_files.path), meta, out)
    file = ExportedFile(out)
    assert file.meta == meta
    model = open_model(detector[1], detector[0])
    compared, wrong = compare(model, file, pictures)
    assert int(compared.split()[0]) >= 20, compared
    # Masks of random weights are all edge: where sums are taken in another order, some pixels turn.
    assert not [line for line in wrong if 'mask of IoU 0.9' not in line]
    assert infer(str(out), pictures[:1], tmp_path / 'out')[0]['scores']
    each_thread_has_its_own_results(file)


def each_thread_has_its_own_results(file):
    size = np.full((2, 2), 224)
    arrays = [
        np.random.default_rng(seed).integers(0, 255, (2, 3, 224, 224)).astype(np.uint8)
        for seed in range(4)
    ]
    expected = [file.run(images, size)['scores'] for images in arrays]
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda images: file.run(images, size)['scores'], arrays * 6)
        for index, scores in enumerate(found):
            assert np.array_equal(scores, expected[index % 4])


def test_outputs_of_something_else_are_named(detector_files, pictures, tmp_path):
    model = open_model(str(detector_files.path))
    model.file.outputs = ['boxes', 'points', 'labels', 'masks']
    sample = Compose(model.cfg.test_dataloader.dataset.pipeline)(
        dict(img_path=pictures[0], img_id=0)
    )
    with pytest.raises(UserError, match="detector.onnx: .* no results of a detector .*'scores'"):
        model.test_step({key: [value] for key, value in sample.items()})


def test_pictures_larger_than_the_frame_are_scaled_down_to_it(detector_files, pictures):
    picture = cv2.imread(pictures[0])
    model = open_model(str(detector_files.path))
    transforms = model.cfg.test_dataloader.dataset.pipeline
    transforms[1]['scale'] = (400, 400)
    large = Compose(transforms)(dict(img_path=pictures[0], img_id=0))
    transforms[1]['scale'] = (224, 224)
    small = Compose(transforms)(dict(img_path=pictures[0], img_id=0))
    results = [
        model.test_step({key: [value] for key, value in sample.items()})[0].pred_instances
        for sample in (large, small)
    ]
    assert large['data_samples'].img_shape == small['data_samples'].img_shape == (224, 224)
    # In pixels of the picture either way; twice interpolated is not quite the same.
    sides = max(picture.shape)
    for result in results:
        assert len(result) > 0
        assert sides * 0.6 < result.bboxes.max() <= sides


@pytest.mark.slow
def test_detector_of_any_size(detector, pictures, tmp_path):
    out = tmp_path / 'detector.onnx'
    export(*detector, str(out), images=pictures)
    file = ExportedFile(out)
    for size in ((96, 64), (160, 224)):
        found = file.run(np.zeros((1, 3, *size), np.uint8), np.array([size]))
        assert found['boxes'].shape == (1, 20, 4)


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (dict(out='x.pt'), 'NAME.onnx'),
        (dict(out='missing/x.onnx'), "folder .*missing' for 'x.onnx' is missing"),
        (dict(part='detector'), "--part 'detector' does not suit"),
        (dict(shape=['big']), '--shape'),
        (dict(shape=(8, 64)), '32 px or more'),
        (dict(batch=0), '--batch=0'),
        (dict(images=['nowhere.jpg']), "picture 'nowhere.jpg' is missing"),
    ],
)
def test_bad_arguments_are_named(options, words, classifier, tmp_path):
    arguments = dict(out='x.onnx', shape=(64, 64)) | options
    arguments['out'] = tmp_path / arguments['out']
    with pytest.raises(UserError, match=words):
        export(*classifier, **arguments)
    assert not list(tmp_path.iterdir())


def test_an_older_torch_is_told_apart(classifier, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.onnx, 'export', lambda model, args, f: None)
    with pytest.raises(UserError, match=r'torch 2\.6 or later'):
        export(*classifier, tmp_path / 'x.onnx')
