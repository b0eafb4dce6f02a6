"""Reading a checkpoint runs no code, changes no class and stays within its arrays."""

import io
import zipfile
from collections import Counter, OrderedDict

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer

from mmscale.checkpoints import reading
from mmscale.errors import UserError


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
