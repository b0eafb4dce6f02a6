"""Files, the hub and URLs: what is no checkpoint is refused by name."""

import http.server
import os
import pickle
import struct
import threading
from functools import partial

import golden
import pytest
import torch
from checkpoint_files import (
    CASES,
    check_golden,
    file_of,
    holds,
    pretrained,
    save,
    small_state,
)
from mmengine.registry import MODELS

from mmscale import checkpoints
from mmscale.checkpoints import reading
from mmscale.errors import UserError

WRONG = {
    'other width': ['ReXNet 1.0', 'ReXNet 0.9', 'in the file'],
    'other family': ['ScaleNet scalenet50_light', 'ReXNet 0.9'],
    'foreign': ['ResNet-50', 'not in the file'],
    'strange names': ['matched 0 of', 'stages.0.0.depthwise.conv.weight'],
    'incomplete': ['stages.3.0.expand.conv.weight', 'more'],
    'truncated': ['is cut off', 'fetch it again'],
    'truncated, old format': ['damaged or cut off'],
    'truncated safetensors': ['damaged or cut off'],
    'HTML': ['web page'],
    'pointer': ['Git LFS pointer'],
    'code': ['open', 'may run code', '--trust-checkpoint', 'trust_checkpoint=True'],
    'code, old format': ['open', 'may run code'],
    'getattr': ["getattr of '__init__'", 'may run code'],
    'whole model': ['torch.nn.modules.linear.Linear', 'may run code'],
    'list': ['holds a list'],
    'no tensors': ['tensors', 'epoch'],
    'empty': ['is empty'],
    'missing': ['is missing'],
    'folder': ['is a folder'],
    'zip': ['PyTorch'],
    'program': ['TorchScript'],
    'text': ['PyTorch', 'safetensors', "b'{"],
}


@pytest.mark.parametrize(('kind', 'words'), WRONG.items(), ids=WRONG)
def test_wrong_files_are_refused_by_name(kind, words, tmp_path):
    path = file_of(kind, tmp_path)
    model = MODELS.build(dict(type='mmscale.ReXNet', width_mult=0.9))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    model.init_cfg = dict(type='Pretrained', checkpoint=str(path))
    with pytest.raises(UserError) as error:
        model.init_weights()
    assert all(word in str(error.value) for word in [str(path), *words]), str(error.value)
    after = model.state_dict()
    assert all(torch.equal(value, after[key]) for key, value in before.items())
    assert not (tmp_path / 'ran').exists()


def test_archive_with_two_lists_of_files_is_refused(tmp_path):
    # Python's zipfile would believe the second one, torch the first.
    path = tmp_path / 'weights.pth'
    torch.jit.script(torch.nn.ReLU()).save(str(path))
    content = path.read_bytes()
    end = content.rindex(b'PK\x05\x06')
    count, size, start = struct.unpack('<HII', content[end + 10 : end + 20])
    names = content[start : start + size]
    hidden = names.replace(b'constants.pkl', b'constants.pkx')
    tail = struct.pack('<HHHHIIH', 0, 0, count, count, size, start, 0)
    path.write_bytes(content[:start] + names + hidden + b'PK\x05\x06' + tail)
    with pytest.raises(UserError, match=f'{path} is'):
        reading.read_file(path)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """An empty cache of the Hugging Face hub, without a network."""
    from huggingface_hub import constants

    cache = tmp_path / 'hub'
    monkeypatch.setattr(constants, 'HF_HUB_CACHE', str(cache))
    monkeypatch.setattr(constants, 'HF_HUB_OFFLINE', True)
    return cache


def put_in_cache(cache, name, file, state):
    revision = '0123456789abcdef0123456789abcdef01234567'
    repo = cache / f'models--timm--{name}'
    (repo / 'refs').mkdir(parents=True)
    (repo / 'refs/main').write_text(revision)
    (repo / f'snapshots/{revision}').mkdir(parents=True)
    save(state, repo / f'snapshots/{revision}' / file)


@pytest.mark.parametrize('file', ['model.safetensors', 'pytorch_model.bin'])
@pytest.mark.parametrize('name', ['rexnet_100.nav_in1k', 'rexnet_100'])
def test_hub_names_work_offline_from_the_cache(hub, name, file):
    case = 'timm_rexnet_100'
    put_in_cache(hub, 'rexnet_100.nav_in1k', file, golden.state_dict(case))
    model = pretrained(CASES[case], f'timm://{name}')
    with torch.no_grad():
        check_golden(case, features=model(golden.Golden(case).image))


def test_hub_without_cache_says_what_to_do(hub):
    model = MODELS.build(dict(type='mmscale.ReXNet', width_mult=1.0))
    model.init_cfg = dict(type='Pretrained', checkpoint='timm://rexnet_100.nav_in1k')
    with pytest.raises(UserError) as error:
        model.init_weights()
    for word in (
        'https://huggingface.co/timm/rexnet_100.nav_in1k/resolve/main/model.safetensors',
        'model.backbone.init_cfg=None',
        'model.backbone.init_cfg.checkpoint=',
        'HF_HOME',
    ):
        assert word in str(error.value)


def test_strange_hub_names_are_refused(hub):
    with pytest.raises(UserError, match=r'timm://rexnet_100\.nav_in1k'):
        checkpoints.find_file('timm://../../etc')


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Serves the folder that it returns beside its address."""
    folder = tmp_path / 'served'
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            """Nothing."""

    handler = partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'torch'))
        monkeypatch.setenv('no_proxy', '127.0.0.1')
        yield folder, f'http://127.0.0.1:{running.server_port}'
        running.shutdown()


def test_urls_are_fetched_once_and_their_checksum_verified(server, tmp_path):
    folder, address = server
    model, state = small_state()
    served = type(folder)(save(state, folder / 'weights.pth'))
    name = f'rexnet-{reading.sha256(served)}.pth'
    served.rename(folder / name)
    model.init_cfg = dict(type='Pretrained', checkpoint=f'{address}/{name}')
    model.init_weights()
    assert holds(model)
    (folder / name).unlink()
    kept = checkpoints.find_file(f'{address}/{name}')
    kept.write_bytes(kept.read_bytes()[:-1])
    with pytest.raises(UserError, match=f'{name}.*remove'):
        checkpoints.find_file(f'{address}/{name}')


def test_urls_with_one_name_are_two_files(server):
    folder, address = server
    for name, value in (('a', 1.0), ('b', 2.0)):
        (folder / name).mkdir()
        save(small_state(value)[1], folder / name / 'model.safetensors')
    for name, value in (('a', 1.0), ('b', 2.0)):
        model, _ = small_state()
        checkpoint = f'{address}/{name}/model.safetensors'
        model.init_cfg = dict(type='Pretrained', checkpoint=checkpoint)
        model.init_weights()
        assert holds(model, value)


def test_what_is_fetched_but_no_checkpoint_is_not_kept(server, tmp_path):
    folder, address = server
    (folder / 'page.pth').write_text('<html>sign in</html>')
    with pytest.raises(UserError, match='was not kept.*web page'):
        checkpoints.find_file(f'{address}/page.pth')
    assert not list((tmp_path / 'torch').rglob('*.pth'))


@pytest.mark.parametrize(
    ('name', 'kept'),
    [
        ('-20240131.pth', True),
        ('-1623456789+1.pth', True),
        ('-DEADBEEF.pth', False),
        ('-deadbeef.pth.tar', False),
    ],
    ids=['date', 'time', 'capitals', 'tar'],
)
def test_which_digits_are_a_checksum(name, kept, server):
    folder, address = server
    save(small_state()[1], folder / f'rexnet{name}')
    if kept:
        assert checkpoints.find_file(f'{address}/rexnet{name}').is_file()
    else:
        with pytest.raises(UserError, match='(?i)deadbeef'):
            checkpoints.find_file(f'{address}/rexnet{name}')


@pytest.mark.parametrize(
    'url', ['http://127.0.0.1', 'http://127.0.0.1:99999/a.pth', 'http:///a.pth']
)
def test_impossible_urls_are_refused(url):
    with pytest.raises(UserError, match=url):
        checkpoints.find_file(url)


def test_url_with_a_wrong_checksum_is_not_kept(server, tmp_path):
    folder, address = server
    save(small_state()[1], folder / 'rexnet-0123456f.pth')
    with pytest.raises(UserError, match='0123456f'):
        checkpoints.find_file(f'{address}/rexnet-0123456f.pth')
    assert not list((tmp_path / 'torch').rglob('*.pth'))


def test_url_that_is_not_there_says_what_to_do(server):
    _, address = server
    with pytest.raises(UserError, match=r'404.*model\.backbone\.init_cfg=None'):
        checkpoints.find_file(f'{address}/no.pth')


def test_pickles_of_other_programs_are_no_checkpoints(tmp_path):
    path = tmp_path / 'weights.pth'
    path.write_bytes(pickle.dumps({'a': [1, 2]}, protocol=2))
    with pytest.raises(UserError, match='neither a PyTorch checkpoint'):
        reading.read_file(path)
    assert os.listdir(tmp_path) == ['weights.pth']
