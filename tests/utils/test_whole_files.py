"""Files that are there whole or not at all."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from commands import ROOT

from mmscale.errors import UserError
from mmscale.utils.files import REMEDIES, WholeFileBackend, check_out, sweep, written_aside
from mmscale.utils.folders import folder_aside, replace_folder
from mmscale.utils.locks import claimed


@pytest.mark.parametrize('number', REMEDIES)
def test_what_the_system_says_is_one_line_with_a_remedy(number, tmp_path, monkeypatch):
    path = tmp_path / 'file.pth'
    path.write_bytes(b'old')

    def fail(*arguments):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, 'fsync', fail)
    with pytest.raises(UserError) as error:
        WholeFileBackend().put(b'new', path)
    assert str(error.value) == (
        f'{str(path)!r} cannot be written: {os.strerror(number)}; {REMEDIES[number]}'
    )
    assert path.read_bytes() == b'old'
    assert os.listdir(tmp_path) == ['file.pth']


@pytest.mark.parametrize('name', ['x' * 300, 'x' * 300 + '.pth', 'no/x.pth'])
def test_paths_that_cannot_be_are_one_line(name, tmp_path):
    with pytest.raises(UserError, match='cannot be written|is missing'):
        check_out(tmp_path / name)
    with pytest.raises(UserError, match='cannot be written'), written_aside(tmp_path / name):
        pass


def test_the_longest_name_can_be_written(tmp_path):
    path = tmp_path / ('x' * 251 + '.pth')
    WholeFileBackend().put(b'new', path)
    assert os.listdir(tmp_path) == [path.name]


KILLED = """
import os, signal, sys
from mmscale.utils.files import written_aside
with written_aside(sys.argv[1]) as temporary:
    if sys.argv[2] == 'twice':
        temporary = written_aside(temporary).__enter__()
    temporary.write_bytes(b'half')
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize('times', ['once', 'twice'])
def test_what_a_killed_tool_left_goes_with_the_next(tmp_path, times):
    path = tmp_path / 'file.json'
    subprocess.run([sys.executable, '-W', 'ignore', '-c', KILLED, str(path), times], cwd=ROOT)
    assert len(os.listdir(tmp_path)) == 1
    with written_aside(tmp_path / 'other.json') as temporary:
        temporary.write_text('{}')
    assert len(os.listdir(tmp_path)) == 2  # it is not of that file
    with written_aside(path) as temporary:
        temporary.write_text('{}')
    assert sorted(os.listdir(tmp_path)) == ['file.json', 'other.json']


def test_what_is_written_aside_is_not_written_aside_again(tmp_path):
    path = tmp_path / 'file.json'
    with written_aside(path) as first:
        with written_aside(first) as second:
            second.write_text('1')
        assert os.listdir(tmp_path) == [first.name]
        assert not path.exists()
    assert path.read_text() == '1'
    assert os.listdir(tmp_path) == ['file.json']


def test_what_is_being_written_stays(tmp_path):
    path = tmp_path / 'file.json'
    with written_aside(path) as first:
        first.write_text('1')
        with written_aside(path) as second:
            second.write_text('2')
        assert sweep(tmp_path) == []
        assert first.read_text() == '1'
    assert path.read_text() == '1'
    with folder_aside(tmp_path / 'set') as folder:
        (folder / 'x').write_text('x')
        assert sweep(tmp_path) == []
        assert (folder / 'x').is_file()
    assert os.listdir(tmp_path) == ['file.json']


@pytest.mark.parametrize('error', [OSError(errno.EACCES, 'no'), KeyboardInterrupt()])
def test_a_folder_that_cannot_be_replaced_stays(error, tmp_path, monkeypatch):
    out = tmp_path / 'set'
    out.mkdir()
    (out / 'x').write_text('old')
    rename = Path.rename

    def fail(path, target):
        if target == out and not path.name.endswith('-old'):
            raise error
        return rename(path, target)

    monkeypatch.setattr(Path, 'rename', fail)
    new = tmp_path / 'set.0123abcd.tmp'
    new.mkdir()
    with pytest.raises(type(error)):
        replace_folder(out, new)
    new.rmdir()
    assert os.listdir(tmp_path) == ['set']
    assert (out / 'x').read_text() == 'old'


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / 'mine').mkdir()
    (tmp_path / 'set.0123abcd.tmp').symlink_to('mine')
    assert sweep(tmp_path) == []
    assert (tmp_path / 'mine').is_dir()


def test_a_file_that_is_gone_is_nobodys(tmp_path):
    with claimed(tmp_path / 'gone') as free:
        assert not free


def test_other_errors_pass(tmp_path):
    with pytest.raises(KeyError), written_aside(tmp_path / 'x'):
        raise KeyError(errno.ENOSPC)
    assert os.listdir(tmp_path) == []
