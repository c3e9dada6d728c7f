"""Policies: exact tables, masks at every setting, gradients, Gymnasium's shapes and masks."""

import itertools
import math
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special, stats

from softargmax import Categorical
from softargmax.draws import Keyed
from softargmax.policies import (
    MultiCategorical,
    action_mask_from_info,
    boltzmann,
    boltzmann_gumbel,
    epsilon_greedy,
    greedy,
    kl_regularized,
    with_dirichlet_noise,
)
from statistical import check_counts, check_draws

inf = math.inf
Q = np.array([[1.0, 5.0, 5.0, 9.0], [0.0, -inf, 2.0, 1.0], [3.0, 3.0, 3.0, 3.0]])
MASK = np.array([[1, 1, 1, 0], [1, 1, 0, 1], [0, 0, 1, 0]], np.int8)
LEGAL = MASK.astype(bool) & ~np.isneginf(Q)


def everything(mask=MASK, rng=0):
    """Every policy at every setting, of the values above."""
    for temperature in (0, 1e-300, 0.1, 1.0, 1e300, inf, [0.0, 1.0, inf]):
        yield boltzmann(Q, temperature, mask=mask)
    for epsilon in (0, 1e-300, 0.1, 1.0, [0.0, 0.5, 1.0]):
        yield epsilon_greedy(Q, epsilon, mask=mask)
    yield greedy(Q, mask=mask)
    for scale in (0.0, 1.0, [0.0, 1.0, 100.0]):
        for counts in (np.zeros((3, 4)), np.arange(12).reshape(3, 4), np.ones(4, np.int8)):
            yield boltzmann_gumbel(Q, counts, scale, mask=mask, rng=rng)
    for fraction in (0, 1e-3, 0.25, 1):
        for alpha in (1e-9, 0.3, 10.0, [0.1, 1.0, 1e6]):
            legal = boltzmann(Q, 1.0, mask=mask)
            yield with_dirichlet_noise(legal, alpha, fraction, rng=rng)


def test_illegal_actions_have_probability_0_at_every_setting():
    for policy in everything():
        assert policy.batch_shape == (3,)
        assert (policy.probs[~LEGAL] == 0).all()
        assert (policy.log_probs[~LEGAL] == -inf).all()
        assert_allclose(policy.probs.sum(-1), 1, rtol=1e-14)
        draws = policy.sample(200, rng=1)
        assert draws.dtype == np.int64
        assert LEGAL[np.arange(3), draws].all()
        x, log_p = policy.sample_and_log_prob(rng=2)
        assert x.shape == log_p.shape == (3,)
        assert_array_equal(log_p, policy.log_prob(x))


def test_greedy_is_the_limit_of_both():
    expected = [[0, 0.5, 0.5, 0], [0, 0, 0, 1], [0, 0, 1, 0]]
    for policy in (
        greedy(Q, mask=MASK),
        boltzmann(Q, 0, mask=MASK),
        epsilon_greedy(Q, 0, mask=MASK),
    ):
        assert_array_equal(policy.probs, expected)
    assert_array_equal(greedy(Q).probs[2], [0.25] * 4)
    assert_array_equal(greedy(Q).mode(), [3, 2, 0])


@pytest.mark.parametrize("epsilon", [0.0, 1e-300, 1e-17, 0.05, 0.5, 1.0])
def test_epsilon_greedy_against_enumeration(epsilon):
    policy = epsilon_greedy(Q, epsilon, mask=MASK)
    for row in range(3):
        legal = np.flatnonzero(LEGAL[row])
        best = [a for a in legal if Q[row, a] == Q[row, legal].max()]
        for action in range(4):
            if action not in legal:
                exact = -inf
            elif action in best and len(best) == 1:
                exact = math.log1p(-epsilon * (len(legal) - 1) / len(legal))
            else:
                p = epsilon / len(legal) + (1 - epsilon) / len(best) * (action in best)
                exact = math.log(p) if p else -inf
            got = policy.log_prob(np.full(3, action))[row]
            assert got == pytest.approx(exact, rel=1e-13, abs=0), (row, action)


def test_epsilon_meets_the_batch():
    policy = epsilon_greedy([1.0, 2.0], [0.0, 0.5, 1.0])
    assert_allclose(policy.probs, [[0, 1], [0.25, 0.75], [0.5, 0.5]], rtol=1e-15)
    assert epsilon_greedy(Q, [0.1] * 3).batch_shape == (3,)
    assert epsilon_greedy(Q.astype(np.float32), 0.1).dtype == np.float32
    counts = np.bincount(policy[1].sample(400_000, rng=3), minlength=2)
    check_counts(counts, [0.25, 0.75], detects=0.006)


def test_boltzmann_is_the_categorical():
    policy = boltzmann(Q, [0.5, 1.0, 2.0], mask=MASK)
    same = Categorical(Q, [0.5, 1.0, 2.0], prior=MASK)
    assert_array_equal(policy.log_probs, same.log_probs)
    assert_array_equal(policy.tempered(0).probs, greedy(Q, mask=MASK).probs)
    values = Q.copy()
    policy = boltzmann(values, 1.0)
    values[:] = 0
    assert_array_equal(policy.logits, Q)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_kl_regularized_plays_what_the_reference_plays(dtype):
    values = np.array([5.0, 1.0, 2.0, 9.0], dtype)
    best = Categorical(np.array([1.0, 3.0, 3.0, 0.0], dtype), 0)  # p = 0 without a mask
    assert_array_equal(kl_regularized(values, best, 0).probs, [0, 0, 1, 0])
    assert_array_equal(kl_regularized(values, best, math.inf).probs, best.probs)
    with pytest.raises(ValueError, match="value -inf or is forbidden by the reference"):
        kl_regularized([1.0, -math.inf, -math.inf, 1.0], best, 1)


def test_a_reference_beyond_the_range_of_the_values_is_quiet():
    reference = Categorical([0.0, -1e39, -3.0])
    with np.errstate(all="raise"):
        found = kl_regularized(np.zeros(3, np.float32), reference, 1.0).probs
    np.testing.assert_allclose(found, reference.probs, rtol=1e-6)


def test_kl_regularized_trades_value_against_divergence():
    rng = np.random.default_rng(0)
    reference = Categorical(rng.normal(size=(5, 4)), prior=[1, 1, 0, 1])
    values = rng.normal(0, 3, (5, 4))
    for temperature in (0.2, 1.0, 7.0):
        policy = kl_regularized(values, reference, temperature)
        weights = reference.probs * np.exp(values / temperature)
        assert_allclose(policy.probs, weights / weights.sum(-1, keepdims=True), rtol=1e-13)

        def worth(p, t=temperature):
            return p.expectation(values) - t * p.kl_divergence(reference)

        for other in (reference, Categorical(rng.normal(size=4), prior=[1, 1, 0, 1])):
            assert (worth(policy) >= worth(other)).all()
    assert_allclose(kl_regularized(values, reference, inf).probs, reference.probs, rtol=1e-14)
    ties = kl_regularized([1.0, 1.0, 9.0, 0.0], Categorical.from_weights([1, 3, 0, 2]), 0)
    assert_allclose(ties.probs, [0.25, 0.75, 0, 0], rtol=1e-15)
    # a float32 reference of probabilities far below the smallest float32
    far = Categorical(np.float32([0.0, -300.0]))
    assert kl_regularized([0.0, 300.0], far, 1.0).probs[1] == pytest.approx(0.5, rel=1e-5)
    assert kl_regularized(np.float32([0, 300]), far, 1.0).dtype == np.float32


# ---------------------------------------------------------------------------- noise


def test_dirichlet_noise_has_its_law():
    n, alpha = 100_000, 0.4
    dist = Categorical(np.zeros((n, 4)), prior=[1, 1, 0, 1])
    noise = with_dirichlet_noise(dist, alpha, 1.0, rng=0).probs
    assert (noise[:, 2] == 0).all()
    # Each share is Beta(α, 2α); their sums of two as well, Beta(2α, α).
    for share in noise[:, [0, 1, 3]].T:
        assert stats.kstest(share, stats.beta(alpha, 2 * alpha).cdf).pvalue > 1e-7
    pair = noise[:, 0] + noise[:, 3]
    assert stats.kstest(pair, stats.beta(2 * alpha, alpha).cdf).pvalue > 1e-7


def test_dirichlet_noise_is_mixed_in():
    p = Categorical([[0.0, 1.0, 2.0, -inf]] * 2, 0.5)
    rows = [7, 8]
    eta = with_dirichlet_noise(p, 0.3, 1, rng=rows).probs
    mixed = with_dirichlet_noise(p, 0.3, 0.25, rng=rows).probs
    assert_allclose(mixed, 0.75 * p.probs + 0.25 * eta, rtol=1e-13)
    assert_allclose(with_dirichlet_noise(p, 0.3, 0, rng=7).log_probs, p.log_probs, rtol=1e-14)
    both = with_dirichlet_noise(p, [0.3, 9.0], [0.25, 0.0], rng=rows).probs
    assert_allclose(both[0], mixed[0], rtol=1e-13)
    assert_allclose(both[1], p.probs[1], rtol=1e-13)
    # the noise reaches what is legal but has no probability, as after arg max
    assert (with_dirichlet_noise(p.tempered(0), 1.0, 0.5, rng=0).probs[:, :3] > 0).all()
    # an α so small that one action takes all, and one so large that all are alike
    ends = with_dirichlet_noise(p, [1e-300, 1e300], 1, rng=7).probs
    assert_array_equal(np.sort(ends[0]), [0, 0, 0, 1])
    assert_allclose(ends[1], [1 / 3, 1 / 3, 1 / 3, 0], rtol=1e-12)


def test_noise_shares_nothing_with_draws_of_an_equal_seed():
    dist = Categorical(np.zeros((20_000, 2)))
    noise = with_dirichlet_noise(dist, 1.0, 1.0, rng=5).probs[:, 0]
    for drawn in (dist.sample(rng=5), dist.sample(rng=np.random.default_rng(5))):
        assert abs(np.corrcoef(noise, drawn)[0, 1]) < 5 / math.sqrt(20_000)


@pytest.mark.parametrize(
    "policy",
    [
        lambda q, rng: with_dirichlet_noise(Categorical(q), 0.3, 0.5, rng=rng),
        lambda q, rng: boltzmann_gumbel(q, np.full(4, 3), 1.0, rng=rng),
    ],
)
def test_one_rng_a_row(policy):
    q = np.random.default_rng(0).normal(size=(3, 4))
    whole = policy(q, [1, 2, 3]).log_probs
    assert_array_equal(policy(q[[2, 0]], [3, 1]).log_probs, whole[[2, 0]])
    assert_array_equal(policy(q, 9).log_probs, policy(q, 9).log_probs)
    with pytest.raises(ValueError, match="one entry a row, 3 in all, got 2"):
        policy(q, [1, 2])


def test_boltzmann_gumbel_has_the_law_of_its_noise():
    # With equal counts N the perturbed arg max is softargmax at T = C / √N.
    n, values = 200_000, np.array([0.0, 0.5, 1.0])
    policy = boltzmann_gumbel(np.broadcast_to(values, (n, 3)), [4, 4, 4], 1.6, rng=0)
    check_draws(policy.mode(), Categorical(values, 0.8).probs, detects=0.01)
    assert_array_equal(policy.sample(rng=1), policy.mode())
    assert_array_equal(policy.log_prob(policy.mode()), np.zeros(n))
    # Of two actions, one hardly visited: P(first) = P(C₁ g₁ - C₂ g₂ > gap), by quadrature.
    widths = np.array([1.0, 0.1])
    policy = boltzmann_gumbel(np.broadcast_to([0.0, 1.0], (n, 2)), [1, 100], 1.0, rng=2)
    grid = np.linspace(-5, 40, 400_001)
    density = stats.gumbel_r.pdf(grid)
    first = (density * stats.gumbel_r.cdf((widths[0] * grid - 1.0) / widths[1])).sum() * (
        grid[1] - grid[0]
    )
    check_draws(policy.mode(), [first, 1 - first], detects=0.01)


def test_boltzmann_gumbel_tries_everything_legal_first():
    n = 60_000
    values = np.broadcast_to([9.0, 1e300, 0.0, -5.0], (n, 4))
    policy = boltzmann_gumbel(values, [5, 1, 0, 0], 1.0, rng=0)
    check_draws(policy.mode(), [0, 0, 0.5, 0.5], detects=0.02)
    masked = boltzmann_gumbel(values, [5, 1, 0, 0], 1.0, mask=[1, 1, 1, 0], rng=0)
    assert (masked.mode() == 2).all()
    visited = boltzmann_gumbel(values, [5, 1, 0, 0], 0.0, mask=[1, 1, 0, 0], rng=0)
    assert (visited.mode() == 1).all()
    ties = boltzmann_gumbel([1.0, 1.0, 0.0], [1, 2, 3], 0.0, rng=0)
    assert_array_equal(ties.probs, [0.5, 0.5, 0])


def test_policies_of_extreme_values():
    # a small probability may come with a large value
    far = kl_regularized([900.0, 0.0], Categorical([-750.0, 0.0]), 1.0)
    assert far.probs.tolist() == [1, pytest.approx(math.exp(-150))]
    mild = kl_regularized([800.0, 0.0], Categorical([-800.0, 0.0]), 1.0)
    assert_allclose(mild.probs, [0.5, 0.5], rtol=1e-12)
    ladder = kl_regularized([1.0, 0.0], Categorical([0.0, 1.0]), [0.0, 1.0, inf])
    assert_allclose(ladder.probs[:, 0], [1, 0.5, 1 / (1 + math.e)], rtol=1e-12)
    # noise of any size
    for scale in (1e39, 1e300, 1e308):
        for dtype in (np.float32, np.float64):
            policy = boltzmann_gumbel(np.array([1, 2, 3], dtype), [1, 1, 1], scale, rng=0)
            assert policy.probs.sum() == 1
            same = boltzmann_gumbel(np.zeros(3), [1, 1, 1], 1.0, rng=0)
            assert policy.mode() == same.mode()
    assert boltzmann_gumbel([1.0, 2], [1e-320, 1], 1e300, rng=0).probs.sum() == 1
    smallest = epsilon_greedy([1.0, 2.0, 3.0], 5e-324).log_probs
    assert_allclose(smallest[:2], math.log(5e-324) - math.log(3), rtol=1e-12)


# ---------------------------------------------------------------------------- several dimensions

SIZES = (3, 1, 4)
LOGITS = np.random.default_rng(5).normal(0, 2, (6, 8))
FREE = np.random.default_rng(6).integers(0, 2, (6, 8)).astype(np.int8)
FREE[:, [0, 3, 5]] = 1


def parts(temperature=1.0, mask=None):
    """The dimensions one by one."""
    ends = np.cumsum((0, *SIZES))
    return [
        Categorical(LOGITS[:, a:b], temperature, prior=None if mask is None else mask[:, a:b])
        for a, b in itertools.pairwise(ends)
    ]


@pytest.mark.parametrize("mask", [None, FREE], ids=["free", "masked"])
@pytest.mark.parametrize("temperature", [0, 0.7, inf, np.linspace(0, 2, 6)], ids=str)
def test_multi_is_the_product_of_its_dimensions(temperature, mask):
    multi = MultiCategorical(LOGITS, SIZES, temperature=temperature, mask=mask)
    alone = parts(temperature, mask)
    assert multi.batch_shape == (6,)
    assert multi.sizes == SIZES
    assert_allclose(multi.entropy(), sum(d.entropy() for d in alone), rtol=1e-13, atol=1e-16)
    assert_allclose(multi.probs, np.concatenate([d.probs for d in alone], -1), rtol=1e-14)
    assert_array_equal(multi.mode(), np.stack([d.mode() for d in alone], -1))
    for action in itertools.product(*map(range, SIZES)):
        expected = sum(d.log_prob(a) for d, a in zip(alone, action, strict=True))
        assert_allclose(multi.log_prob(action), expected, rtol=1e-13)
        scores = [d.score(a) for d, a in zip(alone, action, strict=True)]
        assert_allclose(multi.score(action), np.concatenate(scores, -1), atol=1e-14)
    gradients = np.concatenate([d.entropy_gradient() for d in alone], -1)
    assert_allclose(multi.entropy_gradient(), gradients, atol=1e-14)
    x, log_p = multi.sample_and_log_prob((5, 2), rng=0)
    assert x.dtype == np.int64
    assert x.shape == (5, 2, 6, 3)
    assert_array_equal(log_p, multi.log_prob(x))
    assert np.isfinite(log_p).all()


def test_multi_probabilities_sum_to_1():
    multi = MultiCategorical(LOGITS, SIZES, mask=FREE)
    actions = np.array(list(itertools.product(*map(range, SIZES))))
    everywhere = np.tile(actions[:, None], (*multi.batch_shape, 1))
    assert_allclose(np.exp(multi.log_prob(everywhere)).sum(0), 1, rtol=1e-14)


def test_multi_of_falling_sizes():
    multi = MultiCategorical(LOGITS[0], (4, 3, 1), temperature=0.5)
    exact = [Categorical(part, 0.5).probs for part in np.split(LOGITS[0], [4, 7])]
    assert_allclose(multi.probs, np.concatenate(exact), rtol=1e-14)


WIDE = (2, 5000, 3, 40, 1, 700)  # too different for one padded batch


def test_multi_of_one_large_dimension():
    """Whatever dimensions are computed together, each is its own distribution."""
    rng = np.random.default_rng(5)
    logits, ends = rng.standard_normal((2, sum(WIDE))), np.cumsum(WIDE)[:-1]
    mask = rng.random(logits.shape) < 0.7
    mask[:, [0, *ends]] = True
    t = np.array([0.5, 2.0])
    multi = MultiCategorical(logits, WIDE, temperature=t, mask=mask)
    pieces = zip(np.split(logits, ends, -1), np.split(mask, ends, -1), strict=True)
    alone = [Categorical(z, t, prior=m) for z, m in pieces]
    assert_allclose(multi.probs, np.concatenate([d.probs for d in alone], -1), rtol=1e-13)
    assert_allclose(multi.log_probs, np.concatenate([d.log_probs for d in alone], -1), rtol=1e-13)
    assert_array_equal(multi.mode(), np.stack([d.mode() for d in alone], -1))
    assert_allclose(multi.entropy(), sum(d.entropy() for d in alone), rtol=1e-13)
    gradients = np.concatenate([d.entropy_gradient() for d in alone], -1)
    assert_allclose(multi.entropy_gradient(), gradients, atol=1e-14)
    for i, d in enumerate(alone):
        one = multi.dimension(i)
        assert one.num_categories == 5000
        assert_allclose(one.probs[:, : WIDE[i]], d.probs, rtol=1e-13)
        assert not one.probs[:, WIDE[i] :].any()
    x, log_p = multi.sample_and_log_prob((3,), rng=0)
    assert x.shape == (3, 2, len(WIDE))
    expected = sum(d.log_prob(x[..., i]) for i, d in enumerate(alone))
    assert_allclose(log_p, expected, rtol=1e-12)
    scores = [d.score(x[..., i]) for i, d in enumerate(alone)]
    assert_allclose(multi.score(x), np.concatenate(scores, -1), atol=1e-14)
    assert_allclose(multi.kl_divergence(multi.tempered(1.0)).shape, (2,))
    other = sum(d.kl_divergence(d.tempered([1.0, 3.0])) for d in alone)
    assert_allclose(multi.kl_divergence(multi.tempered([1.0, 3.0])), other, rtol=1e-12)
    assert_allclose(multi[1].probs, multi.probs[1], rtol=1e-13)
    copied = pickle.loads(pickle.dumps(multi))
    assert_array_equal(copied.sample(4, rng=3), multi.sample(4, rng=3))
    assert_array_equal(multi.sample(4, rng=[1, 2])[:, 1], multi[1].sample(4, rng=2))
    keyed = multi.sample(5, rng=Keyed(3))
    later = multi.sample(3, rng=Keyed(3, start=2 * 2 * len(WIDE)))
    assert_array_equal(keyed[2:], later)
    with pytest.raises(ValueError, match="in dimension 3"):
        multi.log_prob([0, 0, 0, 40, 0, 0])


def test_draws_of_large_and_small_dimensions_are_independent():
    sizes = (2, 3000, 2)
    z = np.zeros(3004)
    z[4:3002] = -math.inf  # two of the 3,000 are left
    for n, rng in ((20_000, 0), (20_000, Keyed(1))):
        x = MultiCategorical(z, sizes).sample(n, rng=rng)
        cells = np.ravel_multi_index(x.T, (2, 2, 2))
        check_draws(cells, np.full(8, 1 / 8), detects=0.2)


@pytest.mark.frameworks
def test_multi_of_one_large_dimension_elsewhere():
    logits = np.random.default_rng(5).standard_normal(sum(WIDE))
    exact = MultiCategorical(logits, WIDE)
    torch = pytest.importorskip("torch")
    ours = MultiCategorical(torch.tensor(logits), WIDE)
    assert_allclose(ours.probs, exact.probs, rtol=1e-13)
    assert_array_equal(ours.sample(3, rng=0), exact.sample(3, rng=0))
    jax = pytest.importorskip("jax")

    z = np.zeros(3004)
    z[4:3002] = -math.inf
    x = MultiCategorical(jax.numpy.asarray(z), (2, 3000, 2)).sample(2000, rng=jax.random.key(0))
    check_draws(np.ravel_multi_index(np.asarray(x).T, (2, 2, 2)), np.full(8, 1 / 8), detects=0.6)


def test_multi_draws():
    multi = MultiCategorical(LOGITS[0], SIZES, temperature=2.0, mask=FREE[0])
    x = multi.sample(300_000, rng=0)
    joint = np.ravel_multi_index(x.T, SIZES)
    actions = np.array(list(itertools.product(*map(range, SIZES))))
    check_draws(joint, np.exp(multi.log_prob(actions)), detects=0.01)


def test_multi_objects():
    multi = MultiCategorical(LOGITS, SIZES, mask=FREE)
    assert repr(multi) == "MultiCategorical(batch_shape=(6,), sizes=(3, 1, 4), dtype=float64)"
    later = pickle.loads(pickle.dumps(multi))
    assert_array_equal(later.sample(rng=3), multi.sample(rng=3))
    assert len(multi) == len(list(multi)) == 6
    assert_array_equal(multi[2].log_probs, multi.log_probs[2])
    assert multi[1:3].batch_shape == (2,)
    assert_allclose(multi.dimension(2).probs, parts(mask=FREE)[2].probs, rtol=1e-15)
    assert_allclose(multi.dimension(0).probs[:, :3], parts(mask=FREE)[0].probs)
    other = MultiCategorical(LOGITS[::-1], SIZES)
    expected = sum(
        a.kl_divergence(b) for a, b in zip(parts(), [d[::-1] for d in parts()], strict=True)
    )
    assert_allclose(MultiCategorical(LOGITS, SIZES).kl_divergence(other), expected, rtol=1e-12)
    cold = multi.tempered(0)
    assert_array_equal(cold.sample(rng=0), multi.mode())
    ladder = MultiCategorical(LOGITS[0], SIZES).tempered([0.0, 1.0, inf])
    same = MultiCategorical(LOGITS[0], SIZES, temperature=[0.0, 1.0, inf])
    assert ladder.batch_shape == same.batch_shape == (3,)
    assert_array_equal(ladder.probs, same.probs)
    with pytest.raises(AttributeError, match="immutable"):
        multi.sizes = (8,)
    rows = multi.sample(4, rng=[1, 2, 3, 4, 5, 6])
    assert rows.shape == (4, 6, 3)
    assert_array_equal(multi[[4, 0]].sample(4, rng=[5, 1]), rows[:, [4, 0]])
    assert MultiCategorical(np.zeros((0, 8)), SIZES).sample(2, rng=[]).shape == (2, 0, 3)
    single = MultiCategorical(LOGITS.astype(np.float32), [8])
    assert single.log_prob(single.sample(rng=0)).dtype == np.float32


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: MultiCategorical(LOGITS, (3, 4)),
            ValueError,
            r"sizes must sum to the 8 .*\(3, 4\)",
        ),
        (lambda: MultiCategorical(LOGITS, (9, -1)), ValueError, "sizes must be positive"),
        (lambda: MultiCategorical(LOGITS, ()), ValueError, "sizes must be positive"),
        (lambda: MultiCategorical(LOGITS, 8), TypeError, "sizes must be a sequence of ints, got 8"),
        (
            lambda: MultiCategorical(LOGITS, (3.5, 4.5)),
            TypeError,
            "sizes must be a sequence of ints",
        ),
        (lambda: MultiCategorical(LOGITS, SIZES, mask=[1] * 7), ValueError, "mask must have 8"),
        (
            lambda: MultiCategorical(LOGITS, SIZES, mask=FREE * [1, 1, 1, 0, 1, 1, 1, 1]),
            ValueError,
            "in every dimension, got none in dimension 1 in row 0",
        ),
        (lambda: MultiCategorical([0.0, math.nan], (1, 1)), ValueError, "logits must be finite"),
        (
            lambda: MultiCategorical(LOGITS, SIZES, temperature=np.ones((6, 1))),
            ValueError,
            "temperature must fit the batch axes",
        ),
        (lambda: MultiCategorical(LOGITS, SIZES).log_prob([0, 1, 0]), ValueError, "in dimension 1"),
        (lambda: MultiCategorical(LOGITS, SIZES).log_prob([0, 0, 4]), ValueError, "got 4"),
        (lambda: MultiCategorical(LOGITS, SIZES).log_prob([0, 0, -1]), ValueError, "got -1"),
        (lambda: MultiCategorical(LOGITS, SIZES).log_prob([0, 0]), ValueError, "3 dimensions"),
        (lambda: MultiCategorical(LOGITS, SIZES).log_prob([0.0, 0, 0]), TypeError, "integers"),
        (
            lambda: MultiCategorical(LOGITS, SIZES).kl_divergence(MultiCategorical(LOGITS, (8,))),
            ValueError,
            "other must have sizes",
        ),
    ],
)
def test_bad_dimensions(call, error, message):
    with pytest.raises(error, match=message):
        call()


# ---------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    "policy",
    [
        lambda q, mask: greedy(q, mask=mask),
        lambda q, mask: boltzmann(q, 0.5, mask=mask),
        lambda q, mask: epsilon_greedy(q, 0.1, mask=mask),
        lambda q, mask: boltzmann_gumbel(q, np.ones(3), 0.1, mask=mask, rng=0),
    ],
)
def test_rows_without_a_legal_action_and_other_bad_values(policy):
    q = np.zeros((2, 3))
    for mask, error, message in (
        ([[1, 1, 1], [0, 0, 0]], ValueError, "got none in row 1: every category .* masked"),
        ([1, 1], ValueError, "mask must have 3 categories on its last axis"),
        (np.ones((3, 3), bool), ValueError, "mask must fit the batch axes"),
        ([1, 0.5, 1], ValueError, "mask must be booleans or numbers 0 and 1, got 0.5"),
        ([1, 2, 1], ValueError, "mask must be booleans or numbers 0 and 1, got 2"),
    ):
        with pytest.raises(error, match=message):
            policy(q, mask)
    for bad, error, message in (
        (
            [[0.0, 1.0, 2.0], [0.0, math.nan, 1.0]],
            ValueError,
            "values must be finite .* nan in row 1",
        ),
        ([0.0, inf, 1.0], ValueError, "values must be finite or -inf, got inf"),
        ([-inf, -inf, -inf], ValueError, "values must leave .* every category has value -inf"),
        (3.0, ValueError, "values must have a last axis"),
        (["a", "b", "c"], TypeError, "values must be real numbers"),
    ):
        with pytest.raises(error, match=message):
            policy(bad, None)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: epsilon_greedy(Q, 1.5), ValueError, r"epsilon must be in \[0, 1\], got 1.5"),
        (lambda: epsilon_greedy(Q, -0.1), ValueError, r"epsilon must be in \[0, 1\], got -0.1"),
        (lambda: epsilon_greedy(Q, math.nan), ValueError, r"epsilon must be in \[0, 1\], got nan"),
        (lambda: epsilon_greedy(Q, [0.1, 0.2]), ValueError, "epsilon must fit the batch axes"),
        (lambda: epsilon_greedy(Q, [[0.1]] * 3), ValueError, r"of the values.*pass values\[None\]"),
        (lambda: boltzmann(Q, None), TypeError, "pass temperature or coldness, got neither"),
        (lambda: boltzmann(Q, 1, coldness=1), TypeError, "pass temperature or coldness, not both"),
        (lambda: kl_regularized(Q, Categorical(Q)), TypeError, "coldness, got neither"),
        (lambda: epsilon_greedy(Q, "a"), TypeError, "epsilon must be real numbers"),
        (lambda: boltzmann(Q, -1), ValueError, r"temperature must be in \[0, inf\], got -1"),
        (lambda: boltzmann_gumbel(Q, [1, 1], 1.0, rng=0), ValueError, "counts must have 4"),
        (
            lambda: boltzmann_gumbel(Q, [1, 1, 1, -1], 1.0),
            ValueError,
            r"counts must be in \[0, inf",
        ),
        (lambda: boltzmann_gumbel(Q, np.ones(4), -1.0), ValueError, r"scale must be in \[0, inf"),
        (lambda: boltzmann_gumbel(Q, np.ones(4), [1, 2]), ValueError, "scale must fit"),
        (lambda: with_dirichlet_noise(Q, 1, 0.5), TypeError, "dist must be a Categorical"),
        (
            lambda: with_dirichlet_noise(Categorical(Q), 0, 0.5),
            ValueError,
            r"alpha must be in \[1e-300, inf\), got 0",
        ),
        (
            lambda: with_dirichlet_noise(Categorical(Q), 1, 1.5),
            ValueError,
            r"fraction must be in \[0, 1\], got 1.5",
        ),
        (
            lambda: with_dirichlet_noise(Categorical(Q[0]), [1, 2], 0.5),
            ValueError,
            "alpha must fit the batch axes",
        ),
        (lambda: kl_regularized(Q, Q, 1.0), TypeError, "reference must be a Categorical"),
        (
            lambda: kl_regularized(Q, Categorical([0.0, 1.0]), 1.0),
            ValueError,
            "reference must have 4 categories",
        ),
        (lambda: action_mask_from_info([1]), TypeError, "info must be a mapping, got list"),
    ],
)
def test_bad_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_the_callers_arrays_stay():
    q, mask, counts = Q.copy(), MASK.copy(), np.arange(12).reshape(3, 4)
    for x in (q, mask, counts):
        x.flags.writeable = False
    greedy(q, mask=mask)
    epsilon_greedy(q, 0.1, mask=mask)
    boltzmann_gumbel(q, counts, 1.0, mask=mask, rng=0)
    free = mask.astype(bool)
    policy = boltzmann(q, 1.0, mask=free)
    free[:] = False
    assert policy.probs.sum() == pytest.approx(3)


# ---------------------------------------------------------------------------- Gymnasium


def test_masks_from_info():
    zeros = np.array([[1, 0, 1], [0, 0, 0], [0, 1, 1]], np.int8)
    info = {"action_mask": zeros, "_action_mask": np.array([True, False, True])}
    found = action_mask_from_info(info)
    assert_array_equal(found, [[1, 0, 1], [1, 1, 1], [0, 1, 1]])
    assert found.dtype == np.int8
    assert (zeros[1] == 0).all()
    assert_array_equal(action_mask_from_info({"action_mask": zeros[0]}), zeros[0])
    assert action_mask_from_info({}) is None
    assert action_mask_from_info({"other": 1}) is None
    assert_array_equal(
        action_mask_from_info({"legal": zeros, "_legal": [1, 1, 0]}, key="legal")[2], 1
    )
    lists = np.array([None, None, None], object)
    lists[0], lists[2] = [1, 0, 1], np.array([0, 1, 1])
    assert_array_equal(
        action_mask_from_info({"action_mask": lists}), [[1, 0, 1], [1, 1, 1], [0, 1, 1]]
    )
    several = (np.array([1, 0], np.int8), np.array([1, 1, 0], np.int8))
    assert_array_equal(action_mask_from_info({"action_mask": several}), [1, 0, 1, 1, 0])
    rows = np.array([None, None], object)
    assert action_mask_from_info({"action_mask": rows}) is None
    rows[1] = several
    assert_array_equal(
        action_mask_from_info({"action_mask": rows, "_action_mask": np.array([False, True])}),
        [[1, 1, 1, 1, 1], [1, 0, 1, 1, 0]],
    )


@pytest.mark.frameworks
def test_a_vectorised_environment_of_gymnasium():
    gymnasium = pytest.importorskip("gymnasium")
    envs = gymnasium.make_vec("Taxi-v4", num_envs=5, vectorization_mode="sync")
    observation, info = envs.reset(seed=0)
    for step in range(30):
        mask = action_mask_from_info(info)
        assert mask.shape == (5, 6)
        assert mask.dtype == np.int8
        policy = boltzmann(np.zeros((5, 6)), 1.0, mask=mask)
        action = policy.sample(rng=step)
        assert envs.action_space.contains(action)
        assert mask[np.arange(5), action].all()
        observation, *_, info = envs.step(action)
    assert observation.shape == (5,)
    envs.close()
    space = gymnasium.spaces.MultiDiscrete([2, 3])
    action = MultiCategorical(np.zeros(5), space.nvec).sample(rng=0)
    assert space.contains(action)


# ---------------------------------------------------------------------------- other namespaces


def reinforce(policy, actions, returns, bonus):
    """The REINFORCE loss with an entropy bonus, and its gradient in the logits."""
    loss = -(policy.log_prob(actions) * returns).mean() - bonus * policy.entropy().mean()
    gradient = -(policy.score(actions) * returns[:, None] + bonus * policy.entropy_gradient())
    return loss, gradient / len(returns)


@pytest.mark.frameworks
@pytest.mark.parametrize("temperature", [0.3, 1.0, 5.0])
def test_reinforce_gradients_against_pytorch(temperature):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    z, returns = rng.normal(0, 2, (40, 6)), rng.normal(size=40)
    mask = rng.random((40, 6)) < 0.7
    mask[:, 2] = True
    policy = boltzmann(z, temperature, mask=mask)
    actions = policy.sample(rng=2)
    loss, gradient = reinforce(policy, actions, returns, 0.01)
    leaf = torch.tensor(z, requires_grad=True)
    scaled = (leaf / temperature).masked_fill(~torch.tensor(mask), -inf)
    theirs = torch.distributions.Categorical(logits=scaled)
    log_p = theirs.log_prob(torch.tensor(actions))
    terms = torch.where(torch.tensor(mask), theirs.probs * theirs.logits.clamp(min=-1e9), 0)
    expected = -(log_p * torch.tensor(returns)).mean() + 0.01 * terms.sum(-1).mean()
    expected.backward()
    assert loss == pytest.approx(expected.item(), rel=1e-12)
    assert_allclose(gradient, leaf.grad.numpy(), rtol=1e-9, atol=1e-12)
    # and the same through our own objects of their tensors
    leaf2 = torch.tensor(z, requires_grad=True)
    ours = boltzmann(leaf2, temperature, mask=torch.tensor(mask))
    whole = -(ours.log_prob(torch.tensor(actions)) * torch.tensor(returns)).mean()
    (whole - 0.01 * ours.entropy().mean()).backward()
    assert_allclose(leaf2.grad.numpy(), gradient, rtol=1e-9, atol=1e-12)
    multi = MultiCategorical(
        torch.tensor(z, requires_grad=True), (2, 4), mask=torch.tensor(mask | True)
    )
    own = MultiCategorical(z, (2, 4))
    chosen = own.sample(rng=0)
    assert_allclose(multi.log_prob(torch.tensor(chosen)).detach(), own.log_prob(chosen), rtol=1e-13)


@pytest.mark.frameworks
def test_torch_tensors_are_answered_in_kind():
    torch = pytest.importorskip("torch")
    q, mask = torch.tensor(Q), torch.tensor(MASK)
    for policy, same in (
        (greedy(q, mask=mask), greedy(Q, mask=MASK)),
        (
            epsilon_greedy(q, torch.tensor(0.1, dtype=torch.float64), mask=mask),
            epsilon_greedy(Q, 0.1, mask=MASK),
        ),
        (
            epsilon_greedy(Q, torch.tensor([0.0, 0.5, 1.0]), mask=MASK),
            epsilon_greedy(Q, [0.0, 0.5, 1.0], mask=MASK),
        ),
        (boltzmann(Q, 0.5, mask=mask), boltzmann(Q, 0.5, mask=MASK)),
        (
            boltzmann_gumbel(q, torch.arange(12).reshape(3, 4), 0.5, mask=mask, rng=3),
            boltzmann_gumbel(Q, np.arange(12).reshape(3, 4), 0.5, mask=MASK, rng=3),
        ),
        (
            with_dirichlet_noise(boltzmann(q, 1.0, mask=mask), 0.3, 0.25, rng=3),
            with_dirichlet_noise(boltzmann(Q, 1.0, mask=MASK), 0.3, 0.25, rng=3),
        ),
        (
            kl_regularized(Q, Categorical(torch.zeros(4, dtype=torch.float64)), 0.5),
            boltzmann(Q, 0.5),
        ),
    ):
        assert isinstance(policy.probs, torch.Tensor)
        assert_allclose(policy.probs, same.probs, rtol=1e-12)
        assert isinstance(policy.sample(rng=0), torch.Tensor)
    leaf = torch.tensor(
        [[0.0, 1.0, 2.0], [0.0, 1.0, -inf]], dtype=torch.float64, requires_grad=True
    )
    noisy = with_dirichlet_noise(Categorical(leaf), 0.3, 0.25, rng=0)
    noisy.log_prob(torch.tensor([0, 1])).sum().backward()
    assert torch.isfinite(leaf.grad).all()
    assert (leaf.grad[0] != 0).all()
    gradient = torch.func.grad(
        lambda a: with_dirichlet_noise(Categorical(a), 0.3, 0.2, rng=0).log_prob(torch.tensor(0))
    )
    assert torch.isfinite(gradient(torch.tensor([0.0, 1.0, 2.0]))).all()
    with pytest.raises(ValueError, match="got none in row 1"):
        greedy(q, mask=torch.tensor([[1, 1, 1, 1], [0, 0, 0, 0], [1, 1, 1, 1]]))


@pytest.mark.frameworks
def test_jax_arrays_are_answered_in_kind_and_under_jit():
    jax = pytest.importorskip("jax")
    q, mask, key = jax.numpy.asarray(Q), jax.numpy.asarray(MASK), jax.random.key(0)
    close = {"rtol": 2e-6, "atol": 1e-7}
    assert_allclose(greedy(q, mask=mask).probs, greedy(Q, mask=MASK).probs, **close)
    for function, exact in (
        (
            lambda q, m: epsilon_greedy(q, 0.1, mask=m).probs,
            epsilon_greedy(Q, 0.1, mask=MASK).probs,
        ),
        (lambda q, m: boltzmann(q, 0.5, mask=m).probs, boltzmann(Q, 0.5, mask=MASK).probs),
        (
            lambda q, m: epsilon_greedy(q, jax.numpy.asarray([0.0, 0.5, 1.0]), mask=m).probs,
            epsilon_greedy(Q, [0.0, 0.5, 1.0], mask=MASK).probs,
        ),
    ):
        assert_allclose(function(q, mask), exact, **close)
        assert_allclose(jax.jit(function)(q, mask), exact, **close)
    for policy in (
        lambda q, m, k: boltzmann_gumbel(q, np.arange(12).reshape(3, 4), 0.5, mask=m, rng=k),
        lambda q, m, k: with_dirichlet_noise(boltzmann(q, 1.0, mask=m), 0.3, 0.25, rng=k),
    ):
        plain = policy(q, mask, key).probs
        assert (np.asarray(plain)[~LEGAL] == 0).all()
        assert_allclose(plain.sum(-1), 1, rtol=1e-6)
        assert_allclose(jax.jit(lambda *a, p=policy: p(*a).probs)(q, mask, key), plain, **close)
        rows = policy(q, mask, jax.random.split(key, 3)).probs
        assert_array_equal(policy(q, mask, jax.random.split(key, 3)).probs, rows)
        assert (np.asarray(rows)[~LEGAL] == 0).all()
    # a bad row is NaN under jit
    lost = jax.jit(lambda m: epsilon_greedy(q, 0.1, mask=m).probs)(mask.at[1].set(0))
    assert_array_equal(np.isnan(lost).any(-1), [False, True, False])
    keyed = jax.random.key(1)
    for policy in (
        lambda z: with_dirichlet_noise(Categorical(z), 0.3, 0.0, rng=keyed),
        lambda z: with_dirichlet_noise(Categorical(z), 0.3, 0.25, rng=keyed),
        lambda z: boltzmann_gumbel(z, np.ones(3), 1.0, rng=keyed),
    ):
        for bad in ([[np.nan, 1, 2]], [[-inf] * 3], [[inf, 0, 0]]):
            found = jax.jit(lambda z, p=policy: p(z).log_probs)(jax.numpy.asarray(bad))
            assert np.isnan(found).all()
    assert np.isnan(jax.jit(lambda e: epsilon_greedy(q, e).probs)(1.5)).all()
    multi = MultiCategorical(jax.numpy.asarray(LOGITS), SIZES, mask=jax.numpy.asarray(FREE))
    same = MultiCategorical(LOGITS, SIZES, mask=FREE)
    assert_allclose(multi.probs, same.probs, **close)
    x = jax.jit(lambda m, k: m.sample(5, rng=k))(multi, key)
    assert x.shape == (5, 6, 3)
    assert_allclose(multi.log_prob(x), same.log_prob(np.asarray(x)), rtol=1e-5)
    assert multi.sample(rng=jax.random.split(key, 6)).shape == (6, 3)
    assert_array_equal(jax.vmap(lambda m: m.mode())(multi), same.mode())
    noise = with_dirichlet_noise(Categorical(jax.numpy.zeros((50_000, 3))), 0.4, 1.0, rng=key)
    assert stats.kstest(np.asarray(noise.probs)[:, 0], stats.beta(0.4, 0.8).cdf).pvalue > 1e-7


def test_array_api_strict():
    xp = pytest.importorskip("array_api_strict")
    q, mask = xp.asarray(Q), xp.asarray(MASK)
    for policy, same in (
        (greedy(q, mask=mask), greedy(Q, mask=MASK)),
        (epsilon_greedy(q, 0.1, mask=mask), epsilon_greedy(Q, 0.1, mask=MASK)),
        (
            boltzmann_gumbel(q, np.arange(12).reshape(3, 4), 0.5, mask=mask, rng=3),
            boltzmann_gumbel(Q, np.arange(12).reshape(3, 4), 0.5, mask=MASK, rng=3),
        ),
        (
            with_dirichlet_noise(boltzmann(q, 1.0, mask=mask), 0.3, 0.25, rng=3),
            with_dirichlet_noise(boltzmann(Q, 1.0, mask=MASK), 0.3, 0.25, rng=3),
        ),
    ):
        assert_allclose(np.from_dlpack(policy.probs), same.probs, rtol=1e-12)
    multi = MultiCategorical(xp.asarray(LOGITS), SIZES)
    assert multi.sample(5, rng=0).shape == (5, 6, 3)
    assert_allclose(np.from_dlpack(multi.probs), MultiCategorical(LOGITS, SIZES).probs)


def test_special_case_of_two_actions():
    # With K = 2 everything is a logistic.
    p = boltzmann([0.0, 3.0], 2.0).prob(1)
    assert p == pytest.approx(special.expit(1.5), rel=1e-15)


def test_priors_and_coldness_of_policies():
    weights = np.array([1.0, 1.0, 3.0, 9.0])
    best, flat = np.array([0, 1, 3, 0]) / 4, np.array([1, 1, 3, 0]) / 5
    q, legal = [1.0, 5.0, 5.0, 9.0], [1, 1, 1, 0]
    for epsilon in (0.0, 0.3, 1.0, [0.0, 1e-300, 1.0]):
        part = np.asarray(epsilon)[..., None]
        got = epsilon_greedy(q, epsilon, mask=legal, prior=weights).probs
        assert_allclose(got, (1 - part) * best + part * flat, rtol=1e-13)
        plain = epsilon_greedy(q, epsilon, mask=legal)
        assert_allclose(epsilon_greedy(q, epsilon, mask=legal, prior=np.ones(4)).probs, plain.probs)
    rare = epsilon_greedy([0.0, 1.0], 0.5, prior=[1e308, 5e-324])
    assert_allclose(rare.probs, [0.5, 0.5])
    assert_allclose(greedy(q, mask=legal, prior=weights).probs, best)
    cold = boltzmann(q, coldness=[-inf, -1.0, 0.0], mask=legal, prior=weights)
    assert_allclose(cold.probs[0], [1, 0, 0, 0])
    assert_allclose(cold.probs[1:], Categorical(q, coldness=[-1, 0], prior=weights * legal).probs)
    reference = Categorical.from_weights([1, 2, 0, 3])
    for coldness in (-inf, -1.0, 0.0, 2.0, inf):
        got = kl_regularized(q, reference, coldness=coldness, mask=legal)
        want = Categorical(q, coldness=coldness, prior=[1, 2, 0, 0])
        assert_allclose(got.probs, want.probs, rtol=1e-14)


def test_multi_categorical_has_priors_and_coldness():
    weights = np.arange(1.0, 9.0)
    for given in ({"temperature": 0.5}, {"coldness": -2.0}, {"coldness": np.linspace(-3, 3, 6)}):
        multi = MultiCategorical(LOGITS, SIZES, **given, mask=FREE, prior=weights)
        for d, (a, b) in enumerate(((0, 3), (3, 4), (4, 8))):
            one = Categorical(LOGITS[:, a:b], **given, mask=FREE[:, a:b], prior=weights[a:b])
            assert_allclose(multi.dimension(d).probs[:, : b - a], one.probs, rtol=1e-14)
            assert_allclose(multi.probs[:, a:b], one.probs, rtol=1e-14)
        again = MultiCategorical(LOGITS, SIZES, 9.0, mask=FREE, prior=weights).tempered(**given)
        assert_allclose(again.probs, multi.probs, rtol=1e-14)
    with pytest.raises(TypeError, match="got neither"):
        multi.tempered()
    with pytest.raises(TypeError, match="not both"):
        multi.tempered(np.ones(6), coldness=1.0)
    with pytest.raises(ValueError, match="coldness must fit the batch axes"):
        multi.tempered(coldness=np.ones(5))
    with pytest.raises(
        ValueError, match=r"got none in dimension 1: every category has logit -inf$"
    ):
        MultiCategorical([0.0, -inf], (1, 1))
