"""The stand-in beside stored results of mmcv's compiled operators, where there are none."""

import numpy as np
import operator_cases
import pytest
from compiled import through

from mmscale.operators import extension

EXPECTED = np.load(operator_cases.FILE)


@pytest.fixture(scope='module')
def results():
    with through(extension):
        return operator_cases.results()


def test_every_case_is_stored(results):
    assert set(results) == set(EXPECTED)


@pytest.mark.parametrize('name', EXPECTED)
def test_case(results, name):
    result, expected = results[name], EXPECTED[name]
    assert result.dtype == expected.dtype
    rounded = any(word in name for word in ('gaussian', 'max', 'deform'))
    bound = 1e-5 * np.nanmax(np.abs(expected)) if rounded else 0  # NaN has to be NaN
    np.testing.assert_allclose(result, expected, rtol=0, atol=bound)
