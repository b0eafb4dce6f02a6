"""Text files of data sets that were broken, or made to do harm: read, or refused in one line."""

import re
import time

import layouts
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmscale.beginning.layouts import read_folder
from mmscale.errors import UserError

FILES = {
    'yolo': ['data.yaml', 'labels/train/000001.txt', 'train.txt'],
    'voc': ['Annotations/train_000001.xml', 'ImageSets/Main/train.txt'],
    'coco': ['annotations/instances_train.json'],
}
CASES = [(layout, name) for layout, names in FILES.items() for name in names]
MOST = 10  # seconds, on a busy machine
ALIASES = [b'b0: &b0 [a, a]']  # nine to the ninth names in a few lines
for i in range(9):
    ALIASES.append(b'b%d: &b%d [%s]' % (i + 1, i + 1, b', '.join([b'*b%d' % i] * 9)))
DEEP = {
    'list': b'[' * 100_000,
    'closed list': b'names: ' + b'[' * 500 + b']' * 500,
    'objects': b'{"images":' * 100_000,
    'elements': b'<annotation>' + b'<object>' * 100_000,
    'long': b'a' * 100_000,
    'number': b'names: ' + b'1' * 100_000,
    'nothing': b'',
    'bytes': bytes(range(256)),
    'aliases': b'\n'.join([*ALIASES, b'names: *b9']),
}


@pytest.fixture(scope='module')
def sets(shapes, tmp_path_factory):
    folder = tmp_path_factory.mktemp('sets')
    made = {
        'yolo': layouts.yolo(shapes, folder / 'yolo'),
        'voc': layouts.voc(shapes, folder / 'voc'),
        'coco': layouts.coco(shapes, folder / 'coco'),
    }
    yaml = made['yolo'] / 'data.yaml'
    yaml.write_text(yaml.read_text().replace('images/train', 'train.txt'))
    pictures = sorted((made['yolo'] / 'images/train').iterdir())
    (made['yolo'] / 'train.txt').write_text(''.join(f'./images/train/{p.name}\n' for p in pictures))
    return made


def outcome(root, name, content, layout):
    """'read' or 'refused', within seconds; anything else is the test's failure."""
    path = root / name
    before = path.read_bytes()
    path.write_bytes(content)
    start = time.perf_counter()
    try:
        found = read_folder(root, layout)
        said = 'read'
        assert sum(map(len, found.notes)) < 5000
    except UserError as error:
        assert re.fullmatch('[^\n]{1,1500}', str(error))
        said = 'refused'
    finally:
        path.write_bytes(before)
    assert time.perf_counter() - start < MOST
    return said


@pytest.mark.parametrize(('layout', 'name'), CASES)
def test_what_is_right_is_read(sets, layout, name):
    root = sets[layout]
    assert outcome(root, name, (root / name).read_bytes(), None) == 'read'


@pytest.mark.parametrize('content', DEEP.values(), ids=DEEP)
@pytest.mark.parametrize(('layout', 'name'), CASES)
def test_what_is_absurd_ends_in_one_line(sets, layout, name, content):
    for given_layout in (None, layout):
        outcome(sets[layout], name, content, given_layout)


VALUES = st.sampled_from(
    ['', '[]', '{}', 'null', '-1', '1e400', 'nan', '2001-99-99', 'a' * 5000, '../' * 50, 'é\u2028',
     '\0', '!!python/object:os.system', '*a', '&a', '[1, 2', '{a: b}', '"', '<!--', '&lol;']
)  # fmt: skip


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
@pytest.mark.parametrize(('layout', 'name'), CASES)
def test_anything_anywhere_is_read_or_refused(sets, layout, name, data):
    content = (sets[layout] / name).read_bytes()
    if data.draw(st.booleans()):
        words = list(re.finditer(rb'[^\s<>\[\]{}:,"]+', content))
        word = data.draw(st.sampled_from(words))
        value = data.draw(VALUES | st.text(max_size=9)).encode('utf-8', 'surrogatepass')
        content = content[: word.start()] + value + content[word.end() :]
    else:
        place = data.draw(st.integers(0, len(content)))
        content = content[:place] + data.draw(st.binary(max_size=9)) + content[place + 1 :]
    outcome(sets[layout], name, content, layout)


@pytest.mark.parametrize('encoding', ['gb2312', 'shift_jis', 'utf-16', 'utf-8'])
def test_files_in_other_encodings_that_say_so(sets, encoding):
    path = sets['voc'] / 'Annotations/train_000001.xml'
    before = path.read_bytes()
    text = before.decode()
    name = re.search('<name>(.*?)</name>', text)[1]
    declared = f'<?xml version="1.0" encoding="{encoding}"?>'
    path.write_bytes((declared + text.replace(f'<name>{name}<', '<name>中<')).encode(encoding))
    try:
        found = read_folder(sets['voc'])
    finally:
        path.write_bytes(before)
    assert '中' in found.classes


@pytest.mark.parametrize('encoding', ['utf-8-sig', 'utf-16'])
def test_text_as_windows_editors_write_it(sets, encoding):
    root = sets['yolo']
    for name in FILES['yolo']:
        assert outcome(root, name, (root / name).read_text().encode(encoding), None) == 'read'


def test_text_in_another_encoding_says_the_line(sets):
    path = sets['yolo'] / 'data.yaml'
    before = path.read_bytes()
    path.write_bytes('# a\n# 中\n'.encode('gb18030') + before)
    try:
        with pytest.raises(UserError, match='is not UTF-8 in line 2: save it as UTF-8'):
            read_folder(sets['yolo'])
    finally:
        path.write_bytes(before)


def test_folders_above_the_set_are_no_part_of_it(sets):
    path = sets['yolo'] / 'data.yaml'
    before = path.read_text()
    path.write_text(before.replace('images/val', '../' * 50))
    try:
        found = read_folder(sets['yolo'])
    finally:
        path.write_text(before)
    assert len(found.parts['val'].content['images']) == 6
    assert "has no pictures, those of 'images/val' are taken" in found.notes[0]
