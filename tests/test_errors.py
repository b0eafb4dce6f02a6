"""Checks of arguments: what is accepted, and that what is refused is named."""

from math import inf, isfinite, nan

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mmscale.errors import (
    UserError,
    check_choice,
    check_number,
    check_positive,
    check_whole,
    first_line,
    is_number,
    is_whole,
    without_secrets,
)

NUMBERS = st.integers(-(10**6), 10**6) | st.floats()
ANYTHING = NUMBERS | st.booleans() | st.none() | st.text(max_size=3) | st.lists(NUMBERS, max_size=2)


def test_what_another_library_does_not_say_is_added():
    said = first_line(AttributeError("module 'pkgutil' has no attribute 'find_loader'"))
    assert said.endswith('(mmengine needs Python 3.13 or older)')
    assert first_line(OSError('disk full\nand more')) == 'OSError: disk full'


def awkward(test):
    """The values that are most easily taken for numbers."""
    for value in (nan, inf, -inf, True, False, '1', None, 0, 1, 0.0, 1.0, [1]):
        test = example(value)(test)
    return test


def is_finite(value):
    """Written apart from the package: a number, no switch, that is finite."""
    return type(value) in (int, float) and isfinite(value)


def agree(check, expected, name, value, *bounds):
    """A check accepts what is expected to be accepted, and refuses the rest by name and value."""
    if expected:
        assert check(name, value, *bounds) is None
    else:
        with pytest.raises(UserError) as error:
            check(name, value, *bounds)
        assert f'{name}={value!r} must be' in str(error.value)


@awkward
@given(ANYTHING)
def test_numbers_are_finite_and_no_switches(value):
    assert is_number(value) == is_finite(value)


@awkward
@given(ANYTHING)
def test_numbers_from_a_bound_on(value):
    agree(check_number, is_finite(value) and value >= 0, 'rate', value, 0)


@awkward
@given(ANYTHING)
def test_numbers_below_a_bound(value):
    agree(check_number, is_finite(value) and 0 <= value < 1, 'rate', value, 0, 1)


@awkward
@given(ANYTHING)
def test_positive_numbers(value):
    agree(check_positive, is_finite(value) and value > 0, 'factor', value)


@awkward
@given(ANYTHING)
def test_whole_numbers(value):
    assert is_whole(value) == (type(value) is int and value >= 1)
    agree(check_whole, is_whole(value), 'batch', value)
    agree(check_whole, type(value) is int and value >= 32, 'size', value, 32)


@awkward
@given(ANYTHING)
def test_choices(value):
    choices = ('a', 'b', None)
    if value in choices:
        check_choice('part', value, choices)
    else:
        with pytest.raises(UserError) as error:
            check_choice('part', value, choices)
        assert f'part={value!r}' in str(error.value)
        assert "'a', 'b', None" in str(error.value)


@pytest.mark.parametrize(('bounds', 'words'), [((0,), ['0']), ((0.5, 2), ['0.5', '2'])])
def test_bounds_are_in_the_message(bounds, words):
    with pytest.raises(UserError) as error:
        check_number('x', -1, *bounds)
    assert all(word in str(error.value) for word in words)


def test_bounds_of_whole_numbers_are_in_the_message():
    with pytest.raises(UserError, match='16'):
        check_whole('x', 15, 16)


@pytest.mark.parametrize(
    ('error', 'line'),
    [
        (OSError('disk full\nand more'), 'OSError: disk full'),
        (KeyError('a'), "KeyError: 'a'"),
        (RuntimeError(), 'RuntimeError:'),
    ],
)
def test_first_line_of_another_librarys_error(error, line):
    assert first_line(error) == line


def test_users_errors_are_value_errors():
    assert issubclass(UserError, ValueError)


@pytest.mark.parametrize('slashes', ['/', '//'])
def test_secrets_are_left_out(slashes):
    said = without_secrets(f'no http:{slashes}me:secret@host/a.pth?token=secret, and no b@c?d')
    assert said == f'no http:{slashes}host/a.pth and no b@c?d'


def test_no_message_steers_the_terminal():
    assert str(UserError('a.pth carries \x1b[31mos.system\n\tand \x9b')) == (
        'a.pth carries \\x1b[31mos.system\n\tand \\x9b'
    )
