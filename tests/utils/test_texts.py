"""Text and JSON of other people's programs."""

import codecs

import pytest

from mmscale.errors import UserError
from mmscale.reports.coco import read_found, read_truth
from mmscale.reports.curves import scalar_names
from mmscale.reports.tables import compare_tables
from mmscale.utils.texts import parse_json, read_text

TEXT = 'größe 中\n'


@pytest.mark.parametrize('mark', [b'', codecs.BOM_UTF8])
def test_utf_8_with_and_without_a_mark(mark, tmp_path):
    path = tmp_path / 'a.txt'
    path.write_bytes(mark + TEXT.encode())
    assert read_text(path) == TEXT


@pytest.mark.parametrize('encoding', ['utf-16-le', 'utf-16-be'])
def test_utf_16_with_its_mark(encoding, tmp_path):
    path = tmp_path / 'a.txt'
    path.write_bytes(('\ufeff' + TEXT).encode(encoding))
    assert read_text(path) == TEXT


def test_other_encodings_are_told_with_the_line(tmp_path):
    path = tmp_path / 'a.txt'
    path.write_bytes(b'one\n' + TEXT.encode('gb18030', 'replace'))
    with pytest.raises(UserError, match=r"a\.txt' is not UTF-8 in line 2: save it as UTF-8"):
        read_text(path)


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(UserError, match='cannot be read: Is a directory'):
        read_text(tmp_path)


def test_json_nested_too_deep_is_no_json():
    assert parse_json(b'\xef\xbb\xbf{"a": [1]}') == {'a': [1]}
    for text in ('[' * 100_000, b'{"a":' * 100_000):
        with pytest.raises(ValueError, match='nested too deep'):
            parse_json(text)


def test_reports_refuse_what_is_nested_too_deep(tmp_path):
    path = tmp_path / 'run/vis_data/scalars.json'
    path.parent.mkdir(parents=True)
    path.write_text('[' * 100_000 + '\n{}')
    for read in (
        read_truth,
        lambda path: read_found(None, path),
        lambda path: compare_tables({'a': [str(path)]}, 'loss', tmp_path / 'a.png'),
        lambda _: scalar_names(tmp_path),
    ):
        with pytest.raises(UserError, match=r"scalars\.json'"):
            read(path)
