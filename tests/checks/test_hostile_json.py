"""Neuron structures and annotation files that were made to do harm end in one UserError."""

import json
import random
import re
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmscale.checks.annotations import Use, check_content, check_entries
from mmscale.checks.findings import settle
from mmscale.checks.reading import read_annotations
from mmscale.errors import UserError, is_number
from mmscale.structures import load_structure, seed

MOST = 10  # seconds, on a busy machine
DEEP = {
    'list': '[' * 1_000_000,
    'closed list': '[' * 500_000 + ']' * 500_000,
    'objects': '{"a":' * 500_000,
    'nearly too deep': '[' * 900 + ']' * 900,
    'number': '1' * 1_000_000,
    'nothing': '',
    'bytes': '\0' * 100,
}
ABSURD = ['1' + '0' * 400, '-1' + '0' * 400, '1e999', 'NaN', '-Infinity', '1' + '0' * 30, 'true']
COCO = {
    'images': [{'id': 1, 'file_name': 'a.png', 'width': 64, 'height': 48}],
    'categories': [{'id': 1, 'name': 'a'}],
    'annotations': [
        {'id': 1, 'image_id': 1, 'category_id': 1, 'bbox': [1, 2, 30, 20], 'area': 600,
         'iscrowd': 0, 'segmentation': [[1, 2, 31, 2, 31, 22]]}
    ],
}  # fmt: skip
STRUCTURE = {**seed(64, depth=[1, 1, 1, 1]), 'name': 'a', 'source': 'b'}


def outcome(read, path):
    """'read' or 'refused', within seconds; anything else is the test's failure."""
    start = time.perf_counter()
    try:
        read(path)
        said = 'read'
    except UserError as error:
        assert len(str(error)) < 3000
        said = 'refused'
    assert time.perf_counter() - start < MOST
    return said


def annotations(path):
    content, finding = read_annotations(path, path.parent)
    settle([finding] if finding else [])
    for evaluated in (True, False):
        use = Use(path, evaluated=evaluated, masks=True, classes=('a',))
        settle(check_entries(content, use))
        settle(check_content(content, use))


KINDS = dict(annotations=(annotations, COCO), structure=(load_structure, STRUCTURE))


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def kind(request):
    return request.param


def test_what_is_right_is_read(kind, tmp_path):
    read, content = kind
    (tmp_path / 'a.json').write_text(json.dumps(content))
    assert outcome(read, tmp_path / 'a.json') == 'read'


@pytest.mark.parametrize('text', DEEP.values(), ids=DEEP)
def test_what_is_nested_too_deep_is_refused(kind, text, tmp_path):
    read, content = kind
    (tmp_path / 'a.json').write_text(text)
    assert outcome(read, tmp_path / 'a.json') == 'refused'
    for key in content:  # and below every key
        whole = json.dumps({**content, key: 'HERE'}).replace('"HERE"', text)
        (tmp_path / 'a.json').write_text(whole)
        assert outcome(read, tmp_path / 'a.json') == 'refused', key


@pytest.mark.parametrize('number', ABSURD)
def test_absurd_numbers_are_refused_or_harmless(kind, number, tmp_path):
    read, content = kind
    text = json.dumps(content)
    for place in re.finditer(r'(?<=[ \[])\d+', text):
        changed = text[: place.start()] + number + text[place.end() :]
        (tmp_path / 'a.json').write_text(changed)
        said = outcome(read, tmp_path / 'a.json')
        assert said == 'refused' or read is annotations  # segmentations are looked at elsewhere


def test_numbers_of_hundreds_of_digits_are_none():
    assert not is_number(10**400)
    assert is_number(10**300)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=20,
)


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(value=ANY, index=st.integers(0, 5))
def test_anything_anywhere_is_read_or_refused(kind, value, index, tmp_path):
    read, content = kind
    key = list(content)[index % len(content)]
    for changed in (value, {**content, key: value}, {**content, key: [value]}):
        (tmp_path / 'a.json').write_text(json.dumps(changed))
        outcome(read, tmp_path / 'a.json')


@pytest.mark.parametrize(
    'count', [300, pytest.param(10_000, marks=pytest.mark.slow)], ids=['few', 'many']
)
def test_mutations_are_read_or_refused(kind, count, tmp_path):
    read, content = kind
    rng, path, found = random.Random(0), tmp_path / 'a.json', dict(read=0, refused=0)
    words = re.findall(r'"[^"]*"|[\w.]+|[{}\[\],:]', json.dumps(content))
    for _ in range(count):
        changed = list(words)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(changed))
            changed[at] = rng.choice([rng.choice(words), '', '-1', '[[', *ABSURD])
        path.write_text(''.join(changed))
        found[outcome(read, path)] += 1
    print(found)
    assert sum(found.values()) == count
