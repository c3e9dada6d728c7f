"""A few draws from many categories, with chosen uniforms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from softargmax import draws
from softargmax._rows.blocks import BlockSums, Weights
from softargmax._rows.centre import CHUNK
from softargmax._rows.inversion import last_positive, search

ENGINES = ("numpy",)

BELOW_ONE = np.nextafter(1.0, 0.0)
WEIGHT = st.one_of(st.just(0.0), st.floats(1e-300, 1e300), st.integers(1, 9).map(float))
WEIGHTS = hnp.arrays(np.float64, st.integers(1, 40), elements=WEIGHT).filter(lambda w: w.any())


def invert(weights, u):
    w = np.asarray(weights)[None]
    return search(draws.cumulative(w), last_positive(w), np.asarray(u), 0)


def weights_of(weights):
    with np.errstate(divide="ignore"):
        z = np.log(weights)
    return Weights(z, np.zeros((len(z), 1), z.dtype), z.dtype.type(1))


@pytest.mark.parametrize("num_categories", [1, 255, 256, 257, 5000, CHUNK + 300])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_block_sums_invert_as_the_whole_sum_does(num_categories, dtype):
    rng = np.random.default_rng(3)
    weights = (rng.random((3, num_categories)) ** 20).astype(dtype)
    weights[:, rng.random(num_categories) < 0.5] = 0
    weights[:, num_categories // 2] = 1
    sums = BlockSums.of(weights_of(weights))
    shared = BlockSums.of(weights_of(weights), workers=2)
    np.testing.assert_array_equal(sums.cdf, shared.cdf)
    u = np.concatenate([rng.random((500, 3)), [[0.0] * 3, [BELOW_ONE] * 3]])
    x = sums.invert(u)
    assert (np.take_along_axis(weights.T, x, axis=0) > 0).all()
    exact = search(draws.cumulative(weights), last_positive(weights), u, np.arange(3))
    assert (x == exact).mean() > (0.999 if dtype is np.float64 else 0.99)  # but for roundings
    alone = BlockSums.of(weights_of(weights[:1]))
    together = alone.invert(u[:, :1])
    np.testing.assert_array_equal(together[:, 0], x[:, 0])
    for level, expected in zip(u[:, 0], together[:, 0], strict=True):
        assert alone.invert(np.array([[level]]))[0, 0] == expected


def test_block_sums_just_below_one():
    """The quotient of what is left of u and of its block rounds up to 1."""
    rng, below_one = np.random.default_rng(0), np.nextafter(1.0, 0.0)
    for _ in range(100):
        weights = np.zeros((2, 1500))
        weights[:, [100, 300, 1290]] = rng.random((2, 3))
        assert BlockSums.of(weights_of(weights)).invert(np.full((3, 2), below_one)).min() == 1290
        alone = BlockSums.of(weights_of(weights[:1]))
        assert alone.invert_one(below_one) == 1290


def test_block_sums_of_nothing_but_one_weight():
    for place in (0, 255, 256, 999):
        weights = np.full((2, 1000), 1e-45, np.float32)  # subnormal: p may be 0
        weights[:, place] = 1
        sums = BlockSums.of(weights_of(weights))
        assert (sums.invert(np.array([[0.0, 0.5], [BELOW_ONE, 1e-300]])) == place).all()
        alone = BlockSums.of(weights_of(weights[:1]))
        assert [alone.invert_one(u) for u in (0.0, 1e-300, 0.5, BELOW_ONE)] == [place] * 4


@given(WEIGHTS, st.floats(0, BELOW_ONE))
def test_no_uniform_passes_the_last_category_of_a_block(w, u):
    w = (w / w.max())[None]
    sums = BlockSums.of(weights_of(w))
    for level in (u, 0.0, BELOW_ONE, *np.nextafter(draws.cumulative(w)[0], 0)):
        drawn = sums.invert_one(float(level))
        assert w[0, drawn] > 0
        assert sums.invert(np.array([[level], [level]]))[:, 0].tolist() == [drawn] * 2
