"""Quantities without randomness: of categories, of distributions, moments, derivatives."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from softargmax import Categorical

INF = np.inf
LOGIT = st.one_of(st.floats(-30, 30), st.just(-INF), st.integers(-2, 2).map(float))
ROWS = hnp.arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(1, 6)), elements=LOGIT).map(
    lambda z: np.where(np.isneginf(z).all(-1, keepdims=True), 0.0, z)
)


# ---------------------------------------------------------------------------- of categories


@given(ROWS)
def test_probabilities_agree_with_each_other(z):
    dist = Categorical(z, 0.7)
    p, log_p = dist.probs, dist.log_probs
    np.testing.assert_allclose(np.exp(log_p), p, rtol=1e-13)
    categories = np.tile(np.arange(z.shape[1])[:, None], len(z))
    np.testing.assert_array_equal(dist.prob(categories), p.T)
    np.testing.assert_array_equal(dist.log_prob(categories), log_p.T)
    np.testing.assert_allclose(dist.cdf(categories), p.cumsum(-1).T, rtol=1e-13)
    assert (dist.cdf(z.shape[1] - 1) == 1).all()
    np.testing.assert_array_equal(p[np.arange(len(z)), dist.mode()], p.max(-1))


@given(ROWS, st.lists(st.floats(0, 1), min_size=1, max_size=5))
def test_quantile_inverts_the_cdf(z, levels):
    dist = Categorical(z)
    u = np.array([*levels, 0.0, np.nextafter(1, 0), 1.0])
    u = np.tile(u[:, None], len(z))
    x = dist.quantile(u)
    assert (dist.prob(x) > 0).all()
    below = np.where(x > 0, dist.cdf(np.maximum(x - 1, 0)), 0)
    assert (below <= u).all()
    assert ((dist.cdf(x) > u) | (u == 1)).all()
    # A level that is exactly cdf(x) belongs to the next category.
    at = dist.cdf(0)
    assert (dist.quantile(at)[at < 1] > 0).all()
    last = np.where(dist.probs > 0, np.arange(z.shape[1]), -1).max(-1)
    np.testing.assert_array_equal(dist.quantile(1.0), last)


@pytest.mark.parametrize("batch", [(), (3,)])
def test_quantile_to_its_last_digits(batch):
    logits = np.broadcast_to([0.0, math.log(1e-12)], (*batch, 2))
    dist = Categorical(logits)
    assert np.all(dist.quantile(1 - 2e-12) == 0)
    assert np.all(dist.quantile(1 - 5e-13) == 1)
    hidden = Categorical(np.broadcast_to([0.0, -40.0, -INF], (*batch, 3)))  # below 2⁻⁵³
    assert np.all(hidden.quantile(np.nextafter(1, 0)) == 0)
    assert np.all(hidden.quantile(1.0) == 1)


def test_top_is_in_falling_order_with_ties_by_lowest_index():
    dist = Categorical([[1, 3, 3, -INF], [0, 0, 0, 0], [-INF, -INF, -INF, 0]])
    indices, log_probs = dist.top(4)
    np.testing.assert_array_equal(indices, [[1, 2, 0, 3], [0, 1, 2, 3], [3, 0, 1, 2]])
    np.testing.assert_array_equal(log_probs, np.take_along_axis(dist.log_probs, indices, -1))
    assert log_probs[2].tolist() == [0, -INF, -INF, -INF]
    assert dist.top(0)[0].shape == (3, 0)
    cold = Categorical([1, 3, 2, 3], 0).top(3)
    assert cold[0].tolist() == [1, 3, 0]
    assert cold[1][2] == -INF
    rng = np.random.default_rng(0)
    z = rng.integers(0, 50, (3, 2000)).astype(np.float32)  # many ties beside the threshold
    np.testing.assert_array_equal(
        Categorical(z).top(77)[0], np.argsort(-z, axis=-1, kind="stable")[:, :77]
    )


def test_top_compares_scores_not_rounded_log_probabilities():
    z = np.array([1e4, 1e4 + 1 / 512, 0.0] + [1e4 - 3] * 40_000, np.float32)
    assert Categorical(z, 3e4).top(1)[0][0] == 1


# ---------------------------------------------------------------------------- information


@given(ROWS)
def test_entropy_lies_between_its_limits(z):
    for t in (0, 0.3, 1, INF):
        dist = Categorical(z, t)
        h = dist.entropy()
        support = (z > -INF).sum(-1)
        tied = (z == z.max(-1, keepdims=True)).sum(-1)
        assert (h >= np.log(tied) * (1 - 1e-14) - 1e-15).all()
        assert (h <= np.log(support) * (1 + 1e-14) + 1e-15).all()
        np.testing.assert_allclose(dist.perplexity(), np.exp(h), rtol=1e-14)
    np.testing.assert_allclose(Categorical(z, INF).entropy(), np.log(support), rtol=1e-14)
    np.testing.assert_allclose(Categorical(z, 0).entropy(), np.log(tied), rtol=1e-14)


@given(ROWS, st.floats(-3, 3))
def test_kl_is_cross_entropy_less_entropy(z, coldness):
    p, q = Categorical(z), Categorical(z, coldness=coldness)
    kl = p.kl_divergence(q)
    assert (kl >= 0).all()
    np.testing.assert_allclose(kl, p.cross_entropy(q) - p.entropy(), rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(p.kl_divergence(p), 0)
    np.testing.assert_array_equal(p.kl_divergence(Categorical(z + 0.0)), 0)
    np.testing.assert_allclose(p.cross_entropy(p), p.entropy(), rtol=1e-12, atol=1e-15)


def test_information_of_a_published_example():
    p, q = Categorical.from_weights([36, 48, 16]), Categorical.from_weights([1, 1, 1])
    w = np.array([0.36, 0.48, 0.16])
    assert p.entropy() == pytest.approx(stats.entropy(w), rel=1e-14, abs=0)
    assert p.kl_divergence(q) == pytest.approx(stats.entropy(w, [1, 1, 1]), rel=1e-13, abs=0)
    assert q.kl_divergence(p) == pytest.approx(stats.entropy([1, 1, 1], w), rel=1e-13, abs=0)


def test_kl_of_next_to_equal_distributions_is_never_negative():
    z = np.random.default_rng(0).standard_normal((1000, 20))
    near = z + 1e-12 * np.random.default_rng(1).standard_normal(z.shape)
    assert (Categorical(z).kl_divergence(Categorical(near)) >= 0).all()


def test_what_cannot_happen_costs_nothing_and_what_the_other_forbids_costs_infinity():
    full, part = Categorical([0.0, 0, 0]), Categorical([0.0, 0, -INF])
    assert part.kl_divergence(full) == pytest.approx(np.log(1.5))
    assert full.kl_divergence(part) == full.cross_entropy(part) == INF
    assert part.cross_entropy(part) == pytest.approx(np.log(2))
    assert Categorical([0, 1], 0).kl_divergence(Categorical([0, 1], 0)) == 0
    assert Categorical([0, 1], 0).kl_divergence(Categorical([1, 0], 0)) == INF


def test_pairs_broadcast():
    p = Categorical(np.zeros(3), temperature=[1.0, 2.0])
    q = Categorical(np.full((4, 1, 3), [0.0, 1, 2]))
    assert p.kl_divergence(q).shape == q.kl_divergence(p).shape == (4, 2)
    assert Categorical(np.zeros(3, np.float32)).kl_divergence(q).dtype == np.float64


# ---------------------------------------------------------------------------- moments


@given(ROWS, st.integers(0, 2**32 - 1))
def test_moments_by_definition(z, seed):
    v = np.random.default_rng(seed).standard_normal(z.shape)
    dist = Categorical(z)
    mean = (dist.probs * v).sum(-1)
    np.testing.assert_allclose(dist.expectation(v), mean, rtol=1e-12, atol=1e-14)
    second = (dist.probs * (v - mean[:, None]) ** 2).sum(-1)
    np.testing.assert_allclose(dist.variance(v), second, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(dist.variance(v + 1e3), second, rtol=1e-6, atol=1e-9)


def test_values_at_probability_zero_do_not_count():
    dist = Categorical([0.0, 0.0, -INF])
    for ghost in (np.nan, INF, -INF):
        assert dist.expectation([1, 3, ghost]) == 2
        assert dist.variance([1, 3, ghost]) == 1
    assert dist.expectation([1, INF, 0]) == INF
    assert np.isnan(dist.expectation([-INF, INF, 0]))
    assert dist.expectation(np.array([True, False, True])) == 0.5
    assert Categorical([1, 5, 10], 0).variance([3, 4, 1e300]) == 0


# ---------------------------------------------------------------------------- derivatives


@given(ROWS, st.floats(-3, 3))
def test_identities_of_the_derivatives(z, coldness):
    dist = Categorical(z, coldness=coldness)
    p, num_categories = dist.probs, z.shape[1]
    scores = dist.score(np.tile(np.arange(num_categories)[:, None], len(z)))  # (x, rows, K)
    np.testing.assert_allclose(scores.sum(-1), 0, atol=1e-12)
    expected = np.einsum("rx,xrk->rk", p, scores)  # E[score] = 0
    np.testing.assert_allclose(expected, 0, atol=1e-12)
    fisher = dist.fisher_information()
    np.testing.assert_allclose(
        fisher, np.einsum("rx,xri,xrj->rij", p, scores, scores), rtol=1e-9, atol=1e-12
    )
    np.testing.assert_allclose(dist.entropy_gradient().sum(-1), 0, atol=1e-12)
    masked = np.isneginf(z)
    assert not dist.entropy_gradient()[masked].any()
    assert not fisher[masked].any()
    assert not fisher.swapaxes(-1, -2)[masked].any()
    assert not scores[:, masked].any()
    for k, r in itertools.product(range(num_categories), range(len(z))):
        assert not masked[r, k] or not scores[k, r].any()


@pytest.mark.parametrize("heat", [{"temperature": 0}, {"coldness": -INF}, {"coldness": INF}])
def test_derivatives_vanish_at_infinite_coldness_ties_included(heat):
    dist = Categorical([[1, 5, 5], [2, 2, 2]], **heat)
    assert not dist.score([1, 0]).any()
    assert not dist.entropy_gradient().any()
    assert not dist.fisher_information().any()


def test_score_keeps_its_digits_next_to_one():
    s = Categorical([0.0, -40.0]).score(0)
    np.testing.assert_allclose(s, [np.exp(-40), -np.exp(-40)], rtol=1e-14)
    f = Categorical([0.0, -40.0]).fisher_information()
    np.testing.assert_allclose(f, np.exp(-40) * np.array([[1, -1], [-1, 1]]), rtol=1e-14)


@pytest.mark.parametrize("width", [2, 300, 2000])
def test_a_category_without_axes_has_a_number_for_a_log_probability(width):
    dist = Categorical(np.linspace(0, 1, width))
    for category in (1, np.int64(1), np.array(1), np.array(1, np.int32)):
        for found in (dist.log_prob(category), dist.prob(category)):
            assert type(found) is np.float64
