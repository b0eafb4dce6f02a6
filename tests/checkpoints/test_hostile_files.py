"""Checkpoints made to run code, to take all memory, or never to end: refused, within bounds."""

import io
import json
import pickle
import random
import struct
import tarfile
import time
import zipfile

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmscale import checkpoints
from mmscale.checkpoints import reading
from mmscale.errors import UserError

MOST = 10  # seconds, on a busy machine; a second on an idle one
MEMORY = 700 << 20  # bytes that all refusals together may add; files are small


def bomb(marker):
    """Calls open: the marker's file is there if it was unpickled."""

    class Bomb:
        def __reduce__(self):
            return (open, (str(marker), 'w'))

    return Bomb()


def with_pickle(path, attack, compression=zipfile.ZIP_STORED):
    """A checkpoint in torch's format around the bytes of a pickle."""
    buffer = io.BytesIO()
    torch.save({'a': torch.zeros(1)}, buffer)
    with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(path, 'w', compression) as out:
        for item in source.infolist():
            inside = attack if item.filename.endswith('data.pkl') else source.read(item)
            out.writestr(item.filename, inside)
    return path


def old_format(path, attack):
    """A checkpoint in torch's older format around the bytes of a pickle."""
    buffer = io.BytesIO()
    torch.save({}, buffer, _use_new_zipfile_serialization=False)
    head = buffer.getvalue()
    empty = pickle.dumps({}, 2)
    path.write_bytes(head.replace(empty, attack, 1) if empty in head else head + attack)
    return path


def doubled(start, end, times=40):
    """What holds something twice that holds something twice ..., in a few bytes each."""
    text = start + b'Vx\n' + end + b'q\0'
    for level in range(times):
        text += start + (b'h' + bytes([level])) * 2 + end + b'q' + bytes([level + 1])
    return text


LIST, TUPLE = doubled(b'](', b'e'), doubled(b'(', b't')
STORAGE = b'(Vstorage\nctorch\nFloatStorage\nV0\nVcpu\n'  # and a count, and tQ
TENSOR = b'ctorch._utils\n_rebuild_tensor_v2\n('  # and a storage, offset, size, stride, tR


def tensor(count=b'I1\n', offset=b'I0\n', size=b'(I1\nt', stride=b'(I1\nt'):
    return TENSOR + STORAGE + count + b'tQ' + offset + size + stride + b'I00\n}tR'


def named(name, arguments):
    module, _, function = name.rpartition('.')
    return f'c{module}\n{function}\n'.encode() + arguments + b'R'


# Each is put under a key of a dict.
PICKLES = {
    'doubled list': LIST,
    'doubled tuple': TUPLE,
    'doubled list with a state': LIST + b'}b',
    'doubled tuple with a state': TUPLE + b'}b',
    'doubled tuple as a key': b'}' + TUPLE + b'Nsq\xff',
    'doubled tuple as several keys': b'}(' + TUPLE + b'Nu',
    'doubled tuple in a set': named('builtins.set', b'(](' + TUPLE + b'et'),
    'doubled tuple in a new set': b'\x8f(' + TUPLE + b'\x90',
    'doubled tuple in a frozen set': b'(' + TUPLE + b'\x91',
    'doubled tuple counted': named('collections.Counter', b'(](' + TUPLE + b'et'),
    'doubled tuple in order': named('collections.OrderedDict', b'(](](' + TUPLE + b'Neet'),
    'doubled list as a name': named('builtins.getattr', b'(N' + LIST + b't'),
    'doubled list as a type': named('numpy.dtype', b'(' + LIST + b't'),
    'doubled list as a function': LIST + b')R',
    'doubled list as a storage': b'(Vstorage\n' + LIST + b'V0\nVcpu\nI1\ntQ',
    'doubled list as a kind of storage': b'(' + LIST + b'NNNNtQ',
    'doubled list as an array': named('numpy.core.multiarray._reconstruct', b'(N(t' + LIST + b't'),
    'doubled list as a history': b'cmmengine.logging.history_buffer\nHistoryBuffer\n)\x81'
    b'}V_log_history\n' + LIST + b'sb',
    'doubled list as arguments of a history': named(
        'mmengine.logging.history_buffer.HistoryBuffer', b'(' + LIST + b't'
    ),
    'doubled list as a size': named('torch.Size', b'(' + LIST + b't'),
    'bytes by number': named('builtins.bytearray', b'(L8000000000L\nt'),
    'bytes by length': b'\x96' + struct.pack('<Q', 8 << 30) + b'x',
    'text by length': b'\x8d' + struct.pack('<Q', 8 << 30) + b'x',
    'number by length': b'\x8b' + struct.pack('<i', 2**31 - 1) + b'x',
    'storage by number': named('torch.FloatStorage', b'(L4000000000L\nt'),
    'storage by declaration': STORAGE + b'L4000000000L\ntQ',
    'negative storage': STORAGE + b'I-1\ntQ',
    'tensor beyond its storage': tensor(size=b'(L4000000000L\nt'),
    'tensor by stride': tensor(size=b'(I2\nt', stride=b'(L4000000000L\nt'),
    'tensor of one number many times': tensor(size=b'(L4000000000L\nt', stride=b'(I0\nt'),
    'tensor before its storage': tensor(offset=b'I-1\n'),
    'tensor by offset': tensor(offset=b'L4000000000L\n'),
    'nested lists': b']' * 100_000 + b'a' * 99_999,
    'nested tuples': b')' + b'\x85' * 100_000,
    'nested slices': b'cbuiltins\nslice\nq\xf0' + b'h\xf0' * 100_000 + b'N' + b'\x85R' * 100_001,
    'marks': b'(' * 20_000_000,
    'dicts': b'}' * 20_000_000,
    'itself': b']q\1h\1a',
    'an encoding': named('_codecs.encode', b'(Vx\nVrot13\nt'),
    'other class': b'(ios\nsystem\n',
    'new class with keywords': b'ccollections\nCounter\n)}\x92',
    'a module by name': b'(Vmodule\nNVx\nVy\ntQ',
    'a code': b'\x82\x01',
    'a function': named('os.system', b'(Vtouch ran\nt'),
    'a nested name': named('torch.serialization.os.system', b'(Vtouch ran\nt'),
    'colliding keys': b'}(' + b''.join(b'L%dL\nN' % (i * (2**61 - 1)) for i in range(9, 99)) + b'u',
}


def attack_of(kind):
    return b'\x80\x02}q\xfeVx\n' + PICKLES[kind] + b's.'


def hostile(folder):
    """Every attack, as an archive, and those that matter there in the older format."""
    for kind in PICKLES:
        with_pickle(folder / f'{kind}.pth', attack_of(kind))
        old_format(folder / f'{kind}, old.pth', attack_of(kind))
    with_pickle(folder / 'deflated.pth', b'\x80\x02}.' + bytes(1 << 30), zipfile.ZIP_DEFLATED)
    with zipfile.ZipFile(folder / 'deflated version.pth', 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('a/version', b'3' * (1 << 30))
        archive.writestr('a/data.pkl', b'\x80\x02}.')
    with tarfile.open(folder / 'tar.pth', 'w') as archive:
        info = tarfile.TarInfo('x')
        archive.addfile(info, io.BytesIO())
    content = bytearray((folder / 'tar.pth').read_bytes())
    content[: len(reading.MAGIC) + 2] = b'\x80\x02' + reading.MAGIC
    content[148:156] = b'%06o\0 ' % (sum(content[:148]) + 8 * 32 + sum(content[156:512]))
    (folder / 'tar with a name.pth').write_bytes(content)
    deep = b'{"a":' * 100_000
    (folder / 'deep.safetensors').write_bytes(struct.pack('<Q', len(deep)) + deep)
    (folder / 'long.safetensors').write_bytes(struct.pack('<Q', 1 << 62) + b'{"a": 1}')
    huge = json.dumps({'a': dict(dtype='F32', shape=[2**31], data_offsets=[0, 2**33])}).encode()
    (folder / 'huge.safetensors').write_bytes(struct.pack('<Q', len(huge)) + huge)


READ = """
import json, resource, sys, time
from pathlib import Path
from mmscale.checkpoints import reading
from mmscale.errors import UserError
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
results, start = {}, peak()
for path in sorted(Path(sys.argv[1]).iterdir()):
    began = time.perf_counter()
    try:
        said = 'read: ' + type(reading.read_file(path)).__name__
    except UserError as error:
        said = f'refused: {str(error)[-400:]}'
    except BaseException as error:
        said = f'{type(error).__name__}'
    results[path.name] = (said, time.perf_counter() - began)
print(json.dumps([results, peak() - start]))
"""


def test_small_files_do_no_harm(tmp_path, fresh_python):
    folder = tmp_path / 'files'
    folder.mkdir()
    hostile(folder)
    results, memory = json.loads(fresh_python(READ, folder).splitlines()[-1])
    wrong = {name: said for name, (said, _) in results.items() if not said.startswith('refused')}
    assert wrong == {}
    slow = {name: seconds for name, (_, seconds) in results.items() if seconds > MOST}
    assert slow == {}
    assert memory < MEMORY
    print(f'{len(results)} files, {max(s for _, s in results.values()):.2f} s, {memory >> 20} MB')


def test_attributes_of_parameters_are_left_where_they_are(tmp_path):
    path = tmp_path / 'weights.pth'
    for name in ('note', 'detach', 'shape', 'copy_', '__class__', 'data', '_backward_hooks', 'cpu'):
        parameter = torch.nn.Parameter(torch.ones(2))
        parameter.__dict__[name] = 'x'
        torch.save({'a': parameter}, path)
        read = reading.read_file(path)['a']
        assert type(read) is torch.nn.Parameter
        assert vars(read) == {}
        assert torch.equal(read.detach(), torch.ones(2))


def test_what_torch_saves_is_read_as_it_was(tmp_path):
    base = torch.arange(24.0).reshape(4, 6)
    content = {
        'transposed': base.t(),
        'part': base[1:3, ::2],
        'scalar': torch.tensor(3),
        'empty': torch.empty(0, 5),
        'half': base.half(),
        'brain': base.bfloat16(),
        'switch': base > 3,
        'complex': torch.complex(base, base),
        'parameter': torch.nn.Parameter(base.clone()),
        'shape': base.shape,
        'device': torch.device('cpu'),
        'format': torch.float16,
        'array': bytearray(b'abc'),
    }
    for new in (True, False):
        path = tmp_path / f'{new}.pth'
        if new and hasattr(torch, 'uint16'):
            content['wide'] = torch.arange(4).to(torch.uint16)
        else:
            content.pop('wide', None)
        torch.save(content, path, _use_new_zipfile_serialization=new)
        read = reading.read_file(path)
        assert read.keys() == content.keys()
        for key, value in content.items():
            same = torch.equal if isinstance(value, torch.Tensor) else type(value).__eq__
            assert same(read[key], value), key
            if isinstance(value, torch.Tensor):
                assert read[key].stride() == value.stride()
                assert read[key].requires_grad == value.requires_grad


def outcome(path):
    """'read' or 'refused'; anything else that happens is the test's failure."""
    try:
        checkpoints.read_weights(path)
    except UserError:
        return 'refused'
    return 'read'


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=30,
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(content=PLAIN)
def test_plain_content_never_ends_in_anything_but_an_answer(content, tmp_path):
    path = tmp_path / 'plain.pth'
    torch.save({'state_dict': {'a': torch.zeros(1)}, 'extra': content}, path)
    assert outcome(path) == 'read'


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(attack=st.binary(max_size=80))
def test_free_pickles_never_end_in_anything_but_an_answer(attack, tmp_path):
    outcome(with_pickle(tmp_path / 'free.pth', b'\x80\x02' + attack))


def mutated(content, rng):
    """One to eight changes: bytes, runs of them, cuts, and repetitions."""
    content = bytearray(content)
    for _ in range(rng.randint(1, 8)):
        at = rng.randrange(len(content))
        kind = rng.randrange(5)
        if kind == 0:
            content[at] = rng.randrange(256)
        elif kind == 1:
            content[at : at + 8] = rng.randbytes(8)
        elif kind == 2:
            content[at : at + rng.randint(1, 64)] = b''
        elif kind == 3:
            content[at:at] = content[at : at + rng.randint(1, 64)]
        else:
            content[at : at + 4] = rng.choice([b'\xff' * 4, bytes(4), b'\x7f\xff\xff\xff', b'(}]R'])
        if not content:
            break
    return bytes(content)


def originals(folder):
    """A small file of every format; in the archive the pickle is large beside the rest."""
    from collections import OrderedDict

    from mmengine.logging import HistoryBuffer
    from safetensors.torch import save_file

    history = HistoryBuffer()
    history.update(1.0)
    content = {
        'state_dict': OrderedDict(a=torch.ones(3), b=torch.nn.Parameter(torch.ones(2, 2))),
        'meta': {'epoch': 3, 'seed': 1, 'bytes': b'x\xff'},
        'message_hub': {'log_scalars': {'loss': history}},
    }
    torch.save(content, folder / 'zip.pth')
    torch.save(content, folder / 'legacy.pth', _use_new_zipfile_serialization=False)
    save_file({'a': torch.ones(3)}, folder / 'a.safetensors', {'resolutions': '[224]'})
    return [path.read_bytes() for path in sorted(folder.iterdir())]


@pytest.mark.parametrize(
    'count', [200, pytest.param(10_000, marks=pytest.mark.slow)], ids=['few', 'many']
)
def test_mutated_files_are_read_or_refused(count, tmp_path):
    (tmp_path / 'originals').mkdir()
    path, rng, longest = tmp_path / 'mutated.pth', random.Random(0), 0.0
    found = {}
    for content in originals(tmp_path / 'originals'):
        for _ in range(count):
            path.write_bytes(mutated(content, rng))
            start = time.perf_counter()
            said = outcome(path)
            longest = max(longest, time.perf_counter() - start)
            found[said] = found.get(said, 0) + 1
    print(found, f'longest {longest:.2f} s')
    assert longest < MOST
    assert set(found) <= {'read', 'refused'}
