"""The table of inputs and results: exact at every temperature, in both dtypes, in any mixture."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softargmax import Categorical, RelaxedCategorical, log_softargmax, smooth_max, softargmax

INF = np.inf
BIG = {np.float64: 1.7e308, np.float32: 3.4e38}
third, half = 1 / 3, 1 / 2

# logits, {"temperature" or "coldness": value}, prior, probabilities
TABLE = [
    ([1, 5, 10], {"temperature": 0}, None, [0, 0, 1]),
    ([1, 5, 5], {"temperature": 0}, None, [0, half, half]),
    ([1, 5, 5], {"temperature": -0.0}, None, [0, half, half]),
    ([2, 2, 2], {"temperature": 0}, None, [third, third, third]),
    ([1, 5, 5], {"temperature": 0}, [1, 1, 3], [0, 1 / 4, 3 / 4]),
    ([1, 5, 5], {"temperature": 0}, [7, 0, 0], [1, 0, 0]),
    ([1, 5, 5], {"coldness": INF}, None, [0, half, half]),
    ([1, 1, 5], {"coldness": -INF}, None, [half, half, 0]),
    ([1, 1, 5], {"coldness": -INF}, [3, 1, 9], [3 / 4, 1 / 4, 0]),
    ([-INF, 1, 5], {"coldness": -INF}, None, [0, 1, 0]),
    ([0, 1, 5], {"coldness": -INF}, [0, 2, 2], [0, 1, 0]),
    ([1, 5, 10], {"temperature": INF}, None, [third, third, third]),
    ([1, 5, -INF], {"temperature": INF}, None, [half, half, 0]),
    ([1, 5, 10], {"temperature": INF}, [1, 0, 3], [1 / 4, 0, 3 / 4]),
    ([1, 5, -INF], {"coldness": 0.0}, None, [half, half, 0]),
    ([1, 5, -INF], {"coldness": -0.0}, None, [half, half, 0]),
    ([0, 10], {}, None, [4.5397868702434395e-05, 0.9999546021312976]),
    ([0, 10], {"temperature": 1}, None, [4.5397868702434395e-05, 0.9999546021312976]),
    ([0, 10], {"temperature": 100}, None, [0.47502081252106, 0.52497918747894]),
    ([0, 10], {"coldness": -0.01}, None, [0.52497918747894, 0.47502081252106]),
    ([3], {"temperature": 0.5}, None, [1]),
    ([-INF, 3], {"coldness": -2}, None, [0, 1]),
    *(([-INF, 5, 2, 5], {"temperature": t}, None, [0, half, 0, half]) for t in (1e-300, 5e-324)),
    ([-INF, 5, 2, 5], {"temperature": 1e308}, None, [0, third, third, third]),
    *(
        ([-INF, 5, 2, 5], {"coldness": b}, None, [0, third, third, third])
        for b in (5e-324, -5e-324)
    ),
    ([-INF, 5, 2, 5], {"coldness": 1e300}, None, [0, half, 0, half]),
    ([-INF, 5, 2, 5], {"coldness": -1e300}, None, [0, 0, 1, 0]),
]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("logits", "heat", "prior", "expected"), TABLE)
def test_one_row(logits, heat, prior, expected, dtype):
    z = np.array(logits, dtype)
    exact = all(4 * p in (0, 1, 2, 3, 4) or p == third for p in expected)
    rtol = 0 if exact and prior is None else 4 * np.finfo(dtype).eps
    p = softargmax(z, **heat, prior=prior)
    assert p.dtype == dtype
    np.testing.assert_allclose(p, np.array(expected, dtype), rtol=rtol, atol=0)
    log_p = log_softargmax(z, **heat, prior=prior)
    possible = np.array(expected) > 0
    np.testing.assert_allclose(log_p[possible], np.log(np.array(expected)[possible]), rtol=1e-6)
    assert (log_p[~possible] < -1e30).all()  # where p only underflows, log p need not be -inf
    assert (log_p[np.isneginf(z)] == -INF).all()
    dist = Categorical(z, **heat, prior=prior)
    np.testing.assert_array_equal(dist.probs, p)
    assert (dist.mode(), dist.sample(rng=0)) != (None, None)
    plogp = [x * np.log(x) for x in expected if x > 0]
    assert dist.entropy() == pytest.approx(-sum(plogp), rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_batch_that_mixes_the_rows(dtype):
    rows = [row for row in TABLE if len(row[0]) == 3]
    z = np.array([row[0] for row in rows], dtype)
    coldness = [_coldness(row[1]) for row in rows]
    prior = np.array([row[2] or [1, 1, 1] for row in rows])
    mixed = softargmax(z, coldness=coldness, prior=prior)
    for row, got in zip(rows, mixed, strict=True):
        np.testing.assert_allclose(got, np.array(row[3], dtype), rtol=4 * np.finfo(dtype).eps)


def _coldness(heat):
    if "coldness" in heat:
        return heat["coldness"]
    return 1 / heat["temperature"] if heat.get("temperature", 1) else INF


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    "coldness", [INF, 1e300, 1e30, 1.0, 1e-30, 5e-324, 0.0, -0.0, -5e-324, -1.0, -1e300, -INF]
)
def test_huge_logits_have_their_limits(coldness, dtype):
    """Gaps that overflow the dtype, beside a masked category and a tied maximum."""
    big = BIG[dtype]
    z = np.array([big, -INF, -big, big, 0.0], dtype)
    p = softargmax(z, coldness=coldness)
    assert np.isfinite(p).all()
    assert p[1] == 0
    assert p.sum() == pytest.approx(1)
    if abs(coldness) < 1e-320:
        expected = [1 / 4, 0, 1 / 4, 1 / 4, 1 / 4]
    else:
        expected = [half, 0, 0, half, 0] if coldness > 0 else [0, 0, 1, 0, 0]
    np.testing.assert_allclose(p, np.array(expected, dtype), rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_gap_that_overflows_is_still_scaled(dtype):
    big = BIG[dtype]
    z = np.array([big, -big], dtype)
    expected = 1 / (1 + np.exp(2.0))
    np.testing.assert_allclose(softargmax(z, big)[1], expected, rtol=1e-6)
    np.testing.assert_allclose(softargmax(z, coldness=-1 / big)[0], expected, rtol=1e-6)
    np.testing.assert_allclose(Categorical(z, big).log_probs[0], np.log(1 - expected), rtol=1e-6)


TEMPERATURES = [0.0, 5e-324, 1e-300, 1e-18, 0.5, 1.0, 3.0, 1e18, 1e308, INF]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_every_method_is_finite_and_silent_at_every_temperature(dtype):
    big = BIG[dtype]
    z = np.array([[1, 5, 5, -INF], [big, -big, 0, 1], [-INF, -INF, 2, -INF], [0, 0, 0, 0]], dtype)
    prior = np.array([1.0, 2.0, 0.0, 1e-300])
    for t, sign, weights in itertools.product(TEMPERATURES, [1, -1], [None, prior]):
        cold = sign * (1 / t if t > 1e-308 else INF)
        if weights is not None:
            z = np.where(np.isinf(z).sum(-1, keepdims=True) == 3, z[0], z)
        dist = Categorical(z, coldness=cold, prior=weights)
        support = (z > -INF) & (weights is None or prior > 0)
        p = dist.probs
        np.testing.assert_allclose(p.sum(-1), 1, rtol=1e-6)
        assert (p[~support] == 0).all()
        assert not np.isnan(dist.log_probs).any()
        for value in (dist.entropy(), dist.perplexity(), dist.kl_divergence(dist)):
            assert np.isfinite(value).all()
        assert (dist.kl_divergence(dist) == 0).all()
        assert (dist.variance(np.arange(4)) >= 0).all()
        values = np.where(support, 1.0, np.nan)  # what cannot happen does not count
        np.testing.assert_allclose(dist.expectation(values), 1, rtol=1e-6)
        for array in (dist.score(dist.mode()), dist.entropy_gradient()):
            assert np.isfinite(array).all()
            assert not array[~support].any()
        fisher = dist.fisher_information()  # β² may overflow; masked entries stay 0
        assert not np.isnan(fisher).any()
        assert not fisher[~support].any()
        for method in ("inverse", "gumbel", "alias"):
            drawn = dist.sample(50, rng=1, method=method)
            assert (dist.prob(drawn) > 0).all()
        counts = dist.sample_counts(1000, rng=1)
        assert (counts.sum(-1) == 1000).all()
        assert not counts[p == 0].any()
        order = dist.sample_without_replacement(1, 5, rng=1)[..., 0]
        assert np.take_along_axis(support, order.T, axis=1).all()
        assert not np.isnan(dist.log_prob_ordered([1, 0])).any()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_smooth_max_and_its_limits(dtype):
    z = np.array([-INF, 3, 2, 3], dtype)
    assert smooth_max(z, 0) == 3
    assert smooth_max(z, coldness=-INF) == 2
    assert smooth_max(z, INF) == smooth_max(z, coldness=-0.0) == INF
    only = np.array([-INF, 7, -INF], dtype)
    for heat in (0, 1, INF, 5e-324, 1e308):
        assert smooth_max(only, heat) == 7
    assert smooth_max(z) == pytest.approx(np.log(2 * np.exp(3) + np.exp(2)), rel=1e-6, abs=0)
    assert smooth_max(z, 0.5) == pytest.approx(
        np.log(2 * np.exp(6) + np.exp(4)) / 2, rel=1e-6, abs=0
    )
    assert smooth_max(z, coldness=-1.0) == pytest.approx(
        -np.log(2 * np.exp(-3) + np.exp(-2)), rel=1e-6, abs=0
    )
    big = np.array([BIG[dtype], -BIG[dtype]], dtype)
    assert smooth_max(big) == big[0]
    assert smooth_max(big, coldness=-1.0) == big[1]
    assert (
        smooth_max(z, 1e308) == pytest.approx(1e308 * np.log(3), rel=1e-6, abs=0)
        or dtype == np.float32
    )
    for sign in (1, -1):  # the rise alone overflows, the sum does not
        eight = np.full(8, -sign * BIG[dtype])
        t = 1e308 if dtype is np.float64 else 2e38
        expected = sign * (t * (np.log(8) - BIG[dtype] / t))
        got = smooth_max(eight.astype(dtype), coldness=sign / t)
        assert got == pytest.approx(expected, rel=1e-5, abs=0)
    ladder = smooth_max(z, temperature=[0.0, 1e-300, 1.0, INF])
    assert ladder.dtype == dtype
    assert (ladder[:2] == 3).all()
    assert ladder[3] == INF


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_coldness_beyond_the_dtype_is_not_infinite(dtype):
    """Only T = 0 is arg max: gaps as small as T are still compared with it."""
    dist = Categorical(np.array([0, 1e-39], dtype), 1e-39)
    assert dist.probs[1] == pytest.approx(1 / (1 + 1 / np.e), rel=1e-6)


def test_convergence_to_arg_max_is_pointwise_not_uniform():
    for t, near in ((1e-3, 0.525), (1e-6, 1.0)):
        assert softargmax([1, 1.0001], t)[1] == pytest.approx(near, abs=1e-3)
        assert softargmax([1, 0.9999], t)[0] == pytest.approx(near, abs=1e-3)
    np.testing.assert_array_equal(softargmax([1, 1.0001], 0), [0, 1])
    np.testing.assert_array_equal(softargmax([1, 0.9999], 0), [1, 0])
    np.testing.assert_array_equal(softargmax([1, 1.0], 0), [0.5, 0.5])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_callers_who_make_numpy_raise_are_not_disturbed(dtype):
    with np.errstate(all="raise"):
        test_every_method_is_finite_and_silent_at_every_temperature(dtype)
        z = np.array([[0, -104, -50], [0, -745, -700]], dtype)
        dist = Categorical(z, [1, 1e-3], prior=[1, 1e-300, 3])
        for method in ("inverse", "gumbel", "alias"):
            dist.sample(5000, rng=0, method=method)
        dist.sample_without_replacement(2, 5, rng=0), dist.log_prob_ordered([2, 1])
        dist.cdf(1), dist.quantile(0.1), dist.top(2), dist.cross_entropy(dist.tempered(0.1))
        smooth_max(z, 1e-300), softargmax(z, workers=2), log_softargmax(z)
        Categorical.from_weights(np.array([1e-40, 1, 1e-38], dtype)).entropy()
        Categorical.from_energies(z, 1e-310).sample_counts(2**62, rng=0)
        Categorical(z, coldness=1e-320).temperature  # noqa: B018
        relaxed = RelaxedCategorical(z, 0.1)
        relaxed.log_prob_of_log(relaxed.log_sample(rng=0))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("num_categories", [5, 100, 3000, 140_000])
def test_rows_of_every_length_at_the_limits(dtype, num_categories):
    """Alone, in a batch of one temperature, and beside rows of others."""
    z = np.random.default_rng(0).normal(size=(4, num_categories)).astype(dtype)
    z[:, [1, 3]] = 9, np.nextafter(dtype(9), dtype(10))
    z[:, num_categories - 1] = z[:, 3]
    z[2, :-1:2] = -INF
    temperatures = np.array([0, 0.5, INF, 0])
    limits = {0: z == z[:, 3:4], INF: z > -INF}
    mixed = Categorical(z, temperatures)
    for t in (0, INF):
        p = limits[t] / limits[t].sum(axis=-1, keepdims=True)
        every = Categorical(z, t)
        np.testing.assert_array_equal(every.probs, p.astype(dtype))
        np.testing.assert_array_equal(np.isfinite(every.log_probs), limits[t])
        x = every.sample(16, rng=1)
        assert limits[t][np.arange(4), x].all()
        assert limits[t][np.arange(4), every.sample(rng=2)].all()
        for row in range(4):
            alone = Categorical(z[row], t)
            np.testing.assert_array_equal(alone.probs, p[row].astype(dtype))
            assert limits[t][row, alone.sample(rng=3)]
            assert limits[t][row, alone.sample(12, rng=3)].all()
    for row, t in enumerate(temperatures):
        expected = Categorical(z, t).log_probs[row]
        np.testing.assert_allclose(mixed.log_probs[row], expected, rtol=1e-6)
        assert Categorical(z, t).probs[row, mixed.sample(rng=4)[row]] > 0


def test_ties_at_zero_temperature_are_drawn_alike():
    z = np.zeros(3000, np.float32)
    z[[5, 700, 2999]] = 1
    x = Categorical(z, 0).sample(30_000, rng=0)
    few = np.concatenate([Categorical(z, 0).sample(16, rng=seed) for seed in range(500)])
    for drawn in (x, few):
        values, counts = np.unique(drawn, return_counts=True)
        assert values.tolist() == [5, 700, 2999]
        # Each is binomial; 7 standard deviations.
        assert (np.abs(counts - drawn.size / 3) < 7 * np.sqrt(drawn.size * 2 / 9)).all()


# ---------------------------------------------------------------------------- subnormal numbers

UNITS = {
    np.float64: [5e-324, 2.0**-1060, 2.0**-1025, 2.0**-1000],
    np.float32: [2.0**-149, 2.0**-140],
}


@pytest.mark.parametrize("dtype", UNITS)
@pytest.mark.parametrize("copies", [1, 50, 1000])
@settings(max_examples=10)
@given(t=st.integers(1, 50), high=st.integers(-60, 60))
def test_subnormal_temperatures_of_subnormal_gaps(dtype, copies, t, high):
    """1/T is beyond the dtype, but a gap of T is still one unit of d."""
    for unit in UNITS[dtype]:
        z = np.tile(np.array([0, high * unit], dtype), copies)
        p = softargmax([0, high], t)[1] / copies
        for prior in (None, np.ones(2 * copies), np.ones(2 * copies, bool)):
            for heat in (t * unit, np.array([1.0, t * unit, 0.0, INF])):
                dist = Categorical(z, heat, prior=prior)
                own = dist.probs if np.ndim(heat) == 0 else dist.probs[1]
                np.testing.assert_allclose(own[1], p, rtol=4e-5 if dtype == np.float32 else 1e-13)
        if t * unit > np.finfo(np.float64).tiny:  # β fits float64
            cold = Categorical(z, coldness=-1 / (t * unit)).probs[0]
            np.testing.assert_allclose(cold, p, rtol=1e-4)


def test_draws_and_derived_quantities_at_a_subnormal_temperature():
    t = 1e-310
    for copies in (1, 50, 1000):
        dist = Categorical(np.array([0, 1e-310] * copies), t)
        n = 1000
        draws = [
            dist.sample(n, rng=0),
            dist.sample(n, rng=0, method="gumbel"),
            dist.sample(n, rng=0, method="alias"),
            dist.sample_without_replacement(1, n, rng=0)[:, 0],
            np.array([dist.sample(rng=np.random.default_rng(i)) for i in range(n)]),
        ]
        for x in draws:  # 6 standard deviations: wrong once in 10⁸
            assert abs((x % 2).mean() - 0.7311) < 6 * math.sqrt(0.2 / n)
        log_p = -math.log1p(math.exp(-1)) - math.log(copies)
        assert dist.log_prob_ordered([1]) == pytest.approx(log_p, rel=1e-13)
        assert smooth_max(dist.logits, t) == pytest.approx(
            t * math.log(copies * (1 + math.e)), rel=1e-13
        )


@pytest.mark.parametrize("library", ["torch", "array_api_strict"])
@pytest.mark.frameworks
def test_subnormal_temperatures_by_the_formula(library):
    xp = pytest.importorskip(library)
    for dtype, units in UNITS.items():
        for unit in units:
            z = np.array([0, 2, -1], dtype) * dtype(unit)
            given = xp.asarray(z, dtype=getattr(xp, np.dtype(dtype).name))
            for heat in (3 * unit, np.array([1.0, 3 * unit, 0.0, INF])):
                ours = xp.asarray(heat, dtype=xp.float64) if np.ndim(heat) else heat
                found = np.asarray(Categorical(given, ours).probs)
                own = found if np.ndim(heat) == 0 else found[1]
                np.testing.assert_allclose(own, softargmax([0, 2, -1], 3), rtol=1e-5)
            found = smooth_max(given, 3 * unit)
            np.testing.assert_allclose(float(found), smooth_max(z, 3 * unit), rtol=1e-13)
