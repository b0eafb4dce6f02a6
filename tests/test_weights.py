"""Weights: any file of the architecture loads as it is, and a wrong one is refused by name."""

import http.server
import io
import os
import pickle
import struct
import threading
import zipfile
from collections import Counter, OrderedDict
from functools import partial

import golden
import numpy as np
import pytest
import torch
from conftest import tool
from mmengine.logging import HistoryBuffer
from mmengine.model import PretrainedInit
from mmengine.registry import MODELS
from safetensors.torch import save_file

from mmscale import checkpoints
from mmscale.checkpoints import reading, schemes
from mmscale.errors import UserError

CASES = {
    'rexnet_1.0_224x224': dict(type='mmscale.ReXNet', width_mult=1.0),
    'rexnet_lite_1.0_224x224': dict(type='mmscale.ReXNetLite', width_mult=1.0),
    'timm_rexnet_100': dict(type='mmscale.ReXNet', width_mult=1.0),
    'scalenet50_light_224x224': dict(type='mmscale.ScaleNet', structure='scalenet50_light'),
}
CASE = 'rexnet_1.0_224x224'


def save(state_dict, path):
    if path.suffix == '.safetensors':
        save_file({key: value.contiguous() for key, value in state_dict.items()}, path)
    else:
        torch.save(state_dict, path)
    return str(path)


def pretrained(config, path, **options):
    """A float64 backbone with the file's weights."""
    init_cfg = dict(type='Pretrained', checkpoint=str(path), **options)
    model = MODELS.build(dict(**config, init_cfg=init_cfg)).double()
    model.init_weights()
    return model.eval()


def small_state(value=0.5, **config):
    """A float32 backbone of the smallest kind, and its state dict with one recognisable value."""
    model = MODELS.build(dict(type='mmscale.ReXNet', width_mult=0.9, **config))
    state = model.state_dict()
    state['stem.conv.weight'] = torch.full_like(state['stem.conv.weight'], value)
    return model, state


def holds(model, value=0.5):
    return bool((model.state_dict()['stem.conv.weight'] == value).all())


def check_golden(case, features=None, logits=None):
    reference = golden.Golden(case)
    if features is not None:
        for name, feature in zip(('stride4', 'stride8', 'stride16', 'stride32'), features):
            assert reference.error(name, feature) <= 1e-9
    if logits is not None:
        assert reference.error('logits', logits) <= 1e-9


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
@pytest.mark.parametrize(('case', 'config'), CASES.items(), ids=CASES)
def test_every_source_loads_through_init_cfg(case, config, suffix, tmp_path, log):
    path = save(golden.state_dict(case), tmp_path / f'weights{suffix}')
    model = pretrained(config, path)
    with torch.no_grad():
        check_golden(case, features=model(golden.Golden(case).image))
    total = len(model.state_dict())
    assert f'matched {total} of {total} tensors of {model.variant} from {path}' in log[0]
    assert 'head (' in log[0]


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
@pytest.mark.parametrize('case', CASES)
def test_every_source_loads_through_the_tool(case, suffix, tmp_path, capsys):
    source = save({'state_dict': golden.state_dict(case)}, tmp_path / 'source.pth')
    out = tmp_path / f'converted{suffix}'
    tool('convert_weights')([source, str(out)])
    config = golden.CONFIGS[case]
    assert f'fits configs/classification/{config}_in1k.py\n' in capsys.readouterr().out
    content = reading.read_file(out)
    assert content['meta']['sha256'] == reading.sha256(source)
    assert content['meta']['config'] == f'{config}_in1k'
    assert 'source.pth' in content['meta']['source']
    classifier = golden.build_classifier(config).double()
    classifier.load_state_dict(content['state_dict'], strict=True)
    with torch.no_grad():
        features = classifier.eval().backbone(golden.Golden(case).image)
        logits = classifier.head(classifier.neck(features))
    check_golden(case, logits=logits)
    assert [path.name for path in tmp_path.iterdir() if '.tmp' in path.name] == []


@pytest.mark.parametrize('case', CASES)
def test_classifier_takes_the_source_as_it_is(case, tmp_path, log):
    classifier = golden.build_classifier(golden.CONFIGS[case]).double()
    path = save(golden.state_dict(case), tmp_path / 'weights.pth')
    classifier.init_cfg = dict(type='Pretrained', checkpoint=path)
    classifier.init_weights()
    with torch.no_grad():
        features = classifier.eval().backbone(golden.Golden(case).image)
        check_golden(case, logits=classifier.head(classifier.neck(features)))
    total = len(classifier.state_dict())
    assert f'matched {total} of {total} tensors of ImageClassifier with' in log[0]


WRAPPERS = {
    'state_dict': lambda state: {'state_dict': state, 'epoch': 3},
    'model': lambda state: {'model': state, 'optimizer': {'lr': 0.1}},
    'module.': lambda state: {f'module.{key}': value for key, value in state.items()},
    'backbone.': lambda state: {f'backbone.{key}': value for key, value in state.items()},
    'all': lambda state: {
        'state_dict': {f'module.backbone.{key}': value for key, value in state.items()}
    },
    'detector': lambda state: {
        'state_dict': {
            **{f'backbone.{key}': value for key, value in state.items()},
            'neck.lateral_convs.0.conv.weight': torch.zeros(8, 8, 1, 1),
        }
    },
    'compiled': lambda state: {'net': {f'_orig_mod.{key}': v for key, v in state.items()}},
    'twice': lambda state: {'model': {f'module.model.{key}': v for key, v in state.items()}},
    'none': lambda state: {7: torch.zeros(1), **state},
}


@pytest.mark.parametrize('wrap', WRAPPERS.values(), ids=WRAPPERS)
def test_wrappers_come_off(wrap, tmp_path, log):
    model, state = small_state()
    model.init_cfg = dict(type='Pretrained', checkpoint=save(wrap(state), tmp_path / 'file.pth'))
    model.init_weights()
    assert holds(model)
    assert f'matched {len(state)} of {len(state)} tensors of ReXNet 0.9' in log[0]


@pytest.mark.parametrize('prefix', ['module.backbone.', 'backbone.'])
def test_authors_names_may_be_wrapped_too(prefix, tmp_path, log):
    state = {f'{prefix}{key}': value for key, value in golden.state_dict(CASE).items()}
    pretrained(CASES[CASE], save(state, tmp_path / 'file.pth'))
    assert "the authors' ReXNet" in log[0]


def test_prefix_chooses_a_part(tmp_path, log):
    model, state = small_state()
    path = save({f'teacher.{key}': value for key, value in state.items()}, tmp_path / 'file.pth')
    model.init_cfg = dict(type='Pretrained', checkpoint=path, prefix='teacher.')
    model.init_weights()
    assert holds(model)
    model, _ = small_state(init_cfg=dict(type='Pretrained', checkpoint=path, prefix='student.'))
    with pytest.raises(UserError, match=r"prefix='student\.'.*'teacher'"):
        model.init_weights()


@pytest.mark.parametrize('prefix', ['module.', 'module.backbone', 'backbone.', 'backbone'])
def test_prefix_is_of_the_names_as_they_are(prefix, tmp_path, log):
    model, state = small_state()
    wrapped = {f'module.backbone.{key}': value for key, value in state.items()}
    path = save(wrapped, tmp_path / 'file.pth')
    model.init_cfg = dict(type='Pretrained', checkpoint=path, prefix=prefix)
    model.init_weights()
    assert holds(model)


@pytest.mark.parametrize('dtype', [torch.bool, torch.int64, torch.complex64])
def test_numbers_of_another_kind_are_refused(dtype, tmp_path):
    model, state = small_state()
    state['stem.conv.weight'] = state['stem.conv.weight'].to(dtype)
    model.init_cfg = dict(type='Pretrained', checkpoint=save(state, tmp_path / 'file.pth'))
    with pytest.raises(UserError, match=f'stem.conv.weight is {dtype} in the file and torch.float'):
        model.init_weights()


def test_rules_beside_a_checkpoint_are_kept(tmp_path):
    path = save(golden.state_dict(CASE), tmp_path / 'weights.pth')
    classifier = golden.build_classifier('rexnet-100', num_classes=10)
    classifier.init_cfg = [
        dict(type='Constant', layer='Linear', val=0.25),
        dict(type='Pretrained', checkpoint=path),
    ]
    classifier.init_weights()
    assert (classifier.head.fc.weight == 0.25).all()
    twice = [dict(type='Pretrained', checkpoint=path)] * 2
    with pytest.raises(ValueError, match='more than one checkpoint'):
        MODELS.build(dict(type='mmscale.ReXNet', init_cfg=twice))


def test_nothing_matched_is_an_error():
    student = torch.nn.ModuleDict({'student': torch.nn.Linear(2, 2)})
    state = student.state_dict()
    with pytest.raises(UserError, match="begins with 'backbone.' is matched"):
        checkpoints.require_fit(student, state, 'file.pth', required='backbone.')


def test_what_is_left_out_is_logged(tmp_path, log):
    whole, state = small_state(out_indices=(4,))
    model, _ = small_state(out_indices=(0, 1))
    model.init_cfg = dict(type='Pretrained', checkpoint=save(state, tmp_path / 'file.pth'))
    model.init_weights()
    assert 'left out' in log[0]
    for stage in (2, 3, 4):
        count = sum(key.startswith(f'stages.{stage}.') for key in state)
        assert f'stages.{stage} ({count})' in log[0]


def test_another_number_of_classes_keeps_the_initial_head(tmp_path, log):
    path = save(golden.state_dict(CASE), tmp_path / 'weights.pth')
    classifier = golden.build_classifier('rexnet-100', num_classes=10)
    before = {key: value.clone() for key, value in classifier.head.state_dict().items()}
    classifier.init_cfg = dict(type='Pretrained', checkpoint=path)
    classifier.init_weights()
    after = classifier.head.state_dict()
    assert after['fc.weight'].shape == before['fc.weight'].shape == (10, 1280)
    assert 'head.fc.weight is (1000, 1280) in the file and (10, 1280) in the model' in log[1]


def test_counters_of_batches_are_optional(tmp_path, log):
    model, state = small_state()
    kept = {key: v for key, v in state.items() if not key.endswith('num_batches_tracked')}
    model.init_cfg = dict(type='Pretrained', checkpoint=save(kept, tmp_path / 'old.pth'))
    model.init_weights()
    assert holds(model)


@pytest.mark.parametrize('case', CASES)
def test_half_precision_loads(case, tmp_path):
    state = {
        k: v.half() if v.is_floating_point() else v for k, v in golden.state_dict(case).items()
    }
    model = MODELS.build(CASES[case])
    model.init_cfg = dict(type='Pretrained', checkpoint=save(state, tmp_path / 'half.pth'))
    model.init_weights()
    assert {value.dtype for value in model.parameters()} == {torch.float32}


# Wrong files.


def malicious(marker):
    """An object whose unpickling creates the file `marker`."""

    class Bomb:
        def __reduce__(self):
            return (open, (str(marker), 'w'))

    return Bomb()


class History:
    """Asks for mmengine's own way in, getattr, to reach further."""

    def __reduce__(self):
        return (getattr, (HistoryBuffer, '__init__'))


def resnet50():
    from torchvision.models import resnet50

    with torch.device('meta'):
        state = resnet50().state_dict()
    return {key: torch.zeros(value.shape) for key, value in state.items()}


def cut(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path


def file_of(kind, folder):
    """Write one wrong file; every kind has words that its message must have."""
    path = folder / 'weights.pth'
    _, state = small_state()
    if kind == 'other width':
        save(golden.state_dict(CASE), path)
    elif kind == 'other family':
        save(golden.state_dict('scalenet50_light_224x224'), path)
    elif kind == 'foreign':
        save(resnet50(), path)
    elif kind == 'strange names':
        save({'encoder.weight': torch.zeros(3)}, path)
    elif kind == 'incomplete':
        save({k: v for k, v in state.items() if 'stages.3.0' not in k}, path)
    elif kind == 'truncated':
        save(state, path)
        cut(path)
    elif kind == 'truncated, old format':
        torch.save(state, path, _use_new_zipfile_serialization=False)
        cut(path)
    elif kind == 'truncated safetensors':
        cut(type(path)(save(state, folder / 'weights.safetensors'))).rename(path)
    elif kind == 'HTML':
        path.write_text('\n<!DOCTYPE html><html><body>Sign in</body></html>')
    elif kind == 'pointer':
        path.write_text('version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n')
    elif kind == 'code':
        save({'state_dict': state, 'extra': malicious(folder / 'ran')}, path)
    elif kind == 'code, old format':
        content = {'state_dict': state, 'extra': malicious(folder / 'ran')}
        torch.save(content, path, _use_new_zipfile_serialization=False)
    elif kind == 'getattr':
        save({'state_dict': state, 'extra': History()}, path)
    elif kind == 'whole model':
        torch.save(torch.nn.Linear(2, 2), path)
    elif kind == 'list':
        torch.save([torch.zeros(2)], path)
    elif kind == 'no tensors':
        torch.save({'epoch': 3}, path)
    elif kind == 'empty':
        path.write_bytes(b'')
    elif kind == 'zip':
        with zipfile.ZipFile(path, 'w') as archive:
            archive.writestr('readme.txt', 'hello')
    elif kind == 'program':
        torch.jit.script(torch.nn.ReLU()).save(str(path))
    elif kind == 'text':
        path.write_text('{"weights": 1}')
    elif kind == 'folder':
        path.mkdir()
    return path


WRONG = {
    'other width': ['looks like ReXNet 1.0', 'this model is ReXNet 0.9', 'in the file and'],
    'other family': ['looks like ScaleNet scalenet50_light', 'this model is ReXNet 0.9'],
    'foreign': ['looks like a ResNet-50', 'is not in the file'],
    'strange names': ['matched 0 of', 'stages.0.0.depthwise.conv.weight is not in the file'],
    'incomplete': ['stages.3.0.expand.conv.weight is not in the file', 'more'],
    'truncated': ['is cut off', 'fetch it again'],
    'truncated, old format': ['damaged or cut off'],
    'truncated safetensors': ['damaged or cut off'],
    'HTML': ['is a web page, not weights'],
    'pointer': ['Git LFS pointer'],
    'code': ['open', 'may run code', '--trust-checkpoint', 'trust_checkpoint=True'],
    'code, old format': ['open', 'may run code'],
    'getattr': ["getattr of '__init__'", 'may run code'],
    'whole model': ['torch.nn.modules.linear.Linear', 'may run code'],
    'list': ['holds a list'],
    'no tensors': ['no named tensors in it', 'epoch'],
    'empty': ['is empty'],
    'missing': ['is missing'],
    'folder': ['is a folder'],
    'zip': ['cut off or no PyTorch checkpoint'],
    'program': ['is a TorchScript program'],
    'text': ['neither a PyTorch checkpoint nor safetensors', "b'{"],
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


@pytest.mark.parametrize('kind', ['code', 'getattr', 'HTML', 'empty', 'missing'])
def test_runner_refuses_them_too(kind, tmp_path):
    path = file_of(kind, tmp_path)
    with pytest.raises(UserError) as error:
        schemes.load_from_mmscale(f'{checkpoints.SCHEME}{path}')
    assert str(path) in str(error.value)
    assert not (tmp_path / 'ran').exists()


def test_trust_lets_code_run(tmp_path):
    path = file_of('code', tmp_path)
    model, _ = small_state()
    model.init_cfg = dict(type='Pretrained', checkpoint=str(path), trust_checkpoint=True)
    model.init_weights()
    assert holds(model)
    assert (tmp_path / 'ran').exists()


def with_pickle(path, attack):
    """A checkpoint in torch's format around the bytes of a pickle."""
    buffer = io.BytesIO()
    torch.save({'a': torch.zeros(1)}, buffer)
    with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(path, 'w') as out:
        for item in source.infolist():
            inside = attack if item.filename.endswith('data.pkl') else source.read(item)
            out.writestr(item, inside)
    return path


@pytest.mark.parametrize('name', ['os.system', 'builtins.eval', 'torch.load', 'numpy.load'])
def test_no_name_outside_the_list_is_imported(name, tmp_path):
    module, _, function = name.rpartition('.')
    # GLOBAL, then a call with one string.
    attack = f'c{module}\n{function}\n(Vtrue\ntR.'.encode()
    with pytest.raises(UserError, match='may run code'):
        reading.read_file(with_pickle(tmp_path / 'weights.pth', attack))


# A name, then a state for it: (None, {attribute: torch.Size}).
STATES = {
    'a container': b'ccollections\nCounter\n(N}Velements\nctorch\nSize\nstb',
    'a history': b'cmmengine.logging.history_buffer\nHistoryBuffer\n(N}Vupdate\nctorch\nSize\nstb',
    'a function': b'ctorch._utils\n_rebuild_tensor\n(N}V__defaults__\n(I1\ntstb',
    'our own': b'cbuiltins\ngetattr\n(N}V__defaults__\n(Vmin\ntstb',
}


@pytest.mark.parametrize('attack', STATES.values(), ids=STATES)
def test_reading_changes_no_class_and_no_function(attack, tmp_path):
    watched = [Counter.elements, HistoryBuffer.update, torch._utils._rebuild_tensor.__defaults__]
    with pytest.raises(UserError, match='a state of .* may run code'):
        reading.read_file(with_pickle(tmp_path / 'weights.pth', b'}Vx\n' + attack + b's.'))
    now = [Counter.elements, HistoryBuffer.update, torch._utils._rebuild_tensor.__defaults__]
    assert all(a is b for a, b in zip(now, watched))


class Record:
    """A numpy type whose bytes would be taken for addresses of objects."""

    def __reduce__(self):
        fields = {'f': (np.dtype('O'), 0)}
        return (np.dtype, ('V8', False, True), (3, '|', None, ('f',), fields, 8, 1, 0))


@pytest.mark.parametrize('kind', [np.array([{}], object), Record()], ids=['objects', 'record'])
def test_numpy_arrays_hold_numbers_only(kind, tmp_path):
    path = tmp_path / 'weights.pth'
    torch.save({'a': torch.zeros(1), 'e': kind}, path)
    with pytest.raises(UserError, match=r'numpy\.dtype'):
        reading.read_file(path)


class Wide:
    """A numpy text type of one width, to be given another by a later state."""

    def __reduce__(self):
        return (np.dtype, ('S8', False, True), (3, '|', None, None, None, 4096, 1, 0))


class Item:
    """An array with an item set while it is read."""

    def __reduce__(self):
        array = np.zeros(2)
        return (*array.__reduce__()[:3], None, iter([(0, 1.0)]))


@pytest.mark.parametrize('attack', [Wide(), Item()], ids=['width', 'item'])
def test_arrays_cannot_be_written_beyond_their_end(attack, tmp_path):
    path = tmp_path / 'weights.pth'
    torch.save({'a': torch.zeros(1), 'e': attack}, path)
    with pytest.raises(UserError, match='may run code'):
        reading.read_file(path)


def test_tensors_cannot_be_read_beyond_their_end(tmp_path):
    path = tmp_path / 'weights.pth'
    torch.save({'a': torch.zeros(4)}, path)
    with zipfile.ZipFile(path) as archive:
        name = next(name for name in archive.namelist() if name.endswith('data.pkl'))
        content = archive.read(name)
    # The tensor's size (4,) and its storage's length 4, both made 255.
    assert content.count(b'K\x04') == 2
    with pytest.raises(UserError, match='damaged or cut off'):
        reading.read_file(with_pickle(path, content.replace(b'K\x04', b'K\xff')))


def test_methods_of_histories_are_nobodys_to_change(tmp_path):
    before = dict(HistoryBuffer()._statistics_methods)
    # An OrderedDict whose `items` is hidden from a check, with a method of its own.
    hidden = b'ccollections\nOrderedDict\n)R}Vitems\ncbuiltins\nset\nsbVmean\nctorch\nSize\ns'
    history = b'cmmengine.logging.history_buffer\nHistoryBuffer\n)R}Vstatistics_methods\n'
    attack = b'}Vx\n' + history + hidden + b'sbs.'
    with pytest.raises(UserError, match='may run code'):
        reading.read_file(with_pickle(tmp_path / 'weights.pth', attack))
    assert HistoryBuffer._statistics_methods == before


def test_empty_and_plain_things_are_read(tmp_path):
    content = {
        'empty': np.array([]),
        'history': HistoryBuffer(),
        'bytes': b'',
        'set': frozenset([1]),
        'number': np.float32(0.5),
        'array': np.arange(6, dtype='>i4').reshape(2, 3),
        'names': OrderedDict(a=torch.zeros(1)),
    }
    content['names']._metadata = OrderedDict(version=1)
    torch.save(content, tmp_path / 'weights.pth')
    read = reading.read_file(tmp_path / 'weights.pth')
    assert read['empty'].shape == (0,)
    assert read['bytes'] == b''
    assert read['set'] == {1}
    assert read['number'] == np.float32(0.5)
    assert (read['array'] == content['array']).all()
    assert read['names']._metadata == {'version': 1}
    read['history'].update(2.0)
    assert read['history'].current() == 2.0


def test_files_that_hold_themselves_end(tmp_path):
    content = {}
    content['state_dict'] = content
    torch.save(content, tmp_path / 'weights.pth')
    with pytest.raises(UserError, match='a container that holds itself'):
        checkpoints.read_weights(tmp_path / 'weights.pth')


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


def test_checkpoints_of_mmengine_are_safe(tmp_path):
    from mmengine.logging import MessageHub

    hub = MessageHub.get_instance('weights')
    hub.update_scalar('train/loss', 0.5)
    hub.update_info('epoch', 3)
    path = tmp_path / 'epoch_3.pth'
    content = {
        'state_dict': small_state()[1],
        'message_hub': hub.state_dict(),
        'optimizer': {'state': {0: {'step': torch.tensor(3.0)}}},
        'meta': {'config': 'x = 1', 'epoch': 3},
    }
    torch.save(content, path)
    read = reading.read_file(path)
    assert read['message_hub']['log_scalars']['train/loss'].current() == 0.5
    assert read['meta'] == content['meta']
    # As mmengine resumes it: it would run the quoted config.
    assert schemes.load_from_mmscale(f'mmscale:{path}')['meta'] == {'epoch': 3}


# Hub and URLs.


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
    with pytest.raises(UserError, match='is not the file its name says; remove it'):
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


# What init_cfg accepts.


def test_without_a_checkpoint_one_line_says_so(log):
    model = MODELS.build(
        dict(type='mmscale.ScaleNet', init_cfg=dict(type='Pretrained', checkpoint=None))
    )
    model.init_weights()
    assert len(log) == 1
    assert 'ScaleNet scalenet50 starts from scratch' in log[0]
    convs = [m for m in model.modules() if isinstance(m, torch.nn.Conv2d)]
    wide = max(convs, key=lambda conv: conv.weight.numel())
    expected = (2 / (wide.out_channels * wide.kernel_size[0] ** 2)) ** 0.5
    assert wide.weight.std().item() == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize(
    'init_cfg', [dict(type='Pretrained'), dict(type='Pretrained', checkpoint='a', pre='b')]
)
def test_wrong_init_cfg_is_refused_at_once(init_cfg):
    with pytest.raises(ValueError, match='checkpoint=') as error:
        MODELS.build(dict(type='mmscale.ReXNet', init_cfg=init_cfg))
    assert str(init_cfg) in str(error.value)


@pytest.mark.parametrize('name', ['Pretrained', 'mmengine.Pretrained', PretrainedInit])
def test_every_name_of_mmengines_initialiser_goes_through_the_checks(name, tmp_path):
    path = file_of('other width', tmp_path)
    model = MODELS.build(
        dict(type='mmscale.ReXNet', width_mult=0.9, init_cfg=dict(type=name, checkpoint=str(path)))
    )
    with pytest.raises(UserError, match='looks like ReXNet 1.0'):
        model.init_weights()


@pytest.mark.parametrize(
    ('checkpoint', 'expected'), [(None, False), ('file.pth', True)], ids=['scratch', 'weights']
)
def test_auto_norm_eval_follows_the_weights(checkpoint, expected):
    init_cfg = dict(type='Pretrained', checkpoint=checkpoint)
    model = MODELS.build(dict(type='mmscale.ReXNet', norm_eval='auto', init_cfg=init_cfg)).train()
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert {norm.training for norm in norms} == {not expected}


# The tool's errors.


def test_tool_refuses_what_is_no_classifier(tmp_path):
    backbone = save(small_state()[1], tmp_path / 'backbone.pth')
    out = tmp_path / 'out.pth'
    with pytest.raises(SystemExit, match='no whole classifier: it lacks backbone.stages.4.0'):
        tool('convert_weights')([backbone, str(out)])
    foreign = save(resnet50(), tmp_path / 'resnet.pth')
    with pytest.raises(SystemExit, match='looks like a ResNet-50'):
        tool('convert_weights')([foreign, str(out)])
    with pytest.raises(SystemExit, match="'out.bin' must end in"):
        tool('convert_weights')([backbone, 'out.bin'])
    with pytest.raises(SystemExit, match='give another name to write to'):
        tool('convert_weights')([backbone, backbone])
    assert not out.exists()


EDITS = {
    'extra': lambda state: {**state, 'head.extra.weight': torch.zeros(3)},
    'narrow': lambda state: {**state, 'head.fc.weight': torch.zeros(1000, 512)},
    'flat': lambda state: {**state, 'head.fc.weight': torch.zeros(1000)},
    'no bias': lambda state: {k: v for k, v in state.items() if k != 'head.fc.bias'},
}


@pytest.mark.parametrize('edit', EDITS.values(), ids=EDITS)
def test_tool_writes_whole_classifiers_only(edit, tmp_path):
    state = golden.build_classifier('rexnet-100').state_dict()
    source = save(edit(state), tmp_path / 'source.pth')
    out = tmp_path / 'out.pth'
    with pytest.raises(SystemExit, match='head'):
        tool('convert_weights')([source, str(out)])
    assert os.listdir(tmp_path) == ['source.pth']


def test_tool_fills_in_counters_and_keeps_its_source(tmp_path):
    state = golden.build_classifier('rexnet-100').state_dict()
    counter = torch.tensor(3)  # shared, which safetensors does not take
    old = {k: v for k, v in state.items() if 'head' in k or not k.endswith('batches_tracked')}
    old['backbone.stem.norm.num_batches_tracked'] = counter
    old['backbone.stages.0.0.depthwise.norm.num_batches_tracked'] = counter
    source = save(old, tmp_path / 'out.tmp.pth')  # the name that writing aside might take
    out = tmp_path / 'out.safetensors'
    tool('convert_weights')([source, str(out)])
    golden.build_classifier('rexnet-100').load_state_dict(reading.read_file(out)['state_dict'])
    assert sorted(os.listdir(tmp_path)) == ['out.safetensors', 'out.tmp.pth']
    tool('convert_weights')([source, str(tmp_path / 'out.pth')])
    assert torch.equal(torch.load(source)['head.fc.bias'], state['head.fc.bias'])


def test_tool_names_no_config_that_does_not_exist(tmp_path, capsys):
    classifier = golden.build_classifier('rexnet-100', width_mult=2.2)
    state = classifier.state_dict()
    state['head.fc.weight'] = torch.zeros(1000, classifier.backbone.out_channels[-1])
    source = save(state, tmp_path / 'source.pth')
    tool('convert_weights')([source, str(tmp_path / 'out.pth')])
    assert 'ReXNet 2.2 from mmscale; no config is for it' in capsys.readouterr().out


def test_tool_keeps_the_first_origin(tmp_path):
    first = save(golden.state_dict(CASE), tmp_path / 'authors.pth')
    for source, out in (('authors.pth', 'a.safetensors'), ('a.safetensors', 'b.pth')):
        tool('convert_weights')([str(tmp_path / source), str(tmp_path / out)])
    meta = reading.read_file(tmp_path / 'b.pth')['meta']
    assert meta['sha256'] == reading.sha256(first)
    assert 'authors.pth' in meta['source']


def test_tool_cannot_write_into_a_folder(tmp_path):
    source = save(golden.build_classifier('rexnet-100').state_dict(), tmp_path / 'source.pth')
    (tmp_path / 'out.pth').mkdir()
    with pytest.raises(SystemExit, match='is a folder'):
        tool('convert_weights')([source, str(tmp_path / 'out.pth')])


def test_pickles_of_other_programs_are_no_checkpoints(tmp_path):
    path = tmp_path / 'weights.pth'
    path.write_bytes(pickle.dumps({'a': [1, 2]}, protocol=2))
    with pytest.raises(UserError, match='neither a PyTorch checkpoint'):
        reading.read_file(path)
    assert os.listdir(tmp_path) == ['weights.pth']
