"""What an exported file says of itself is data: nothing that it names is called or opened."""

import json
import random
import re
from copy import deepcopy
from functools import cache
from importlib.util import find_spec

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.config import Config
from mmengine.config import utils as config_utils

from mmscale.engine.config import FOLDER, load_config
from mmscale.engine.runtime import runtime_config
from mmscale.errors import UserError
from mmscale.exported.description import (
    TRANSFORMS,
    check_pipeline,
    check_runtime,
    read_description,
)
from mmscale.exported.files import ExportedFile
from mmscale.exported.outside import check_beside

onnx = pytest.importorskip('onnx')

DETECTOR = dict(
    format=1,
    mmscale='0.1.0',
    part='detector',
    config='faster_rcnn_rexnet_fpn',
    config_sha256='0' * 64,
    checkpoint_sha256='0' * 64,
    classes=['a', 'b'],
    input=dict(images='uint8', sizes='int64', batch=None, size=None, divisor=32, smallest=64),
    normalised=dict(mean=[1.0, 2.0, 3.0], std=[1.0, 1.0, 1.0], order='RGB'),
    thresholds=dict(score=0.05, nms=0.5, mask=0.5),
    outputs=dict(boxes='float32'),
    runtime=dict(
        default_scope='mmdet',
        test_dataloader=dict(
            dataset=dict(
                type='CocoDataset',
                metainfo=dict(classes=['a', 'b'], palette=[[220, 20, 60], [0, 0, 0]]),
                pipeline=[
                    dict(type='LoadImageFromFile'),
                    dict(type='Resize', scale=[1333, 800], keep_ratio=True),
                    dict(type='PackDetInputs', meta_keys=['img_id', 'ori_shape']),
                ],
            )
        ),
        visualizer=dict(type='DetLocalVisualizer'),
    ),
)

SEGMENTOR = deepcopy(DETECTOR)
SEGMENTOR.update(part='segmentor', thresholds=None, align_corners=False)
SEGMENTOR['runtime']['default_scope'] = 'mmseg'
SEGMENTOR['runtime']['visualizer']['type'] = 'SegLocalVisualizer'
SEGMENTOR['runtime']['test_dataloader']['dataset']['type'] = 'BaseSegDataset'
SEGMENTOR['runtime']['test_dataloader']['dataset']['pipeline'][2] = dict(type='PackSegInputs')


def places(value, path=()):
    """Every key and index inside a description."""
    if path:
        yield path
    if isinstance(value, (dict, list)):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in items:
            yield from places(inner, (*path, key))


def put(path, value, base=DETECTOR):
    changed = deepcopy(base)
    owner = changed
    for key in path[:-1]:
        owner = owner[key]
    owner[path[-1]] = value
    return changed


def read(meta):
    return read_description(json.dumps(meta), 'a.onnx')


@pytest.mark.parametrize('ours', [DETECTOR, SEGMENTOR], ids=lambda meta: meta['part'])
def test_a_description_of_ours_is_read(ours):
    assert read(ours) == ours


METAINFO = ('runtime', 'test_dataloader', 'dataset', 'metainfo')


@pytest.mark.parametrize(
    ('path', 'value', 'words'),
    [
        (('align_corners',), 'no', "align_corners is 'no'"),
        (('align_corners',), None, 'align_corners is None'),
        ((*METAINFO, 'palette'), None, 'palette is None, but should be a colour for each class'),
        ((*METAINFO, 'palette'), 'random', "palette is 'random'"),
        ((*METAINFO, 'palette'), [[0, 0, 0]], 'a colour for each class'),
        ((*METAINFO, 'classes'), None, 'a colour for each class'),
        (('part',), 'detector', "default_scope is 'mmseg'"),
    ],
)
def test_what_is_wrong_with_a_segmentor_is_named(path, value, words):
    with pytest.raises(UserError, match=words):
        read(put(path, value, SEGMENTOR))


PIPELINE = ('runtime', 'test_dataloader', 'dataset', 'pipeline')
CALL = {'type': 'os.system', 'command': 'touch ran'}


@pytest.mark.parametrize('path', list(places(DETECTOR)), ids=lambda p: '.'.join(map(str, p)))
def test_no_place_takes_a_type_to_build(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for value in (CALL, [CALL], [[CALL]], {'a': CALL}):
        with pytest.raises(UserError, match=r'a\.onnx'):
            read(put(path, value))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ('path', 'value', 'words'),
    [
        ((*PIPELINE, 1, 'type'), 'os.system', r"pipeline\[1\] is 'os.system'"),
        ((*PIPELINE, 1, 'type'), 'mmdet.Resize', r"pipeline\[1\] is 'mmdet.Resize'"),
        ((*PIPELINE, 1, 'backend_args'), {'backend': 'http'}, "Resize has 'backend_args'"),
        ((*PIPELINE, 1, 'scale'), [10**9, 10**9], r'Resize\.scale is \[1000000000, 1000000000\]'),
        ((*PIPELINE, 1, 'scale'), float('nan'), r'Resize\.scale is nan'),
        ((*PIPELINE, 1, 'keep_ratio'), 'os', r"keep_ratio is 'os'"),
        ((*PIPELINE, 0, 'imdecode_backend'), 'cv2', 'LoadImageFromFile has'),
        (PIPELINE, 'os', "pipeline is 'os', but should be a list"),
        ((*PIPELINE, 0), 'os', r"pipeline\[0\] is 'os'"),
        (('runtime', 'default_scope'), 'os', "default_scope is 'os'"),
        (('runtime', 'default_scope'), 'mmpretrain', 'should be'),
        (('runtime', 'visualizer', 'type'), 'subprocess.Popen', 'visualizer.type is'),
        (('runtime', 'visualizer', 'vis_backends'), [], r"too much: \['vis_backends'\]"),
        (('runtime', 'custom_imports'), {'imports': ['os']}, r"too much: \['custom_imports'\]"),
        (('runtime', 'test_dataloader', 'dataset', 'type'), 'ConcatDataset', 'dataset.type is'),
        (('part',), 'program', "part is 'program'"),
        (('part',), 'classifier', "default_scope is 'mmdet'"),
        (('classes',), 'abc', "classes is 'abc'"),
        (('classes',), [1], r'classes is \[1\]'),
        (('input', 'batch'), 0, 'input.batch is 0'),
        (('input', 'divisor'), 0, 'input.divisor is 0'),
        (('input', 'smallest'), 10**300, 'input.smallest is 1'),
        (('input', 'size'), [1, 2, 3], 'input.size is'),
        (('input',), {}, 'input lacks'),
        (('thresholds', 'mask'), 'x', "thresholds.mask is 'x'"),
        (('format',), True, 'in format True'),
        (('format',), 2, 'reads format 1'),
    ],
)
def test_what_is_wrong_is_named(path, value, words):
    with pytest.raises(UserError, match=words):
        read(put(path, value))


@pytest.mark.parametrize('text', [None, '', '[]', 'null', '1', '"x"', '[' * 10**6, '1' * 10**5])
def test_what_is_no_description_is_refused(text):
    with pytest.raises(UserError, match='was not written by mmscale export'):
        read_description(text, 'a.onnx')


def test_deep_descriptions_are_refused():
    deep = put(('note',), json.loads('[' * 500 + ']' * 500))
    with pytest.raises(UserError, match='inside each other'):
        read(deep)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=4) | st.just('type'), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=500, deadline=None)
@given(path=st.sampled_from(list(places(DETECTOR))), value=ANY)
def test_anything_anywhere_is_read_or_refused(path, value):
    try:
        meta = read(put(path, value))
    except UserError:
        return
    check_runtime(meta['runtime'])
    steps = meta['runtime']['test_dataloader']['dataset']['pipeline']
    assert {step['type'] for step in steps} <= set(TRANSFORMS)


@settings(max_examples=200, deadline=None)
@given(value=ANY, text=st.text())
def test_anything_at_all_is_read_or_refused(value, text):
    for given_text in (json.dumps(value), text):
        with pytest.raises(UserError):
            read_description(given_text, 'a.onnx')


@pytest.mark.parametrize(
    'count', [500, pytest.param(10_000, marks=pytest.mark.slow)], ids=['few', 'many']
)
def test_mutated_descriptions_are_read_or_refused(count):
    rng, text, found = random.Random(0), json.dumps(DETECTOR), dict(read=0, refused=0)
    words = re.findall(r'"[^"]*"|[\w.]+|[{}\[\],:]', text)
    for _ in range(count):
        changed = list(words)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(changed))
            changed[at] = rng.choice([rng.choice(words), '', '"os.system"', '1e999', '[[[['])
        try:
            meta = read_description(''.join(changed), 'a.onnx')
            steps = meta['runtime']['test_dataloader']['dataset']['pipeline']
            assert {step['type'] for step in steps} <= set(TRANSFORMS)
            found['read'] += 1
        except UserError:
            found['refused'] += 1
    print(found)
    assert sum(found.values()) == count


def test_pipelines_of_all_our_configs_can_be_described(monkeypatch):
    # mmengine reads hundreds of metafiles for every base of another package.
    monkeypatch.setattr(config_utils, 'load', cache(config_utils.load))
    # Oriented detectors are not exported.
    left_out = (
        {'_base_', 'rotated'} if find_spec('mmseg') else {'_base_', 'rotated', 'segmentation'}
    )
    names = sorted(path for path in FOLDER.rglob('*.py') if not left_out & {*path.parts})
    seen = set()
    for name in names:
        cfg = load_config(name)
        if (pipeline := str(cfg.test_dataloader.dataset.pipeline)) not in seen:
            seen.add(pipeline)
            check_runtime(runtime_config(cfg))
    assert len(seen) > 3


USUAL = [
    dict(type='Pad', size_divisor=32),
    dict(type='Pad', size=[640, 640], pad_val=dict(img=[114, 114, 114])),
    dict(type='FixScaleResize', scale=[800, 1333], keep_ratio=True, backend='pillow'),
    dict(type='ResizeEdge', scale=256, edge='short', backend='pillow', interpolation='bicubic'),
    dict(type='CenterCrop', crop_size=224, auto_pad=True, pad_cfg=dict(type='Pad', pad_val=0)),
    dict(type='EfficientNetCenterCrop', crop_size=224, crop_padding=32),
    dict(type='PackInputs', algorithm_keys=[], meta_keys=['img_path']),
]


@pytest.mark.parametrize('step', USUAL, ids=lambda step: step['type'])
def test_usual_transforms_can_be_described(step):
    check_pipeline([step], 'pipeline')
    for nested in (dict(step, size=dict(type='os.system')), dict(step, pad_cfg=CALL)):
        with pytest.raises(UserError):
            check_pipeline([nested], 'pipeline')


def test_a_pipeline_that_cannot_be_described_is_refused_before_the_export():
    from mmscale.export.exporting import _check_describable

    cfg = load_config('faster_rcnn_rexnet_fpn')
    cfg.test_dataloader.dataset.pipeline.insert(1, dict(type='RandomFlip', prob=1.0))
    with pytest.raises(UserError, match=r"mine cannot be exported.*\[1\] is 'RandomFlip'"):
        _check_describable(cfg, 'mine')


# Files.


def graph(folder, meta=DETECTOR, location=None):
    """A small ONNX file that gives its input back, and perhaps has weights elsewhere."""
    value = onnx.helper.make_tensor_value_info('x', onnx.TensorProto.FLOAT, [1])
    out = onnx.helper.make_tensor_value_info('y', onnx.TensorProto.FLOAT, [1])
    weights = onnx.helper.make_tensor('w', onnx.TensorProto.FLOAT, [1], [1.0])
    if location is not None:
        weights.ClearField('float_data')
        weights.data_location = onnx.TensorProto.EXTERNAL
        entry = weights.external_data.add()
        entry.key, entry.value = 'location', location
    node = onnx.helper.make_node('Add', ['x', 'w'], ['y'])
    inner = onnx.helper.make_graph([node], 'g', [value], [out], [weights])
    opset = [onnx.helper.make_opsetid('', 18)]
    model = onnx.helper.make_model(inner, opset_imports=opset, ir_version=9)
    entry = model.metadata_props.add()
    entry.key, entry.value = 'mmscale', json.dumps(meta)
    path = folder / 'model.onnx'
    path.write_bytes(model.SerializeToString())
    return path


def test_files_are_refused_before_anything_is_built(tmp_path, monkeypatch):
    pytest.importorskip('onnxruntime')
    monkeypatch.chdir(tmp_path)
    assert ExportedFile(graph(tmp_path)).meta == DETECTOR
    for path in ((*PIPELINE, 0), ('runtime', 'visualizer'), ('runtime', 'test_dataloader')):
        with pytest.raises(UserError, match='was not used'):
            ExportedFile(graph(tmp_path, put(path, CALL)))
    assert not (tmp_path / 'ran').exists()


def test_openvinos_description_goes_the_same_way(tmp_path, monkeypatch):
    openvino = pytest.importorskip('openvino')
    monkeypatch.chdir(tmp_path)
    for index, (meta, fits) in enumerate(
        [(DETECTOR, True), (put((*PIPELINE, 0), CALL), False), (put(('part',), CALL), False)]
    ):
        model = openvino.convert_model(graph(tmp_path))
        model.set_rt_info(json.dumps(meta), ['mmscale'])
        path = tmp_path / f'{index}.xml'
        openvino.save_model(model, path)
        if fits:
            assert ExportedFile(path).meta == DETECTOR
        else:
            with pytest.raises(UserError, match='was not used'):
                ExportedFile(path)
    assert not (tmp_path / 'ran').exists()
    graph(tmp_path).rename(tmp_path / 'other.xml')
    with pytest.raises(UserError, match='it is not XML'):
        ExportedFile(tmp_path / 'other.xml')


@pytest.fixture
def secret(tmp_path):
    """A file outside of the model's folder, and that folder, with links to the file."""
    folder = tmp_path / 'model'
    (folder / 'inner').mkdir(parents=True)
    outside = tmp_path / 'secret.bin'
    outside.write_bytes(b'\0\0\x80?')
    (folder / 'link.bin').symlink_to(outside)
    (folder / 'links').symlink_to(tmp_path)
    (folder / 'round').symlink_to(folder / 'round')
    (folder / 'beside.bin').write_bytes(b'\0\0\x80?')
    return folder, outside


OUTSIDE = [
    '../secret.bin', 'inner/../../secret.bin', '..\\secret.bin', 'link.bin', 'links/secret.bin',
    'round', 'inner/..', 'a\0b', 'x' * 5000,
]  # fmt: skip


def test_weights_of_a_file_stay_beside_it(secret):
    pytest.importorskip('onnxruntime')
    folder, outside = secret
    assert ExportedFile(graph(folder, location='beside.bin')).meta == DETECTOR
    for location in [*OUTSIDE, str(outside)]:
        with pytest.raises(UserError, match='outside of its folder|cannot be read'):
            ExportedFile(graph(folder, location=location))


@settings(max_examples=300, deadline=None)
@given(
    parts=st.lists(st.sampled_from(['..', '.', '', 'a', '/', '\\', '~', 'b.bin', '\0']) | st.text())
)
def test_no_path_leads_out(parts, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp()
    location = '/'.join(parts)
    try:
        check_beside(folder / 'model.onnx', location)
    except UserError:
        return
    assert (folder / location).resolve().is_relative_to(folder.resolve())


def test_tensors_in_graphs_within_graphs_are_found(secret):
    folder, _ = secret
    model = onnx.load(graph(folder))
    inner = onnx.load(graph(folder, location='../secret.bin'), load_external_data=False).graph
    node = onnx.helper.make_node('If', ['x'], ['y'], then_branch=inner, else_branch=inner)
    model.graph.node.append(node)
    (folder / 'nested.onnx').write_bytes(model.SerializeToString())
    with pytest.raises(UserError, match='outside of its folder'):
        ExportedFile(folder / 'nested.onnx')


def test_configs_are_code_and_stay_so(tmp_path):
    """A pipeline of a config may have any transform, as long as it is not exported."""
    cfg = load_config('faster_rcnn_rexnet_fpn')
    cfg.test_dataloader.dataset.pipeline.insert(1, dict(type='RandomFlip', prob=1.0))
    assert isinstance(Config(runtime_config(cfg)), Config)
