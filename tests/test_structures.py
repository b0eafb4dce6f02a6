"""Neuron structures: the published ones are the paper's, and whatever is wrong is said."""

import json
from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmscale import structures
from mmscale.structures import (
    STAGE_SIDES,
    Structure,
    load_structure,
    names,
    seed,
    stage_neurons,
    uniform,
)

# Name, depth, neurons per block of stage 4, and share of neurons at scales 1, 2, 4, 7.
PUBLISHED = [
    ('scalenet50', 50, 697, (0.424, 0.420, 0.141, 0.015)),
    ('scalenet101', 101, 682, (0.513, 0.308, 0.147, 0.033)),
    ('scalenet152', 152, 715, (0.491, 0.319, 0.142, 0.048)),
    ('scalenet50_light', 50, 512, (0.329, 0.206, 0.259, 0.206)),
]
DEPTHS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
ROW = [4, 3, 2, 1]
ROWS = [ROW] * 4
DEPTH, SCALES = (2, 1, 1, 1), (1, 2, 4)
FILE = dict(name='mine', depth=[1, 1, 1, 1], scales=[1, 2, 4, 7], rows=ROWS, source='a test')


def save(folder, **changes):
    content = {k: v for k, v in {**FILE, **changes}.items() if v is not None}
    path = folder / 'structure.json'
    path.write_text(json.dumps(content))
    return path


def test_names():
    assert {row[0] for row in PUBLISHED} <= set(names())
    assert {row[0] for row in PUBLISHED} == set(structures.PUBLISHED)


@pytest.mark.parametrize(('name', 'depth', 'budget', 'shares'), PUBLISHED)
def test_published(name, depth, budget, shares):
    structure = load_structure(name)
    assert structure.name == name
    assert '1904.09460' in structure.source
    assert structure.scales == (1, 2, 4, 7)
    assert structure.depths == DEPTHS[depth]
    for stage, rows in enumerate(structure.stages, 1):
        assert {sum(row) for row in rows} == {ceil(budget / 2 ** (4 - stage))}
    columns = zip(*(row for rows in structure.stages for row in rows), strict=True)
    counts = [sum(column) for column in columns]
    assert [count / sum(counts) for count in counts] == pytest.approx(shares, abs=6e-4)


@pytest.mark.parametrize('depth', [None, 50, 101, 152])
def test_default_is_published(depth):
    assert load_structure(None, depth) == load_structure(f'scalenet{depth or 50}')


@pytest.mark.parametrize('kind', [str, lambda path: path], ids=['str', 'Path'])
def test_path_of_a_file(tmp_path, kind):
    structure = load_structure(kind(save(tmp_path)))
    assert structure == ('mine', (1, 2, 4, 7), ((tuple(ROW),),) * 4, 'a test')
    assert load_structure(kind(save(tmp_path)), (1, 1, 1, 1)) == structure


def test_file_with_scales_of_its_own(tmp_path):
    structure = load_structure(save(tmp_path, scales=[1, 3], rows=[[5, 6]] * 4))
    assert structure.scales == (1, 3)
    assert structure.stages == (((5, 6),),) * 4


def test_rows():
    assert load_structure(ROWS, (1, 1, 1, 1)).stages == ((tuple(ROW),),) * 4
    assert load_structure([ROW] * 16).depths == DEPTHS[50]
    assert load_structure([ROW] * 33, 101).depths == DEPTHS[101]


def test_authors_rows():
    rows = [[*ROW, side] for side in STAGE_SIDES]
    assert load_structure(rows, (1, 1, 1, 1)) == load_structure(ROWS, (1, 1, 1, 1))


def rows_with(row):
    return [ROW, ROW, row, ROW]


@pytest.mark.parametrize(
    ('structure', 'depth', 'words'),
    [
        ('scalenet18', None, ["'scalenet18'", "'scalenet50_light'"]),
        ('no/such/file.json', None, ['no/such/file.json', 'cannot be read']),
        (None, 18, ['18', '50', '101', '152']),
        (None, '50', ["'50'", '101']),
        ('scalenet50', 101, ['scalenet50', 'depth=101', '50']),
        ('scalenet101', (3, 4, 6, 3), ['scalenet101', '(3, 4, 6, 3)']),
        ('scalenet50', 51, ['51', '101']),
        (ROWS, None, ['expected 16 rows', 'found 4']),
        (ROWS, 101, ['expected 33 rows', 'found 4']),
        (ROWS, (1, 1, 1), ['(1, 1, 1)', '4 stages']),
        (ROWS, (1, 1, 2, 0), ['(1, 1, 2, 0)']),
        (ROWS, (1, 1, 1, True), ['True']),
        (7, (1, 1, 1, 1), ['expected 4 rows', '7']),
        ({}, (1, 1, 1, 1), ['lacks', "'rows'"]),
        ({**FILE, 'scales': [2, 1]}, None, ['mine', '[2, 1]', 'ascending']),
        ({**FILE, 'color': 1}, None, ["['color']"]),
        (rows_with([4, 3, 2]), (1, 1, 1, 1), ['row 2', '[4, 3, 2]', '(1, 2, 4, 7)']),
        (rows_with([4, 3, 2, 1, 14, 0]), (1, 1, 1, 1), ['row 2', '6 counts']),
        (rows_with([4, 3, 2, 1, 28]), (1, 1, 1, 1), ['row 2', '28', '14']),
        (rows_with([4, -3, 2, 1]), (1, 1, 1, 1), ['row 2', '-3', '0 or more']),
        (rows_with([4, 3.0, 2, 1]), (1, 1, 1, 1), ['row 2', '3.0', 'integers']),
        (rows_with([4, True, 2, 1]), (1, 1, 1, 1), ['row 2', 'True', 'integers']),
        (rows_with('4321'), (1, 1, 1, 1), ['row 2', "'4321'"]),
        (rows_with(None), (1, 1, 1, 1), ['row 2', 'None']),
        (rows_with([0, 0, 0, 0]), (1, 1, 1, 1), ['row 2', '[0, 0, 0, 0]', '1']),
    ],
)
def test_wrong_structures(structure, depth, words):
    with pytest.raises(ValueError) as error:
        load_structure(structure, depth)
    assert all(word in str(error.value) for word in words), error.value


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        *[({key: None}, [repr(key), 'structure.json', 'lacks']) for key in FILE],
        (dict(depth=18), ['mine', '18', '101']),
        (dict(depth='50'), ['mine', "'50'"]),
        (dict(depth=50), ['mine', 'expected 16 rows', 'found 4']),
        (dict(scales=[2, 1, 4, 7]), ['mine', '[2, 1, 4, 7]', 'ascending']),
        (dict(scales=[1, 1, 4, 7]), ['mine', '[1, 1, 4, 7]']),
        (dict(scales=[0, 2, 4, 7]), ['mine', '[0, 2, 4, 7]', 'positive']),
        (dict(scales=[]), ['mine', '[]']),
        (dict(scales='1247'), ['mine', "'1247'"]),
        (dict(scales=[1, 2]), ['mine', 'row 0', '(1, 2)']),
        (dict(rows='many'), ['mine', "'many'"]),
        (dict(name=5), ['structure.json', 'name 5']),
        (dict(source=[]), ['structure.json', 'source []']),
        (dict(rwos=[]), ['structure.json', "['rwos']"]),
    ],
    ids=str,
)
def test_wrong_files(tmp_path, changes, words):
    with pytest.raises(ValueError) as error:
        load_structure(save(tmp_path, **changes))
    assert all(word in str(error.value) for word in words), error.value


@pytest.mark.parametrize(
    ('content', 'words'),
    [
        (b'', ['JSON']),
        (b'[[62, 9, 5', ['JSON']),
        (b'\xff\xfe', ['JSON']),
        (b'[[62, 9, 5, 12]]', ['lacks', "'rows'"]),
        (b'null', ['lacks']),
        (b'[' * 100_000, ['JSON']),
    ],
    ids=lambda value: str(value[:20]),
)
def test_files_that_are_no_structure(tmp_path, content, words):
    path = tmp_path / 'broken.json'
    path.write_bytes(content)
    with pytest.raises(ValueError) as error:
        load_structure(path)
    assert all(word in str(error.value) for word in ['broken.json', *words]), error.value


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
COUNTS = st.lists(st.integers(-1, 60) | JSON, min_size=3, max_size=6)
# Mostly right, so that right ones are met too.
LIKELY = st.lists(st.integers(0, 9), min_size=4, max_size=4)
ANY_ROWS = st.lists(LIKELY, min_size=4, max_size=4) | st.lists(LIKELY | COUNTS, max_size=6) | JSON
SHORT = settings(max_examples=100, deadline=None)


def is_valid(structure):
    rows = [row for stage in structure.stages for row in stage]
    counted = all(type(n) is int and n >= 0 for row in rows for n in row)
    full = all(len(row) == len(structure.scales) and sum(row) > 0 for row in rows)
    return isinstance(structure, Structure) and len(structure.stages) == 4 and counted and full


@SHORT
@given(rows=ANY_ROWS)
def test_any_rows_are_loaded_or_refused(rows):
    if rows is None or isinstance(rows, str):
        return  # None and names mean something else
    try:
        structure = load_structure(rows, (1, 1, 1, 1))
    except ValueError as error:
        assert 'row' in str(error)
    else:
        assert is_valid(structure)


@SHORT
@given(content=JSON | st.fixed_dictionaries({key: JSON | st.just(FILE[key]) for key in FILE}))
def test_any_file_is_loaded_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / 'any.json'
    path.write_text(json.dumps(content))
    try:
        structure = load_structure(path)
    except ValueError as error:
        assert str(error)
    else:
        assert is_valid(structure)


def test_seed_and_uniform_structures():
    stages = load_structure(seed(10, DEPTH, SCALES)).stages
    assert stages == (((2, 2, 2),) * 2, ((3, 3, 3),), ((5, 5, 5),), ((10, 10, 10),))
    stages = load_structure(uniform((4, 5, 6, 7), DEPTH, SCALES)).stages
    assert stages == (((2, 1, 1),) * 2, ((2, 2, 1),), ((2, 2, 2),), ((3, 2, 2),))


def test_stage_neurons_by_hand():
    assert stage_neurons(697) == (88, 175, 349, 697)
    assert stage_neurons([1, 2, 3, 4]) == (1, 2, 3, 4)
    for wrong in (0, -1, 2.5, '8', [1, 2], [1, 2, 3, 0], [], True and [True]):
        with pytest.raises(ValueError, match='neurons'):
            stage_neurons(wrong)
