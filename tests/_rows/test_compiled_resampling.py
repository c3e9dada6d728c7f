"""Parents by kernels are NumPy's, of equal noise: every row, every scheme."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from softargmax._rows import resampling as ways
from softargmax._rows.engine import use

ENGINES = ("numba",)
LAST = 1 - 2.0**-53
SCHEMES = ("multinomial", "stratified", "systematic", "residual", "ssp", "killing")
SHAPES = [(1, 1, 1), (3, 1, 7), (4, 2, 3), (50, 13, 4), (50, 5, 200), (2, 300, 300), (2, 5000, 10)]
SHAPES += [(3, 255, 40), (3, 256, 256), (3, 257, 1000), (3, 512, 511)]  # beside whole blocks


def parents(scheme, p, n, u, slack):
    """By one engine, of noise made of uniforms (rows, n + K)."""
    waits = np.maximum(-np.log1p(-u), 2.0**-64)
    match scheme:
        case "multinomial":
            return ways.multinomial(p, waits[:, : n + 1].copy())
        case "stratified":
            return ways.stratified(p, u[:, :n].copy())
        case "systematic":
            return ways.systematic(p, n, u[:, :1].copy(), slack)
        case "residual":
            return ways.residual(p, n, lambda m: waits[:, : m + 1].copy(), slack)
        case "ssp":
            return ways.ssp(p, n, u[:, : p.shape[1] - 1].copy(), slack)
    return ways.killing(p, u[:, : p.shape[1]].copy(), lambda m: waits[:, : m + 1].copy())


def assert_equal(scheme, p, n, u, slack=2.0**-49):
    n = p.shape[1] if scheme == "killing" else n
    ours = parents(scheme, p, n, u, slack)
    assert ours.shape == (len(p), n)
    assert ours.dtype == np.int64
    use("numpy")
    try:
        np.testing.assert_array_equal(ours, parents(scheme, p, n, u, slack))
    finally:
        use("numba")


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(("rows", "k", "n"), [*SHAPES, (1, 70_000, 100_000), (1, 100_000, 30_000)])
@pytest.mark.parametrize("luck", [None, 0.0, LAST])
def test_parents_are_equal(scheme, rows, k, n, luck):
    rng = np.random.default_rng([rows, k, n])
    p = rng.random((rows, k)) ** 4 * (rng.random((rows, k)) < 0.7)
    p[:, k // 2] += 0.01
    p /= p.sum(axis=-1, keepdims=True)
    u = rng.random((rows, max(n, k) + k)) if luck is None else np.full((rows, max(n, k) + k), luck)
    assert_equal(scheme, p, n, u)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_parents_of_nan_are_categories(scheme):
    """Nothing is written elsewhere, which would end the process."""
    found = parents(scheme, np.full((2, 300), np.nan), 200, np.full((2, 700), 0.3), 1e-15)
    assert ((found >= 0) & (found < 300)).all()


@given(
    hnp.arrays(np.int64, (3, 6), elements=st.integers(0, 4)).filter(lambda w: w.any(1).all()),
    st.integers(1, 12),
    st.integers(0, 2**32 - 1),
)
def test_remainders_that_add_up_to_whole_numbers(weights, n, seed):
    p = weights / weights.sum(axis=-1, keepdims=True)
    u = np.random.default_rng(seed).random((3, max(n, 6) + 6))
    for scheme in SCHEMES:
        assert_equal(scheme, p, n, u)


@pytest.mark.parametrize("scheme", ["systematic", "residual", "ssp"])
@pytest.mark.parametrize("part", [0.0, 0.3, 0.999, LAST])
def test_rounding_that_loses_one_and_precision_that_does_not_suffice(scheme, part):
    thin = np.full((1, 1000), 1 + 1e-6)
    thin[0, :500] -= 2e-6
    assert_equal(scheme, thin / thin.sum(), 10**6, np.full((1, 10**6 + 1000), part), 1e-5)
    for n in range(2, 60):  # tenths, thirds, … whose sums are no whole numbers
        p = np.full((2, n), 1 / n)
        p[1, 0], p[1, 1] = 1.9 / n, 0.1 / n
        for m in (n - 1, n, n + 1):
            assert_equal(scheme, p, m, np.full((2, 2 * n + 2), part), 0.0)
