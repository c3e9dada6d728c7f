"""Relaxed draws: their limits, their law, their density and their pullbacks."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import integrate

from softargmax import Categorical, RelaxedCategorical, softargmax
from softargmax.gumbel import gumbel_max, gumbel_noise
from statistical import check_draws

INF = np.inf
LOGIT = st.one_of(st.floats(-30, 30), st.just(-INF), st.integers(-2, 2).map(float))
ROWS = hnp.arrays(np.float64, st.tuples(st.integers(1, 3), st.integers(1, 6)), elements=LOGIT).map(
    lambda z: np.where(np.isneginf(z).all(-1, keepdims=True), 0.0, z)
)
TAU = st.sampled_from([0.0, 5e-324, 1e-300, 0.01, 0.5, 1.0, 30.0, INF])


@given(ROWS, TAU, st.sampled_from([np.float32, np.float64]), st.integers(0, 9))
def test_draws_lie_on_the_simplex_and_share_their_noise(z, tau, dtype, seed):
    relaxed = RelaxedCategorical(z.astype(dtype), tau)
    y = relaxed.sample(4, rng=seed)
    assert y.shape == (4, *z.shape)
    assert y.dtype == dtype
    np.testing.assert_allclose(y.sum(-1), 1, rtol=1e-5)
    assert not y[:, z == -INF].any()
    log_y = relaxed.log_sample(4, rng=seed)
    assert (log_y[:, z == -INF] == -INF).all()
    if tau > 0:
        assert np.isfinite(log_y[:, z > -INF]).all()
    np.testing.assert_allclose(np.exp(log_y), y, rtol=1e-4, atol=1e-30)
    hot = relaxed.straight_through(4, rng=seed)
    assert set(np.unique(hot)) <= {0, 1}
    assert (hot.sum(-1) == 1).all()
    np.testing.assert_array_equal(RelaxedCategorical(z.astype(dtype), 0).sample(4, rng=seed), hot)
    if tau < INF:
        np.testing.assert_array_equal(y.argmax(-1), hot.argmax(-1))
    again, _ = relaxed.sample_with_pullback(4, rng=seed)
    np.testing.assert_array_equal(again, y)
    again, _ = relaxed.straight_through_with_pullback(4, rng=seed)
    np.testing.assert_array_equal(again, hot)


def test_noise_depends_on_shape_and_rng_alone():
    z = np.array([[0.0, 1.0, 2.0], [3.0, 0.0, 0.0]])
    p = Categorical(z)
    noise = RelaxedCategorical(z, 1.0).log_sample(5, rng=0) - p.log_probs
    other = (
        RelaxedCategorical(z[::-1] * 2, 1.0).log_sample(5, rng=0) - p[::-1].tempered(0.5).log_probs
    )
    np.testing.assert_allclose(noise - noise[..., :1], other - other[..., :1], atol=1e-12)
    rows = RelaxedCategorical(z, 0.5).sample(2, rng=[3, 4])
    np.testing.assert_array_equal(
        rows[:, ::-1], RelaxedCategorical(z[::-1], 0.5).sample(2, rng=[4, 3])
    )


@pytest.mark.parametrize("tau", [0, 0.01, 0.5, 1, 5, 100])
def test_the_argmax_has_the_categorical_law(tau):
    dist = Categorical([[0.0, 1.0, 2.0, -INF], [1.0, 1.0, 1.0, 0.0]], prior=[1, 2, 1, 1])
    y = dist.relaxed(tau).sample(150_000, rng=1)
    check_draws(y.argmax(-1), dist.probs, detects=0.011)
    x = dist.relaxed(tau).gumbel_rao(3, 150_000, rng=1)
    check_draws(x.argmax(-1), dist.probs, detects=0.011)


def test_ladders_batches_masks_and_shapes():
    ladder = RelaxedCategorical([0.0, 1.0, 2.0], [0.0, 0.5, INF], prior=[1, 0, 1])
    assert ladder.batch_shape == (3,)
    y = ladder.sample((2, 5), rng=0)
    assert y.shape == (2, 5, 3, 3)
    assert not y[..., 1].any()
    np.testing.assert_array_equal(y[:, :, 2], np.broadcast_to([0.5, 0, 0.5], (2, 5, 3)))
    assert set(np.unique(y[:, :, 0])) == {0, 1}
    assert ladder[1].temperature == 0.5
    assert len(ladder) == 3
    assert ladder.categorical.probs.shape == (3,)
    assert RelaxedCategorical(np.zeros((0, 3)), 1.0).sample(2, rng=0).shape == (2, 0, 3)
    assert RelaxedCategorical([0.0], 0.5).sample(rng=0).tolist() == [1.0]
    for twin in (copy.copy(ladder), copy.deepcopy(ladder), pickle.loads(pickle.dumps(ladder))):
        np.testing.assert_array_equal(twin.sample(rng=0), ladder.sample(rng=0))
    assert repr(ladder[1]).startswith(
        "RelaxedCategorical(batch_shape=(), num_categories=3, dtype=float64, temperature=0.5, "
        "probs={"
    )
    with pytest.raises(AttributeError, match="immutable"):
        ladder.temperature = 3


# ---------------------------------------------------------------------------- density


@pytest.mark.parametrize("tau", [0.1, 0.5, 1.0, 2.0])
def test_the_density_integrates_to_1(tau):
    """By quadrature in log-odds, where the densities at low temperatures are tame."""
    two = RelaxedCategorical([0.3, -0.4], tau)

    def segment(t):
        log_y = -np.logaddexp(0, [-t, t])
        return np.exp(two.log_prob_of_log(log_y) + log_y.sum())  # dy = y₁ y₂ dt

    total, error = integrate.quad(segment, -40 / tau, 40 / tau, limit=400, epsabs=1e-10)
    assert total == pytest.approx(1, abs=1e-7 + error)
    three = RelaxedCategorical([0.3, -0.4, 0.1], tau)
    width = 30 / tau  # the log-odds are sums of Gumbels, divided by τ
    # On a lattice the trapezium rule is exact to all purposes for a smooth function that vanishes.
    t = np.linspace(-width, width, 801)
    a, b = np.meshgrid(t, t)
    odds = np.stack([a, b, np.zeros_like(a)], -1)
    log_y = odds - np.logaddexp.reduce(odds, axis=-1, keepdims=True)
    density = np.exp(three.log_prob_of_log(log_y) + log_y.sum(-1))
    assert density.sum() * (t[1] - t[0]) ** 2 == pytest.approx(1, abs=1e-4)


def test_the_density_is_uniform_at_temperature_1_of_two_equals():
    relaxed = RelaxedCategorical([0.0, 0.0], 1.0)
    y = np.array([[0.5, 0.5], [0.1, 0.9], [1e-300, 1.0]])
    np.testing.assert_allclose(relaxed.log_prob(y), 0, atol=1e-12)


def test_the_density_of_logarithms_is_the_same_number():
    relaxed = RelaxedCategorical([[0.0, 1.0, 2.0, -INF], [0.5, 0, 0, 0]], [0.7, 2.0])
    log_y = relaxed.log_sample(50, rng=0)
    a, b = relaxed.log_prob(np.exp(log_y)), relaxed.log_prob_of_log(log_y)
    assert a.shape == (50, 2)
    np.testing.assert_allclose(a, b, rtol=1e-9)
    cold = RelaxedCategorical([0.0, 1.0, 2.0], 0.001)
    log_y = cold.log_sample(100, rng=0)
    assert (np.exp(log_y) == 0).any()
    assert np.isfinite(cold.log_prob_of_log(log_y)).all()


def test_the_density_against_its_formula_and_at_the_edge():
    p, tau = np.array([0.2, 0.3, 0.5]), 0.6
    relaxed = RelaxedCategorical(np.log(p), tau)
    y = np.array([0.1, 0.7, 0.2])
    expected = 2 * tau**2 * (p * y ** (-tau - 1)).prod() / (p * y**-tau).sum() ** 3
    assert relaxed.log_prob(y) == pytest.approx(np.log(expected), rel=1e-13, abs=0)
    masked = RelaxedCategorical([0.0, 0.0, 0.0], 1.0, prior=[1, 1, 0])
    assert masked.log_prob([0.4, 0.6, 0.0]) == pytest.approx(0, abs=1e-12)
    assert masked.log_prob([0.4, 0.5, 0.1]) == -INF
    # y₁ → 0: with τ below 1/(K - 1) the density grows, above it vanishes.
    assert RelaxedCategorical([0.0, 0, 0], 0.3).log_prob([0, 0.5, 0.5]) == INF
    assert RelaxedCategorical([0.0, 0, 0], 2.0).log_prob([0, 0.5, 0.5]) == -INF


# ---------------------------------------------------------------------------- pullbacks


@pytest.mark.parametrize("tau", [0.3, 1.0, [0.5, 2.0]])
@pytest.mark.parametrize("prior", [None, [1.0, 2.0, 0.0]])
def test_pullbacks_are_derivatives(tau, prior):
    rng = np.random.default_rng(0)
    z = rng.normal(size=3) if np.ndim(tau) else rng.normal(size=(2, 3))
    relaxed = RelaxedCategorical(z, tau, prior=prior)
    y, pullback = relaxed.sample_with_pullback((4,), rng=5)
    c = rng.normal(size=y.shape)
    got = pullback(c)
    assert got.shape == z.shape
    for index in np.ndindex(z.shape):
        step = np.zeros(z.shape)
        step[index] = 1e-5
        up, down = (
            RelaxedCategorical(z + s * step, tau, prior=prior).sample((4,), rng=5) for s in (1, -1)
        )
        assert got[index] == pytest.approx((c * (up - down)).sum() / 2e-5, rel=1e-6, abs=1e-8)
    _, through = relaxed.straight_through_with_pullback((4,), rng=5)
    np.testing.assert_array_equal(through(c), got)


@pytest.mark.parametrize("tau", [0.0, 0.5, INF, [0.5, 2.0]])
@pytest.mark.parametrize("prior", [None, [1.0, 2.0, 0.0]])
def test_the_pullback_of_p_is_its_derivative_at_every_temperature(tau, prior):
    z = np.array([0.3, -1.0, 0.7]) if np.ndim(tau) else np.array([[0.3, -1, 0.7], [50, 0, 0]])
    relaxed = RelaxedCategorical(z, tau, prior=prior)
    x, pullback = relaxed.straight_through_with_pullback((4,), rng=5, gradient="probs")
    np.testing.assert_array_equal(x, relaxed.straight_through((4,), rng=5))
    np.testing.assert_array_equal(x, relaxed.straight_through((4,), rng=5, gradient="probs"))
    c = np.random.default_rng(0).normal(size=x.shape)
    got = pullback(c)
    assert got.shape == z.shape
    total = c.sum(axis=0) if not np.ndim(tau) else c.sum(axis=(0, 1))
    p = Categorical(z, prior=prior).probs
    expected = p * (total - (p * total).sum(-1, keepdims=True))
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-13)
    with pytest.raises(ValueError, match="gradient must be one of 'relaxed', 'probs', got 'p'"):
        relaxed.straight_through(gradient="p")
    with pytest.raises(ValueError, match="gradient must be one of"):
        relaxed.straight_through_with_pullback(gradient=None)


def test_the_gradient_of_p_is_exact_for_what_is_linear_in_the_draw():
    """E⟨v, x⟩ = ⟨v, p⟩ has the gradient that every single draw gives; the relaxed ones do not."""
    z, v = np.array([0.2, -0.3, 0.5]), np.array([3.0, -1.0, 0.5])
    dist = Categorical(z)
    exact = dist.probs * (v - dist.expectation(v))
    for seed in range(5):
        relaxed = dist.relaxed(0.5)
        _, pullback = relaxed.straight_through_with_pullback(rng=seed, gradient="probs")
        np.testing.assert_allclose(pullback(v), exact, rtol=1e-13)


def test_the_density_keeps_its_digits_at_high_temperatures():
    """At equal y of equal categories it is Γ(3) τ²."""
    for tau in (1e-300, 1e-3, 1e3, 1e10, 1e100, 1e300):
        got = RelaxedCategorical([0.0, 0.0, 0.0], tau).log_prob_of_log(np.full(3, -np.log(3.0)))
        assert got == pytest.approx(np.log(2) + 2 * np.log(tau), rel=1e-12, abs=0)
    narrow = RelaxedCategorical(np.float32([1, 2]), [1e-50, 1e39])
    assert np.isfinite(narrow.log_prob_of_log(narrow.log_sample(rng=0))).all()


def test_what_a_caller_does_to_y_leaves_the_pullback_alone():
    relaxed = RelaxedCategorical([0.0, 1.0, 2.0], 0.5)
    for name in ("sample_with_pullback", "straight_through_with_pullback"):
        y, pullback = getattr(relaxed, name)(rng=0)
        before = pullback([0.0, 0.0, 1.0])
        y[:] = 0
        np.testing.assert_array_equal(pullback([0.0, 0.0, 1.0]), before)
        assert before.any()


def test_gumbel_rao_with_one_rng_a_row():
    z = np.array([[0.0, 1.0, 2.0], [3.0, 0.0, 0.0]])
    rows, pull = RelaxedCategorical(z, 0.5).gumbel_rao_with_pullback(3, 2, rng=[3, 4])
    again, pull_again = RelaxedCategorical(z[::-1], 0.5).gumbel_rao_with_pullback(3, 2, rng=[4, 3])
    np.testing.assert_array_equal(rows[:, ::-1], again)
    c = np.arange(12.0).reshape(2, 2, 3)
    np.testing.assert_array_equal(pull(c)[::-1], pull_again(c[:, ::-1]))


def test_pullbacks_at_the_limits_and_next_to_one_hot():
    for tau in (0.0, 5e-324, INF):
        y, pullback = RelaxedCategorical([0.0, 1.0, -INF], tau).sample_with_pullback(3, rng=0)
        assert not pullback(np.ones_like(y) * [1, 2, 3]).any()
    relaxed = RelaxedCategorical([0.0, 50.0], 1.0)
    y, pullback = relaxed.sample_with_pullback(rng=0)
    got = pullback([1.0, 3.0])
    assert got[1] == pytest.approx(2 * y[0], rel=1e-12, abs=0)  # not cancelled to 0
    assert got[0] == -got[1]
    with pytest.raises(ValueError, match=r"cotangent must have the shape of the draws, \(2,\)"):
        pullback(1.0)


def test_gumbel_rao_is_straight_through_with_less_variance():
    """Equal means, smaller variance: the pullback averaged over what leads to the same draw."""
    z, c = np.array([0.2, -0.3, 0.5]), np.array([1.0, -1.0, 2.0])
    rows = 100_000
    relaxed = RelaxedCategorical(np.tile(z, (rows, 1)), 0.5)
    rng = np.random.default_rng(1)  # one noise for both halves, also of a generator that moves on
    x, pullback = relaxed.straight_through_with_pullback(rng=rng)
    values = np.array([3.0, -1.0, 0.5])
    cotangent = c * (x @ values)[:, None]
    plain = pullback(cotangent)
    x, pullback = relaxed.gumbel_rao_with_pullback(10, rng=2)
    rao = pullback(c * (x @ values)[:, None])
    spread = np.sqrt(plain.var(0) / rows + rao.var(0) / rows)
    assert (np.abs(plain.mean(0) - rao.mean(0)) < 5 * spread).all()
    assert spread.max() < 0.0033  # so a difference of 0.024 is found, of means up to 0.24
    assert (rao.var(0) < 0.8 * plain.var(0)).all()


# ---------------------------------------------------------------------------- errors


def test_bad_input():
    relaxed = RelaxedCategorical([0.0, 1.0], 0.5)
    for call, message in [
        (lambda: RelaxedCategorical([0.0, 1.0], -1), r"temperature must be in \[0, inf\]"),
        (lambda: RelaxedCategorical([0.0, np.nan], 1), "logits must be finite or -inf"),
        (lambda: relaxed.tempered(0).log_prob([0.5, 0.5]), r"temperature must be in \(0, inf\)"),
        (
            lambda: relaxed.tempered(INF).log_prob_of_log(np.log([0.5, 0.5])),
            r"must be in \(0, inf\)",
        ),
        (lambda: relaxed.log_prob([0.5, 0.4]), "y must have sum 1"),
        (lambda: relaxed.log_prob([1.5, -0.5]), "y must be non-negative"),
        (lambda: relaxed.log_prob([0.5, np.nan]), "y must be non-negative"),
        (lambda: relaxed.log_prob([1.0]), "y must have 2 categories"),
        (lambda: relaxed.log_prob_of_log([0.5, 0.5]), "log_y must be logarithms"),
        (lambda: relaxed.log_prob_of_log([-5, -5]), r"exp\(log_y\) must have sum 1"),
        (lambda: relaxed.log_prob([[0.5, 0.5], [np.inf, 0]]), "number in row 1"),
        (lambda: relaxed.gumbel_rao(0), "k must be in 1"),
        (lambda: relaxed.sample(-1), "shape must be non-negative"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(TypeError, match="temperature must be real numbers"):
        RelaxedCategorical([0.0, 1.0], None)
    with pytest.raises(TypeError, match="rng must be"):
        relaxed.sample(rng="seed")


def test_relaxed_draws_share_noise_among_themselves_alone():
    dist = Categorical([0.0, 1.0, 2.0])
    relaxed = dist.relaxed(0.5)
    hot = relaxed.straight_through(6, rng=3).argmax(-1)
    for soft in (relaxed.sample, relaxed.log_sample):
        np.testing.assert_array_equal(soft(6, rng=3).argmax(-1), hot)
    for pullback in (relaxed.sample_with_pullback, relaxed.straight_through_with_pullback):
        np.testing.assert_array_equal(pullback(6, rng=3)[0].argmax(-1), hot)
    noise = gumbel_noise((6, 3), rng=3)
    assert (hot != gumbel_max(dist.log_probs, noise)).any()
    # A draw and its relaxation have one noise where it is passed by hand.
    soft = softargmax(dist.log_probs + noise, 0.5)
    np.testing.assert_array_equal(soft.argmax(-1), gumbel_max(dist.log_probs, noise))
