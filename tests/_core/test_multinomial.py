"""The multinomial law of counts: its definition, its digits at any n, its entropy, gradients."""

import itertools
import math

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from softargmax import Categorical
from softargmax.tokens import TopK

INF = math.inf
MP = mpmath.mp.clone()
MP.prec = 800  # H of an all but certain draw cancels 180 digits of its formula


def weights_of(logits):
    """Exact probabilities of one row of logits."""
    e = [MP.exp(MP.mpf(float(z))) if z > -INF else MP.zero for z in logits]
    total = MP.fsum(e)
    return [x / total for x in e]


def exact_log_prob(logits, counts):
    p, counts = weights_of(logits), [int(c) for c in counts]
    total = MP.loggamma(sum(counts) + 1)
    for c, q in zip(counts, p, strict=True):
        total -= MP.loggamma(c + 1) - (c * MP.log(q) if c else 0)
    return total


def exact_entropy(logits, n):
    """By the formula with binomial sums."""
    p = weights_of(logits)
    log_factorials = [MP.zero, *itertools.accumulate(MP.log(x) for x in range(1, n + 1))]
    total = -log_factorials[n] - n * MP.fsum(q * MP.log(q) for q in p if q)
    for i, q in enumerate(p):
        rest = MP.fsum(p[:i] + p[i + 1 :])  # 1 - q, which might cancel
        if q:
            term, odds = rest**n, q / rest
            for x in range(1, n + 1):
                term *= odds * (n - x + 1) / x
                total += term * log_factorials[x]
    return total


def compositions(n, k):
    """All counts of k categories with sum n."""
    for bars in itertools.combinations(range(n + k - 1), k - 1):
        edges = (-1, *bars, n + k - 1)
        yield [b - a - 1 for a, b in itertools.pairwise(edges)]


# ---------------------------------------------------------------------------- log_prob_counts


@given(st.lists(st.floats(-30, 30), min_size=1, max_size=4), st.integers(0, 6))
def test_the_law_and_its_entropy_by_enumeration(logits, n):
    dist = Categorical(logits)
    log_p = dist.log_prob_counts(list(compositions(n, len(logits))))
    p = np.exp(log_p)
    assert p.sum() == pytest.approx(1, rel=1e-13)
    assert dist.entropy_counts(n) == pytest.approx(-(p * log_p).sum(), rel=1e-12, abs=0)


def test_log_probabilities_of_any_size_keep_their_digits():
    """To 1e-15 of the value and of Σ |c - np| (1 + |log p|), at n up to 10¹⁸."""
    rng = np.random.default_rng(0)
    for power in range(1, 19):
        logits = rng.standard_normal(5) * 3
        dist = Categorical(logits)
        n = 10**power
        for counts in (dist.sample_counts(n, rng=power), np.array([n, 0, 0, n // 7, 1])):
            exact = exact_log_prob(logits, counts)
            away = np.abs(counts - counts.sum() * dist.probs) @ (1 + np.abs(dist.log_probs))
            error = abs(float(MP.mpf(float(dist.log_prob_counts(counts))) - exact))
            assert error <= 1e-15 * (abs(float(exact)) + away) + 5e-15


def test_one_draw_and_none():
    z = np.array([[0.3, -1.0, 2.0], [0.0, -40.0, -INF]])
    dist = Categorical(z, 0.7)
    np.testing.assert_allclose(
        dist.log_prob_counts(np.eye(3, dtype=int)[:, None]), dist.log_probs.T, rtol=1e-14
    )
    np.testing.assert_array_equal(dist.log_prob_counts([0, 0, 0]), [0, 0])
    np.testing.assert_allclose(dist.entropy_counts(1), dist.entropy(), rtol=1e-14)
    np.testing.assert_array_equal(dist.entropy_counts(0), [0, 0])
    sure = dist.tempered(0)
    np.testing.assert_array_equal(sure.log_prob_counts([0, 0, 5]), [0, -INF])
    np.testing.assert_array_equal(sure.entropy_counts(10**9), [0, 0])


def test_off_the_support_and_beyond_the_range_of_exp():
    dist = Categorical([0.0, -1000.0, -INF])
    assert dist.log_prob_counts([3, 0, 0]) == 0
    assert dist.log_prob_counts([3, 2, 0]) == pytest.approx(math.log(10) - 2000, rel=1e-15)
    assert dist.log_prob_counts([3, 2, 1]) == -INF
    assert dist.log_prob_counts(np.array([3, 0, 1], np.uint8)) == -INF


def test_counts_broadcast_against_the_batch_and_answer_in_its_dtype():
    z = np.float32([[0.1, -1.0, 2.0], [1.0, 0, 0]])
    dist = Categorical(z)
    counts = dist.sample_counts(10**12, rng=0)
    found = dist.log_prob_counts(np.stack([counts] * 4))
    assert found.shape == (4, 2)
    assert found.dtype == np.float32
    exact = [float(exact_log_prob(row, c)) for row, c in zip(z, counts, strict=True)]
    np.testing.assert_allclose(found[0], exact, rtol=1e-6)  # computed in float64
    assert Categorical(z, 0.5)[0].log_prob_counts([1, 2, 3]).shape == ()
    assert dist.entropy_counts(7).dtype == np.float32
    assert Categorical(np.zeros((0, 3))).log_prob_counts([1, 0, 0]).shape == (0,)
    assert Categorical(np.zeros((0, 3))).entropy_counts(200).shape == (0,)


def test_survivors_of_truncations_answer_as_dense_rows_do():
    z = np.random.default_rng(0).standard_normal((2, 5000)).astype(np.float32)
    few = TopK(30)(Categorical(z))
    dense = Categorical(z, prior=few.probs > 0)
    counts = few.sample_counts(1000, rng=1)
    np.testing.assert_allclose(few.log_prob_counts(counts), dense.log_prob_counts(counts), 1e-6)
    np.testing.assert_allclose(few.entropy_counts(1000), dense.entropy_counts(1000), 1e-6)
    assert (few.log_prob_counts(np.ones(5000, int)) == -INF).all()


# ---------------------------------------------------------------------------- entropy_counts


@pytest.mark.parametrize(
    "logits",
    [[0.0, 0.0], [0.3, -1.0, 2.0, -INF], [0.0, -30.0, -3.0], [5.0, -200.0], [0.0] * 9, [0.0, -6.0]],
)
def test_entropy_to_its_last_digits(logits):
    """Small and large means, both ways to sum, next to 0: the relative error is below 1e-13."""
    for n in (2, 3, 17, 127, 129, 700):
        exact = float(exact_entropy(logits, n))
        assert Categorical(logits).entropy_counts(n) == pytest.approx(exact, rel=1e-13, abs=0)
    if len(logits) < 4:
        p = Categorical(logits).probs
        assert stats.multinomial.entropy(20, p) == pytest.approx(
            Categorical(logits).entropy_counts(20), rel=1e-9, abs=1e-9
        )


def test_entropy_of_so_many_draws_that_the_counts_are_gaussian():
    p = np.array([0.1, 0.2, 0.7])
    dist = Categorical.from_weights(p)
    for n in (10**9, 10**14, 2**62):
        gaussian = 0.5 * (2 * math.log(2 * math.pi * math.e * n) + np.log(p).sum())
        assert dist.entropy_counts(n) == pytest.approx(gaussian, rel=1e-13 + 1 / n, abs=0)


def test_both_ways_to_sum_meet():
    """Where a mean passes 64, from the sum to the integral: no step beyond rounding."""
    n = 1000
    h = [
        float(Categorical([math.log(x), math.log(n - x)]).entropy_counts(n))
        for x in np.linspace(63.99, 64.01, 9)
    ]
    assert np.abs(np.diff(h, 3)).max() < 2e-13


def test_entropy_of_a_long_row_by_blocks():
    z = np.random.default_rng(0).standard_normal((2, 5000)) * 2
    both = Categorical(z).entropy_counts(10**6)
    alone = [Categorical(row).entropy_counts(10**6) for row in z]
    np.testing.assert_allclose(both, alone, rtol=1e-13)


# ---------------------------------------------------------------------------- errors


def test_bad_input():
    dist = Categorical([[0.0, 1.0], [2.0, 3.0]])
    for counts, error, message in [
        ([[1, 2], [3, -4]], ValueError, "counts must be non-negative, got -4 in row 1"),
        (
            [1, 2, 3],
            ValueError,
            r"counts must have 2 categories on its last axis, got shape \(3,\)",
        ),
        (3, ValueError, r"counts must have 2 categories .* got shape \(\)"),
        ([1.0, 2.0], TypeError, "counts must be integers, got dtype float64"),
        ([True, False], TypeError, "counts must be integers, got dtype bool"),
        (np.ones((3, 2), int), ValueError, r"counts must fit the batch axes \(2,\)"),
    ]:
        with pytest.raises(error, match=message):
            dist.log_prob_counts(counts)
    for n, error, message in [
        (-1, ValueError, "n must be 0 or more, got -1"),
        (2**63, ValueError, "n must be at most"),
        (2.0, TypeError, "n must be an integer, got 2.0"),
    ]:
        with pytest.raises(error, match=message):
            dist.entropy_counts(n)


# ---------------------------------------------------------------------------- other libraries


def test_the_strictest_namespace():
    xp = pytest.importorskip("array_api_strict")
    z = np.array([[0.3, -1.0, 2.0, -INF], [0.0, -400.0, -3.0, -5.0]])
    ours, numpys = Categorical(xp.asarray(z)), Categorical(z)
    for counts in ([0, 2, 10**9, 0], [[1, 2, 3, 0], [0, 0, 0, 0]]):
        found = ours.log_prob_counts(xp.asarray(counts))
        np.testing.assert_allclose(np.asarray(found), numpys.log_prob_counts(counts), rtol=1e-13)
    for n in (0, 5, 1000, 10**12):
        found = np.asarray(ours.entropy_counts(n))
        np.testing.assert_allclose(found, numpys.entropy_counts(n), rtol=1e-12, atol=1e-300)


@pytest.mark.frameworks
def test_gradients_in_torch():
    torch = pytest.importorskip("torch")
    z = np.array([[0.3, -1.0, 2.0, -INF], [0.0, 0.5, -900.0, 1.0]])
    counts = np.array([[3, 1, 7, 0], [10, 0, 2, 9]])
    leaf = torch.tensor(z, requires_grad=True)
    dist = Categorical(leaf, 0.5)
    (slope,) = torch.autograd.grad(dist.log_prob_counts(torch.tensor(counts)).sum(), leaf)
    p = Categorical(z, 0.5).probs
    expected = 2 * (counts - counts.sum(-1, keepdims=True) * p)
    np.testing.assert_allclose(slope.numpy(), expected, rtol=1e-12, atol=1e-12)
    kept = torch.tensor(z[:, :2], requires_grad=True)
    for n in (3, 400):
        assert torch.autograd.gradcheck(lambda y, n=n: Categorical(y).entropy_counts(n), kept)
        (slope,) = torch.autograd.grad(Categorical(leaf).entropy_counts(n).sum(), leaf)
        assert torch.isfinite(slope).all()
        found = Categorical(torch.tensor(z)).entropy_counts(n)
        np.testing.assert_allclose(found, Categorical(z).entropy_counts(n), rtol=1e-13)
    impossible = dist.log_prob_counts(torch.tensor([0, 0, 0, 1]))
    assert impossible[0] == -INF
    assert torch.isfinite(torch.autograd.grad(impossible[1], leaf)[0]).all()


@pytest.mark.frameworks
def test_jax_gradients_and_negative_counts_that_cannot_be_seen():
    jax = pytest.importorskip("jax")
    z = jax.numpy.asarray([[0.3, -1.0, 2.0, -INF], [0.0, 0.5, -1.0, 1.0]])
    counts = np.array([[3, 1, 7, 0], [10, 0, 2, 9]])

    @jax.jit
    def law(z, counts):
        def total(z):
            found = Categorical(z).log_prob_counts(counts)
            return found.sum(), found

        return jax.grad(total, has_aux=True)(z)

    slope, found = law(z, counts)
    p = np.asarray(Categorical(z).probs)
    np.testing.assert_allclose(slope, counts - counts.sum(-1, keepdims=True) * p, atol=1e-4)
    numpys = Categorical(np.asarray(z)).log_prob_counts(counts)
    np.testing.assert_allclose(found, numpys, rtol=1e-5)
    bad = counts.copy()
    bad[0, 1] = -1
    again = law(z, bad)[1]
    assert np.isnan(again[0])
    assert again[1] == found[1]
    wrong = law(z.at[1, 0].set(np.nan), counts)[1]
    assert np.isnan(wrong[1])
    assert wrong[0] == found[0]

    entropy = jax.jit(jax.value_and_grad(lambda z: Categorical(z).entropy_counts(300)[1]))
    h, slope = entropy(z)
    exact = Categorical(np.asarray(z, np.float64)).entropy_counts(300)[1]
    assert float(h) == pytest.approx(float(exact), rel=1e-5)
    assert np.isfinite(slope).all()
