"""Cumulative distributions, inverted with chosen uniforms."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from softargmax import draws
from softargmax._rows.inversion import invert_columns, last_positive, search

BELOW_ONE = np.nextafter(1.0, 0.0)


def invert(weights, u):
    w = np.asarray(weights)[None]
    return search(draws.cumulative(w), last_positive(w), np.asarray(u), 0)


@given(hnp.arrays(np.float64, (3, 5), elements=st.integers(0, 3).map(float)), st.floats(0, 1))
def test_rows_are_inverted_as_they_are_alone(weights, u):
    weights[:, 2] += 1
    levels = np.array([[u, 0.0, 1.0], [BELOW_ONE, u, u], [0.25, 0.5, 0.75]])
    together = search(draws.cumulative(weights), last_positive(weights), levels, np.arange(3))
    for row in range(3):
        np.testing.assert_array_equal(together[:, row], invert(weights[row], levels[:, row]))


def test_sums_of_float32_weights_are_float64():
    w = np.ones(2**24 + 3, np.float32)  # a float32 sum of ones stops at 2²⁴
    cdf = draws.cumulative(w[None])
    assert cdf[0, -2] < 1
    assert invert(w, [BELOW_ONE])[0] == 2**24 + 2
    assert draws.AliasTable.build(w).take(np.array([BELOW_ONE]))[0] == 2**24 + 2


@given(
    hnp.arrays(np.float64, (6, 4), elements=st.integers(0, 3).map(float)), st.floats(0, BELOW_ONE)
)
def test_columns_are_inverted_as_rows_are(weights, u):
    weights[:, 2] += 1
    levels = np.array([0.0, BELOW_ONE, 0.25, u, u, 0.5])
    x = invert_columns(weights.T.copy(), levels)
    assert (weights[np.arange(6), x] > 0).all()
    rows = search(draws.cumulative(weights), last_positive(weights), levels, np.arange(6))
    # Levels that meet a sum to the last digit may fall on either side of it.
    met = np.abs(weights.cumsum(1) / weights.sum(1, keepdims=True) - levels[:, None]) < 1e-15
    np.testing.assert_array_equal(x[~met.any(1)], rows[~met.any(1)])


def test_columns_never_give_a_subnormal_weight():
    weights = np.array([[1e-45, 1.0], [1.0, 0.0], [0.0, 1e-45]], np.float32)
    for u in (0.0, 0.5, BELOW_ONE):
        assert invert_columns(weights, np.array([u, u])).tolist() == [1, 0]
