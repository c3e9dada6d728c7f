"""Gumbel noise: its law, its winners, couplings, importance weights."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from softargmax import Categorical
from softargmax.gumbel import (
    conditional_gumbels,
    gumbel_max,
    gumbel_noise,
    gumbel_top_k,
    log_inclusion,
    maximal_coupling,
    residual,
)
from statistical import check_counts, check_draws

INF = np.inf
LOGIT = st.one_of(st.floats(-50, 50), st.just(-INF), st.integers(-2, 2).map(float))
ROWS = hnp.arrays(np.float64, st.tuples(st.integers(1, 3), st.integers(1, 6)), elements=LOGIT).map(
    lambda z: np.where(np.isneginf(z).all(-1, keepdims=True), 0.0, z)
)
KS = 1e-7  # the false-fail rate of a Kolmogorov-Smirnov test


def test_noise_is_gumbel_finite_and_of_the_dtype():
    noise = gumbel_noise((1000, 100), rng=0)
    # 10⁵ numbers: finds a distance of 0.009 between the distributions.
    assert stats.kstest(noise.ravel(), stats.gumbel_r.cdf).pvalue > KS
    assert gumbel_noise(rng=0).shape == ()
    for dtype in (np.float16, np.float32, np.float64):
        assert gumbel_noise(9, rng=0, dtype=dtype).dtype == dtype
    deep = gumbel_noise(3_000_000, rng=1, dtype=np.float32)
    assert np.isfinite(deep).all()
    # 16.7 is passed once in 1.8e7; the largest of 3e6 is about 14.9 ± 1.3, of a law without an end.
    assert deep.max() > 12


def test_the_noise_has_the_tail_that_rare_events_need():
    """The smallest wait, 2⁻⁶⁴, is a Gumbel of 44; a float32 -log(-log(u)) ends at 16.6."""
    from softargmax._random.numpy import gumbels

    class Zeros(np.random.Generator):
        def standard_exponential(self, size):
            return np.zeros(size)

    assert gumbels(Zeros(np.random.PCG64(0)), (2,)) == pytest.approx([64 * np.log(2)] * 2)


@given(ROWS, st.integers(0, 9))
def test_gumbel_max_is_the_argmax_and_stays_in_the_support(z, seed):
    noise = gumbel_noise((7, *z.shape), rng=seed)
    x = gumbel_max(z, noise)
    assert x.shape == (7, len(z))
    assert x.dtype == np.int64
    np.testing.assert_array_equal(x, (z + noise).argmax(-1))
    assert (np.take_along_axis(z, x.T, -1) > -INF).all()


def test_common_random_numbers_across_a_ladder():
    ladder = Categorical([0.0, 1.0, 2.0], [0, 0.5, 1, 5, INF])
    noise = gumbel_noise((200_000, 1, 3), rng=0)
    x = gumbel_max(ladder.log_probs, noise)
    check_draws(x, ladder.probs, detects=9e-3)
    assert (x[:, 2] == x[:, 3]).mean() > 0.6  # independent draws would agree in 39 %


@given(ROWS, st.sampled_from([0, 0.1, 1, 30, INF]), st.integers(0, 9))
def test_the_winner_is_the_given_category(z, temperature, seed):
    dist = Categorical(z, temperature)
    x = np.concatenate([dist.sample(5, rng=seed), dist.mode()[None]])
    noise = conditional_gumbels(dist, x, rng=seed)
    assert noise.shape == (6, *z.shape)
    assert np.isfinite(noise).all()
    np.testing.assert_array_equal(gumbel_max(dist.log_probs, noise), x)


def test_a_rare_winner_in_float32():
    z = np.zeros(1000, np.float32)
    z[3] = -80
    dist = Categorical(z)
    for seed in range(50):
        noise = conditional_gumbels(dist, [3, 4], rng=seed)
        assert gumbel_max(dist.log_probs, noise).tolist() == [3, 4]
        assert gumbel_max(dist.log_probs, noise.astype(np.float64)).tolist() == [3, 4]


def test_a_loser_that_truncation_rounds_up_to_the_winner(monkeypatch):
    """Free noise of 44 against a winner's -3: their difference is below the rounding."""
    from softargmax._random.numpy import HostSource

    rng = np.random.default_rng(0)
    for _ in range(200):
        dist = Categorical(rng.normal(size=(1, 5)) * 3)
        free = np.full((1, 5), 44.0)
        free[0, 4] = -3 - rng.random()
        monkeypatch.setattr(HostSource, "gumbels", lambda *args, free=free: free)
        noise = conditional_gumbels(dist, 4)
        assert gumbel_max(dist.log_probs, noise).tolist() == [4]
        np.testing.assert_allclose(dist.log_probs + noise, free[0, 4], rtol=1e-13)


def test_mixed_over_winners_the_noise_is_plain():
    dist = Categorical(np.log([0.6, 0.3, 0.1]), prior=[1, 1, 1])
    n = 200_000
    noise = conditional_gumbels(dist, dist.sample(n, rng=1), rng=2)
    for coordinate in noise.T:  # finds a distance of 0.0065
        assert stats.kstest(coordinate, stats.gumbel_r.cdf).pvalue > KS
    correlations = np.corrcoef(stats.gumbel_r.cdf(noise.T)) - np.eye(3)
    assert np.abs(correlations).max() < 5.5 / np.sqrt(n)
    masked = conditional_gumbels(Categorical([0.0, -INF]), np.zeros(n, int), rng=3)
    assert stats.kstest(masked[:, 1], stats.gumbel_r.cdf).pvalue > KS  # free off the support


def test_conditional_noise_shapes_rngs_and_errors():
    dist = Categorical(np.zeros((3, 4)))
    assert conditional_gumbels(dist, 1, rng=0).shape == (3, 4)
    assert conditional_gumbels(dist, [[0] * 3, [1] * 3], rng=0).shape == (2, 3, 4)
    assert conditional_gumbels(Categorical(np.zeros(4)), [1, 2], rng=0).shape == (2, 4)
    rows = conditional_gumbels(dist, [0, 1, 2], rng=[7, 8, 9])
    np.testing.assert_array_equal(
        rows[[2, 0]], conditional_gumbels(dist[[2, 0]], [2, 0], rng=[9, 7])
    )
    with pytest.raises(ValueError, match=r"category must have a probability above 0.* in row 1"):
        conditional_gumbels(Categorical([[0.0, 0], [0, -INF]]), 1)
    with pytest.raises(ValueError, match=r"above 0, got one with p = 0$"):
        conditional_gumbels(Categorical([0.0, 1.0], 0), 0)
    with pytest.raises(TypeError, match="dist must be a Categorical, got list"):
        conditional_gumbels([0.5, 0.5], 0)


# ---------------------------------------------------------------------------- coupling


@given(ROWS, st.floats(0.1, 3), st.integers(0, 5))
def test_residual_is_the_normalised_excess(z, scale, shift):
    p, q = Categorical(z), Categorical(np.roll(z, shift, -1), scale)
    excess = np.maximum(p.probs - q.probs, 0)
    got = residual(p, q).probs
    assert got.shape == z.shape
    for row in range(len(z)):
        if excess[row].sum() > 1e-9:
            np.testing.assert_allclose(got[row], excess[row] / excess[row].sum(), atol=1e-6)
        else:
            assert got[row].sum() == pytest.approx(1)


def test_residual_of_equals_is_p_and_of_neighbours_keeps_digits():
    p = Categorical([[0.0, 1.0, 2.0], [0.0, 0.0, 0.0]])
    np.testing.assert_allclose(residual(p, p).probs, p.probs, rtol=1e-15)
    near = residual(Categorical([0.0, 0, 0]), Categorical([1e-12, 0, -1e-12]))
    np.testing.assert_allclose(near.probs, [0, 0, 1], atol=1e-3)
    deep = residual(Categorical([0.0, -800.0]), Categorical([0.0, -900.0]))
    assert deep.probs.tolist() == [0, 1]
    same = Categorical([0.0, -800.0])
    np.testing.assert_array_equal(residual(same, same).log_probs, same.log_probs)


@pytest.mark.parametrize("heat", [(1.0, 1.0), (1.0, 3.0), (0.2, 5.0), (0.0, 1.0), (0, INF)])
def test_maximal_coupling_has_its_marginals_and_differs_as_rarely_as_can_be(heat):
    z = np.array([[0.0, 1.0, 2.0, -INF], [1.0, 0.0, 0.0, 3.0]])
    p, q = Categorical(z, heat[0]), Categorical(z[:, ::-1] if heat[0] == 1 else z, heat[1])
    n = 100_000
    x, y = maximal_coupling(p, q, n, rng=5)
    assert x.shape == y.shape == (n, 2)
    check_draws(x, p.probs, detects=0.013)
    check_draws(y, q.probs, detects=0.013)
    distance = np.abs(p.probs - q.probs).sum(-1) / 2
    for row in range(2):
        differ = int((x[:, row] != y[:, row]).sum())
        check_counts([differ, n - differ], [distance[row], 1 - distance[row]], detects=0.013)


def test_equal_distributions_are_coupled_always_and_streams_are_their_own():
    p = Categorical(np.arange(50.0) % 7)
    x, y = maximal_coupling(p, p, 1000, rng=0)
    np.testing.assert_array_equal(x, y)
    assert (x == p.sample(1000, rng=0)).mean() < 0.2
    again = maximal_coupling(p, p, 1000, rng=np.random.default_rng(0))[0]
    np.testing.assert_array_equal(x, again)
    wide = maximal_coupling(p, p.tempered([1.0, 2.0, 3.0]), rng=0)
    assert wide[0].shape == wide[1].shape == (3,)
    with pytest.raises(TypeError, match="q must be a Categorical"):
        maximal_coupling(p, [0.5])
    with pytest.raises(ValueError, match="must have 50 categories"):
        residual(p, Categorical([0.0]))


# ---------------------------------------------------------------------------- Gumbel-top-k


def test_top_k_draws_orders_of_plackett_and_luce():
    dist = Categorical.from_weights([1, 2, 3, 4])
    drawn = gumbel_top_k(dist, 2, 200_000, rng=3)
    orders = list(itertools.permutations(range(4), 2))
    code = drawn.indices @ [4, 1]
    counts = np.array([(code == 4 * a + b).sum() for a, b in orders])
    check_counts(counts, np.exp(dist.log_prob_ordered(orders)), detects=9e-3)


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_importance_weights_are_unbiased(k):
    dist, f = Categorical.from_weights([1, 2, 3, 4]), np.array([1.0, -2.0, 4.0, 8.0])
    n = 200_000
    drawn = gumbel_top_k(dist, k, n, rng=4)
    assert drawn.threshold.shape == (n,)
    weights = np.exp(dist.log_probs[drawn.indices] - drawn.log_inclusion)
    estimate = (weights * f[drawn.indices]).sum(-1)
    error = estimate.mean() - dist.expectation(f)
    # Five standard errors: a false-fail rate of 6e-7.
    assert abs(error) <= 5 * estimate.std() / np.sqrt(n) + 1e-12
    if k == 4:
        assert (drawn.threshold == -INF).all()
        assert not drawn.log_inclusion.any()


def test_log_inclusion_keeps_its_digits():
    expected = [np.log(-np.expm1(-np.exp(1.0))), np.log(-np.expm1(-np.exp(-20.0))), -60.0, 0.0]
    got = log_inclusion([1.0, -20.0, -60.0, 900.0], 0.0)
    np.testing.assert_allclose(got, expected, rtol=1e-14)
    assert log_inclusion(-INF, -3.0) == log_inclusion(-INF, -INF) == -INF
    assert log_inclusion(-700.0, -INF) == 0


def test_bad_input():
    dist = Categorical([0.0, 1.0, -INF])
    for call, message in [
        (lambda: gumbel_max([np.nan, 1], [0, 0]), "log_probs must be finite or -inf"),
        (lambda: gumbel_max([[-INF, -INF]], [0, 0]), "in row 0"),
        (lambda: gumbel_max([INF, 0], [0, 0]), "log_probs must be finite"),
        (lambda: gumbel_max([0, 0], [np.nan, 0]), "noise must be finite"),
        (lambda: gumbel_max([-INF, 0], [-INF, -INF]), "noise must be finite"),
        (lambda: log_inclusion(np.zeros(2), np.zeros(3)), "threshold must fit"),
        (lambda: residual(dist, Categorical([0.0])), "q must have 3 categories"),
        (lambda: gumbel_max([0, 0], [0, 0, 0]), "noise must have 2 categories"),
        (lambda: gumbel_max(np.zeros((2, 3)), np.zeros((4, 3))), "noise must fit the batch"),
        (lambda: gumbel_top_k(dist, 3), "k must be at most .*, got k=3 for 2"),
        (lambda: gumbel_top_k(dist, 0), "k must be in 1 … 3"),
        (lambda: gumbel_top_k(dist.tempered(0), 2), "got k=2 for 1"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(TypeError, match="dtype must be a floating dtype"):
        gumbel_noise(3, rng=0, dtype=int)
    with pytest.raises(TypeError, match="dtype must be a floating dtype, got 'foo'"):
        gumbel_noise(3, rng=0, dtype="foo")
    with pytest.raises(TypeError, match="rng must be"):
        gumbel_noise(3, rng="seed")
    with pytest.raises(TypeError, match="shape must be an int"):
        gumbel_noise(True, rng=0)
    with pytest.raises(TypeError, match="rng must be one for all rows"):
        maximal_coupling(dist, dist, rng=[1])
