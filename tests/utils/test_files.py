"""Files are written whole or not at all."""

import pytest

from mmscale.utils.files import WholeFileBackend, written_aside


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / 'file.pth'
    WholeFileBackend().put(b'old', path)

    def fail():
        with written_aside(path) as temporary:
            temporary.write_bytes(b'ne')
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_bytes() == b'old'
    WholeFileBackend().put(b'new', path)
    assert path.read_bytes() == b'new'
    assert [p.name for p in tmp_path.iterdir()] == ['file.pth']
