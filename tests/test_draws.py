"""Weights and noise to categories, with the noise chosen."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from softargmax import _orders, draws
from softargmax._arrays.namespaces import BLOCK
from softargmax._blocks import BlockSums
from softargmax._kernels import CHUNK
from softargmax._noise import exponentials
from softargmax._scores import Scores
from statistical import check_counts

BELOW_ONE = np.nextafter(1.0, 0.0)
WEIGHT = st.one_of(st.just(0.0), st.floats(1e-300, 1e300), st.integers(1, 9).map(float))
WEIGHTS = hnp.arrays(np.float64, st.integers(1, 40), elements=WEIGHT).filter(lambda w: w.any())
# Zero weights first, last, and everywhere but one; sums that float32 cannot hold.
AWKWARD = [
    [1.0],
    [0.0, 1.0],
    [1.0, 0.0],
    [0.0, 0.0, 1.0, 0.0, 0.0],
    [0.0, 1e-30, 1.0, 1e-30, 0.0],
    [1.0, 1e-17, 0.0],
    [0.1] * 10 + [0.0],
    list(np.float32([0.1] * 7 + [0.0])),
]


def invert(weights, u):
    w = np.asarray(weights)[None]
    return draws.invert(draws.cumulative(w), draws.last_positive(w), np.asarray(u), 0)


@pytest.mark.parametrize("weights", AWKWARD)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_noise_draws_a_weight_of_zero(weights, dtype):
    w = np.array(weights, dtype)
    u = np.array([0.0, 2.0**-53, 0.5, 1 - 2.0**-24, BELOW_ONE])
    assert (w[invert(w, u)] > 0).all()
    assert (w[invert(w, [1.0])] > 0).all()
    assert (w[draws.AliasTable.build(w).take(u)] > 0).all()
    for wait in (2.0**-64, 1.0, 45.0):
        waits = np.full((len(w), 1, len(w)), 45.0)
        waits[np.arange(len(w)), 0, np.arange(len(w))] = wait
        assert (w[draws.race(w[None], waits)] > 0).all()
    counts = draws.draw_counts(np.random.default_rng(0), w[None].astype(float), 2**62)
    assert not counts[0, w == 0].any()
    assert counts.sum() == 2**62


@given(hnp.arrays(np.float64, (3, 5), elements=st.integers(0, 3).map(float)), st.floats(0, 1))
def test_rows_are_inverted_as_they_are_alone(weights, u):
    weights[:, 2] += 1
    levels = np.array([[u, 0.0, 1.0], [BELOW_ONE, u, u], [0.25, 0.5, 0.75]])
    together = draws.invert(
        draws.cumulative(weights), draws.last_positive(weights), levels, np.arange(3)
    )
    for row in range(3):
        np.testing.assert_array_equal(together[:, row], invert(weights[row], levels[:, row]))


def test_sums_of_float32_weights_are_float64():
    w = np.ones(2**24 + 3, np.float32)  # a float32 sum of ones stops at 2²⁴
    cdf = draws.cumulative(w[None])
    assert cdf[0, -2] < 1
    assert invert(w, [BELOW_ONE])[0] == 2**24 + 2
    assert draws.AliasTable.build(w).take(np.array([BELOW_ONE]))[0] == 2**24 + 2


@given(WEIGHTS)
def test_alias_tables_hold_the_weights(w):
    w = w / w.max()
    table = draws.AliasTable.build(w)
    assert ((table.threshold >= 0) & (table.threshold <= 1)).all()
    held = np.bincount(np.arange(len(w)), table.threshold, len(w))
    held += np.bincount(table.alias, 1 - table.threshold, len(w))
    np.testing.assert_allclose(held / len(w), w / w.sum(), rtol=1e-12, atol=1e-15)
    assert not held[w == 0].any()
    # Rare categories keep every digit, as far as floats have them all.
    light = w / w.sum() * len(w) < 1
    np.testing.assert_allclose(held[light] / len(w), (w / w.sum())[light], rtol=1e-14, atol=1e-307)


def test_alias_columns_hold_exactly_their_interval():
    table = draws.AliasTable.build(np.array([1.0, 2.0, 5.0]))
    u = (np.arange(24_000) + 0.5) / 24_000
    counts = np.bincount(table.take(u), minlength=3)
    np.testing.assert_array_equal(counts, [3_000, 6_000, 15_000])


def test_race_is_won_by_the_smallest_wait_over_weight():
    weights = np.array([[1.0, 2.0, 0.0], [0.0, 1.0, 1.0]])
    waits = np.array([[[1.0, 1.9, 1e-9], [1e-9, 1.0, 0.5]]])
    assert draws.race(weights, waits).tolist() == [[1, 2]]


@pytest.mark.parametrize("k", [0, 1, 3, 100, 1000])
def test_largest_orders_by_all_its_keys(k):
    rng = np.random.default_rng(1)
    keys = (*rng.integers(0, 4, (2, 3, 1000)), rng.random((3, 1000)))
    got = _orders.largest(keys, k)
    for row in range(3):
        order = sorted(range(1000), key=lambda i: tuple(-key[row, i] for key in keys))
        assert got[row].tolist() == order[:k]


def order_of(z, coldness, luck):
    z, luck = np.array([z], float), np.array([luck], float)
    keys = _orders.ordered_keys(z, np.array([[coldness]]), luck)
    return _orders.largest(keys, z.shape[1])[0].tolist()


def test_ordered_keys_are_exact_where_luck_is_lost_in_rounding():
    inf = np.inf
    assert order_of([0, 1, 2], 1.0, [0, 0, 0]) == [2, 1, 0]
    assert order_of([0, 1, 2], 1.0, [5, 3, 0]) == [0, 1, 2]
    assert order_of([1, 1, 2], inf, [0.1, 0.2, -9]) == [2, 1, 0]
    assert order_of([1, 1, 2], 1e18, [0.1, 0.2, -9]) == [2, 1, 0]
    assert order_of([1e300, 1e300, 0], 1.0, [0.1, 0.2, 40]) == [1, 0, 2]
    assert order_of([1e-17, 2e-17, 1], 1e18, [3, -3, 0]) == [2, 1, 0]  # 10 apart: luck loses
    assert order_of([1e-17, 1.5e-18, 1], 1e18, [-9, 1, 0]) == [2, 1, 0]  # 8.5 apart: it wins
    below = np.nextafter(1.0, 0.0)  # 1.1e-16 less, 11.1 in units of T: luck of 10 loses
    assert order_of([1, below], 1e17, [0, 10]) == [0, 1]
    assert order_of([1, below], 1e17, [0, 12]) == [1, 0]
    assert order_of([9, 1, 2], 0.0, [1, 3, 2]) == [1, 2, 0]
    assert order_of([1.7e308, -1.7e308, 0], 1e-300, [0, 40, 3]) == [0, 2, 1]
    assert order_of([1.7e308, -1.7e308, 0], 1e-308, [-4, 4, 0]) == [1, 2, 0]
    assert order_of([1.7e308, -1.7e308, 0], 1e-308, [0, 0, 0]) == [0, 2, 1]
    assert order_of([1.79e308, -1.79e308], 5e-309, [0, 1.7]) == [0, 1]  # 1.79 apart
    assert order_of([1.79e308, -1.79e308], 5e-309, [0, 1.9]) == [1, 0]
    assert order_of([-inf, 1, 0], 1.0, [-inf, 0, 0]) == [1, 2, 0]


def test_counts_beyond_what_numpy_can():
    """Variances at n = 2⁶², where NumPy's are 5 % off, and rare categories."""
    rng = np.random.default_rng(8)
    p = np.array([[0.3, 0.7, 0.0]])
    n, repeats = 2**62, 40_000
    means = (p[0] * 2**62).astype(np.int64)
    deviations = draws.draw_counts(rng, np.repeat(p, repeats, axis=0), n) - means
    ratio = deviations[:, :2].astype(float).var(0) / (n * p[0, :2] * (1 - p[0, :2]))
    # Variance ratios are 1 ± √(2/40000) = 0.7 %; five of those (6e-7) is what a failure means.
    assert (np.abs(ratio - 1) < 5 * np.sqrt(2 / repeats)).all(), ratio
    assert not deviations[:, 2].any()
    # p = 4e-18 at n = 2⁶²: 19.6 expected, 400 times; the binomial of NumPy 2.2 gives 0.
    rare = np.full((400, 2), [1.0, np.exp(-40.0)])
    total = int(draws.draw_counts(rng, rare, n)[:, 1].sum())
    expected = 400 * 2.0**62 * np.exp(-40.0)
    assert abs(total - expected) < 5 * np.sqrt(expected)


def test_counts_of_many_rare_categories():
    rng = np.random.default_rng(9)
    weights = np.concatenate([[1.0], np.full(300, 1e-12), [1e-15], np.zeros(5)])
    n = 2**52
    counts = draws.draw_counts(rng, weights[None], n)[0]
    assert counts.sum() == n
    # Finds errors of 3e-12 of the common category, of 1.5e-13 of a rare one's 1e-12.
    check_counts(counts, weights / weights.sum(), detects=3e-12)
    assert abs(counts[1:301].sum() - 300e-12 * n) < 5 * np.sqrt(300e-12 * n)


def test_log_prob_ordered_meets_enumeration_and_its_limits():
    w = np.array([[3.0, 1.0, 2.0, 0.5]])
    x = np.array([[2, 0, 3]])
    zero = np.zeros((1, 4))
    expected = np.log(2 / 6.5 * 3 / 4.5 * 0.5 / 1.5)
    got = _orders.log_prob_ordered(np.log(w), np.ones((1, 1)), zero, x)
    assert got[0] == pytest.approx(expected, rel=1e-14, abs=0)
    # The same as a prior at β = 0, and as ties at β = inf.
    for coldness in (0.0, np.inf):
        got = _orders.log_prob_ordered(zero, np.full((1, 1), coldness), np.log(w), x)
        assert got[0] == pytest.approx(expected, rel=1e-14, abs=0)
    # What is off the support is never drawn, not even when nothing else is left.
    masked = np.array([[0.0, -np.inf]])
    level = np.array([[0.0, -np.inf]])
    got = _orders.log_prob_ordered(masked, np.ones((1, 1)), level, np.array([[0, 1]]))
    assert got[0] == -np.inf
    # Nearly certain orders keep their digits.
    z = np.array([[0.0, -40.0, -80.0]])
    got = _orders.log_prob_ordered(z, np.ones((1, 1)), np.zeros((1, 3)), np.array([[0, 1, 2]]))
    assert got[0] == pytest.approx(-2 * np.exp(-40.0), rel=1e-14, abs=0)


def scores_of(weights):
    with np.errstate(divide="ignore"):
        z = np.log(weights)
    return Scores(z, np.zeros((len(z), 1), z.dtype), z.dtype.type(1))


@pytest.mark.parametrize("num_categories", [1, 255, 256, 257, 5000, CHUNK + 300])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_block_sums_invert_as_the_whole_sum_does(num_categories, dtype):
    rng = np.random.default_rng(3)
    weights = (rng.random((3, num_categories)) ** 20).astype(dtype)
    weights[:, rng.random(num_categories) < 0.5] = 0
    weights[:, num_categories // 2] = 1
    sums = BlockSums.build(scores_of(weights))
    shared = BlockSums.build(scores_of(weights), workers=2)
    np.testing.assert_array_equal(sums.cdf, shared.cdf)
    u = np.concatenate([rng.random((500, 3)), [[0.0] * 3, [BELOW_ONE] * 3]])
    x = sums.invert(u)
    assert (np.take_along_axis(weights.T, x, axis=0) > 0).all()
    exact = draws.invert(draws.cumulative(weights), draws.last_positive(weights), u, np.arange(3))
    assert (x == exact).mean() > (0.999 if dtype is np.float64 else 0.99)  # but for roundings
    alone = BlockSums.build(scores_of(weights[:1]))
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
        assert BlockSums.build(scores_of(weights)).invert(np.full((3, 2), below_one)).min() == 1290
        alone = BlockSums.build(scores_of(weights[:1]))
        assert alone.invert_one(below_one) == 1290


def test_block_sums_of_nothing_but_one_weight():
    for place in (0, 255, 256, 999):
        weights = np.full((2, 1000), 1e-45, np.float32)  # subnormal: p may be 0
        weights[:, place] = 1
        sums = BlockSums.build(scores_of(weights))
        assert (sums.invert(np.array([[0.0, 0.5], [BELOW_ONE, 1e-300]])) == place).all()
        alone = BlockSums.build(scores_of(weights[:1]))
        assert [alone.invert_one(u) for u in (0.0, 1e-300, 0.5, BELOW_ONE)] == [place] * 4


@given(WEIGHTS, st.floats(0, BELOW_ONE))
def test_no_uniform_passes_the_last_category_of_a_block(w, u):
    w = (w / w.max())[None]
    sums = BlockSums.build(scores_of(w))
    for level in (u, 0.0, BELOW_ONE, *np.nextafter(draws.cumulative(w)[0], 0)):
        drawn = sums.invert_one(float(level))
        assert w[0, drawn] > 0
        assert sums.invert(np.array([[level], [level]]))[:, 0].tolist() == [drawn] * 2


@given(
    hnp.arrays(np.float64, (6, 4), elements=st.integers(0, 3).map(float)), st.floats(0, BELOW_ONE)
)
def test_columns_are_inverted_as_rows_are(weights, u):
    weights[:, 2] += 1
    levels = np.array([0.0, BELOW_ONE, 0.25, u, u, 0.5])
    x = draws.invert_columns(weights.T.copy(), levels)
    assert (weights[np.arange(6), x] > 0).all()
    rows = draws.invert(
        draws.cumulative(weights), draws.last_positive(weights), levels, np.arange(6)
    )
    # Levels that meet a sum to the last digit may fall on either side of it.
    met = np.abs(weights.cumsum(1) / weights.sum(1, keepdims=True) - levels[:, None]) < 1e-15
    np.testing.assert_array_equal(x[~met.any(1)], rows[~met.any(1)])


def test_columns_never_give_a_subnormal_weight():
    weights = np.array([[1e-45, 1.0], [1.0, 0.0], [0.0, 1e-45]], np.float32)
    for u in (0.0, 0.5, BELOW_ONE):
        assert draws.invert_columns(weights, np.array([u, u])).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("n", "rows", "num_categories", "expected"),
    [
        (1, 1, 64, "inverse"),
        (1, 64, 64, "inverse"),
        (1, 65, 64, "columns"),
        (1, 4096, 1, "inverse"),
        (1, 4097, 1, "columns"),
        (1, 65, 65, "inverse"),
        (2, 2, 64, "inverse"),
        (16, 512, 64, "inverse"),
        (16, 513, 64, "rows"),
        (17, 513, 64, "inverse"),
        (1, 504, 65, "inverse"),
        (1, 505, 65, "rows"),
        (1, 1, 1023, "inverse"),
        (1, 1, 1024, "blocks"),
        (16, 9, 10**7, "blocks"),
        (17, 1, 10**7, "inverse"),
        (1023, 1, 10, "inverse"),
        (1024, 1, 10, "alias"),
        (1024, 9, 2048, "alias"),
        (1024, 1, 2049, "inverse"),
        (10**6 - 1, 1, 2 * 10**6, "inverse"),
        (0, 3, 10, "inverse"),
    ],
)
def test_the_way_of_auto_at_its_borders(n, rows, num_categories, expected):
    assert draws.way("auto", n, rows, num_categories) == expected
    if expected != "alias":
        assert draws.way("inverse", n, rows, num_categories) == expected
    assert draws.way("alias", n, rows, num_categories) == "alias"
    assert draws.way("gumbel", n, rows, num_categories) == "gumbel"


def test_a_long_race_has_the_winner_of_one_heat():
    weights = np.random.default_rng(0).random((2, 2 * BLOCK + 5))
    weights[:, :BLOCK] = 0
    for seed in range(5):
        waits = exponentials(np.random.default_rng(seed), (3, *weights.shape))
        got = draws.by_race(np.random.default_rng(seed), weights, 3, 1)
        np.testing.assert_array_equal(got, draws.race(weights, waits))
