"""Alias tables by kernels are NumPy's to the bit, and so are the draws from them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from softargmax._rows.alias import AliasTable, draw_by_alias
from softargmax._rows.engine import use

ENGINES = ("numba",)

WEIGHT = st.one_of(st.just(0.0), st.floats(1e-300, 1e300), st.integers(1, 9).map(float))
WEIGHTS = hnp.arrays(np.float64, st.integers(1, 40), elements=WEIGHT).filter(lambda w: w.any())
SHARP = {10: 1, 1000: 3, 100_000: 9}


def by_numpy(function, *args):
    use("numpy")
    try:
        return function(*args)
    finally:
        use("numba")


def assert_same(ours, numpys):
    for one, other in zip(ours, numpys, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


@given(WEIGHTS)
def test_tables_are_equal(w):
    w = w / w.max()
    assert_same(AliasTable.build(w), by_numpy(AliasTable.build, w))


@pytest.mark.parametrize("k", SHARP)
def test_long_tables_and_their_draws_are_equal(k):
    rng = np.random.default_rng(k)
    w = rng.random(k) ** SHARP[k] * (rng.random(k) < 0.9)
    table = AliasTable.build(w)
    assert_same(table, by_numpy(AliasTable.build, w))
    u = np.concatenate([[0, 1 - 2.0**-53], rng.random(100_000), np.arange(k) / k])
    assert_same([table.take(u)], [by_numpy(table.take, u)])


@pytest.mark.parametrize("w", [[], [0.0, 0.0], [np.nan, 1.0], [np.inf, 1.0], [1.0, 1.0], [-1.0, 3]])
def test_any_weights_stay_within_bounds(w):
    table = AliasTable.build(np.array(w))
    assert ((table.alias >= 0) & (table.alias < len(w))).all()


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("rows", [1, 3])
def test_draws_of_equal_seeds_are_equal(rows, workers):
    tables = [AliasTable.build(w) for w in np.random.default_rng(0).random((rows, 50))]
    ours = draw_by_alias(np.random.default_rng(1), tables, 70_000, workers)
    numpys = by_numpy(draw_by_alias, np.random.default_rng(1), tables, 70_000, workers)
    assert_same([ours], [numpys])


@pytest.mark.parametrize("u", [1.0, -0.5, np.nan, np.inf, -1e300])
def test_what_is_no_uniform_is_refused(u):
    for table in (AliasTable.build(np.array([1.0, 2.0])), AliasTable.build(np.empty(0))):
        with pytest.raises(IndexError):
            table.take(np.array([0.5, u]))


def test_uniforms_of_any_shape_and_dtype():
    table = AliasTable.build(np.array([1.0, 0.0, 3.0]))
    u = np.random.default_rng(0).random((5, 4))
    for some in (u, u.T, u[::2], u[0, 0], np.array(0.3), u.astype(np.float32), u[:0]):
        assert_same([table.take(some)], [by_numpy(table.take, some)])
