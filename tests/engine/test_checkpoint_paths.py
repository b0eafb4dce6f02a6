"""Every way on which a checkpoint is read, once: none runs what it carries, unless told to."""

import contextlib
import http.server
import re
import threading
from functools import partial
from pathlib import Path

import pytest
import torch
from commands import ROOT
from mmengine.runner.checkpoint import CheckpointLoader

from mmscale import checkpoints
from mmscale.allocation.allocating import allocate
from mmscale.checkpoints.stores import is_mmengines
from mmscale.engine.building import build_model
from mmscale.engine.config import load_config
from mmscale.engine.testing import evaluate
from mmscale.engine.training import train
from mmscale.errors import UserError
from mmscale.inference.predicting import infer
from mmscale.reports.predictions import draw_predictions
from mmscale.resolutions.calibration import calibrate_checkpoint

CLASSIFIER = 'shapes/rexnet-100_shapes'
DETECTOR = 'shapes/faster-rcnn_rexnet-100_fpn_shapes'
SAN = 'classification/san-resnet-18_in1k'
SCALENET = 'classification/scalenet-50_in1k'


@pytest.fixture
def evil(tmp_path):
    """A checkpoint that makes the file `ran` beside it when code in it runs."""

    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / 'ran'), 'w'))

    path = tmp_path / 'evil.pth'
    torch.save({'state_dict': {'a': torch.zeros(1)}, 'meta': {}, 'extra': Bomb()}, path)
    return path


def start(path, trust, overrides, config=CLASSIFIER, **options):
    work = path.parent / 'work'
    train(config, work_dir=work, trust_checkpoint=trust, overrides=overrides, **options)


def resume_from(name, path):
    """Resuming in a work dir whose `last_checkpoint` says `name`."""
    work = path.parent / 'work'
    work.mkdir()
    (work / 'last_checkpoint').write_text(name)
    start(path, False, {}, resume='auto')


def newest(path, trust):
    (path.parent / 'work').mkdir()
    path.rename(path.parent / 'work/epoch_3.pth')
    start(path, trust, {}, resume='auto')


def foreign(path, trust):
    backbone = {'model.backbone': dict(_delete_=True, type='mmpretrain.ResNet', depth=18)}
    backbone['model.backbone']['init_cfg'] = dict(type='Pretrained', checkpoint=str(path))
    start(path, trust, backbone)


def pupil(path, trust):
    """mmdet loads a teacher's weights while it builds the pupil."""
    cfg = load_config('mmdet::ld/ld_r18-gflv1-r101_fpn_1x_coco.py')
    cfg.model.backbone.init_cfg = None
    cfg.model.teacher_config = load_config('mmdet::gfl/gfl_r50_fpn_1x_coco.py').filename
    cfg.model.teacher_ckpt = str(path)
    with checkpoints.trusting(trust):
        build_model(cfg)


def export_it(path, trust):
    from mmscale.export import export

    export(CLASSIFIER, str(path), path.with_name('a.onnx'), trust_checkpoint=trust)


def ask(path, trust):
    picture = ROOT / 'docs/images'
    infer(
        str(path),
        [str(next(picture.glob('*.png')))],
        str(path.parent / 'out'),
        config=CLASSIFIER,
        trust_checkpoint=trust,
    )


def by_scheme(path, trust):
    with checkpoints.trusting(trust):
        CheckpointLoader.load_checkpoint(f'{checkpoints.SCHEME}{path}')


def by_mmengine(path, trust):
    with checkpoints.trusting(trust):
        CheckpointLoader.load_checkpoint(str(path))


WAYS = {
    'read_file': lambda path, trust: checkpoints.read_file(path, trust=trust),
    'load': lambda path, trust: checkpoints.load(
        build_model(load_config(CLASSIFIER)), path, trust=trust
    ),
    'convert-weights': lambda path, trust: checkpoints.convert_file(
        path, path.with_name('out.pth'), trust=trust
    ),
    'scheme': by_scheme,
    "mmengine's loader": by_mmengine,
    'init_cfg of a backbone': lambda path, trust: start(
        path,
        trust,
        {'model.backbone.init_cfg': dict(type='Pretrained', checkpoint=str(path))},
    ),
    'init_cfg of the whole': lambda path, trust: start(
        path, trust, {'model.init_cfg': dict(type='Pretrained', checkpoint=str(path))}, DETECTOR
    ),
    'init_cfg of another backbone': foreign,
    'init_cfg of a head': lambda path, trust: start(
        path, trust, {'model.head.init_cfg': dict(type='Pretrained', checkpoint=str(path))}
    ),
    'pretrained': lambda path, trust: start(path, trust, {'model.pretrained': str(path)}),
    'teacher': pupil,
    'load_from': lambda path, trust: start(path, trust, {'load_from': str(path)}),
    'resume PATH': lambda path, trust: start(path, trust, {}, resume=str(path)),
    'resume, newest': newest,
    'test': lambda path, trust: evaluate(
        CLASSIFIER, str(path), work_dir=path.parent / 'work', trust_checkpoint=trust
    ),
    'infer': ask,
    'export': export_it,
    'allocate-neurons': lambda path, trust: allocate(
        SCALENET, str(path), path.with_name('out.json'), width_factor=1.0, trust_checkpoint=trust
    ),
    'calibrate-bn': lambda path, trust: calibrate_checkpoint(
        SAN, str(path), [176], path.with_name('out.pth'), trust_checkpoint=trust
    ),
}


def draw(path, trust):
    with checkpoints.trusting(trust):
        draw_predictions(load_config(DETECTOR), path, path.with_name('a.png'))


WAYS["the demo's pictures"] = draw


@pytest.mark.parametrize('way', WAYS.values(), ids=WAYS)
def test_no_way_runs_what_a_checkpoint_carries(way, evil, shapes, monkeypatch):
    # There is no ImageNet here.
    monkeypatch.setattr('mmscale.resolutions.calibration.check_run', lambda *_: None)
    # An export ends before it looks there where torch is too old for it.
    with pytest.raises(UserError, match='may run code|needs the exporter of torch 2.6'):
        way(evil, False)
    assert not (evil.parent / 'ran').exists()


@pytest.mark.parametrize('way', ['read_file', 'convert-weights', 'scheme', 'test', 'load_from'])
def test_code_runs_where_it_is_asked_for(way, evil, shapes):
    with contextlib.suppress(Exception):  # the weights are of nothing
        WAYS[way](evil, True)
    assert (evil.parent / 'ran').exists()


@pytest.fixture
def address(evil):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            """Nothing."""

    handler = partial(Quiet, directory=str(evil.parent))
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f'http://127.0.0.1:{running.server_port}/{evil.name}'
        running.shutdown()


@pytest.mark.parametrize(
    'text', ['URL', 'FILE', 's3://bucket/evil.pth', '../evil.pth', '..', '', 'gone']
)
def test_no_last_checkpoint_leads_to_mmengines_loader(
    text, evil, address, shapes, tmp_path, monkeypatch
):
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'torch'))
    monkeypatch.setenv('no_proxy', '127.0.0.1')
    read, built = [], []

    def stop(cfg):
        built.append(cfg)
        raise UserError('stopped before the run')

    monkeypatch.setattr(torch, 'load', lambda *_, **options: read.append(options))
    monkeypatch.setattr('mmscale.engine.training.build_runner', stop)
    with pytest.raises(UserError):
        resume_from({'URL': address, 'FILE': str(evil)}.get(text, text), evil)
    assert all('pickle_module' in options for options in read)
    for cfg in built:  # where mmengine is to resume, it must not look for a checkpoint itself
        assert not cfg.get('resume') or cfg.load_from.startswith(checkpoints.SCHEME)


@pytest.mark.parametrize('prefix', sorted(CheckpointLoader._schemes))
def test_no_scheme_of_mmengines_is_left_to_it(prefix, evil, monkeypatch, tmp_path):
    monkeypatch.setattr('mmscale.checkpoints.reading._from_url', lambda url: evil)
    monkeypatch.setattr('mmscale.checkpoints.reading._from_timm', lambda url: evil)
    name = f'{prefix}{evil}' if prefix in ('', checkpoints.SCHEME) else f'{prefix}resnet50'
    before = dict(CheckpointLoader._schemes)
    with checkpoints.trusting(False), pytest.raises(UserError, match='code|missing'):
        CheckpointLoader.load_checkpoint(name)
    assert CheckpointLoader._schemes == before
    assert not (tmp_path / 'ran').exists()


def test_stores_that_only_mmengine_reads_are_known():
    assert is_mmengines('pavi://a')
    assert not any(
        map(is_mmengines, ['torchvision://a', 'timm://a', 'http://a/b', 'a/b.pth', 'x://a'])
    )


# What could unpickle, and the only places that may.
READERS = re.compile(
    r'\b(torch\.(hub\.)?load\w*|load_checkpoint|init_detector|init_model|np\.load|pickle\.loads?|'
    r'joblib|mmengine\.load|load_url|DetInferencer)\('
)
PLACES = {
    ('checkpoints/reading.py', 'torch.load('),  # with the pickle module of ours
    ('engine/resuming.py', 'load_checkpoint('),  # of a name with our scheme
    ('reports/predictions.py', 'init_detector('),  # alike
}


def test_nothing_else_in_the_package_reads_a_checkpoint():
    package = ROOT / 'mmscale'
    found = {
        (path.relative_to(package).as_posix(), match[0])
        for path in package.rglob('*.py')
        if '.mim' not in path.parts
        for match in READERS.finditer(Path(path).read_text(encoding='utf-8'))
    }
    assert found == PLACES


def test_loaders_are_put_back_after_an_error():
    before = dict(CheckpointLoader._schemes)
    with pytest.raises(ZeroDivisionError), checkpoints.trusting(False):
        1 / 0  # noqa: B018
    assert CheckpointLoader._schemes == before
