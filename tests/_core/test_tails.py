"""Probabilities up to a category and beyond it: accurate in both tails, for every kind of state."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from reference import MP, law
from softargmax import Categorical
from softargmax.tokens import TopK

INF = math.inf
LOGIT = st.one_of(st.floats(-30, 30), st.floats(-3000, 3000), st.just(-INF))
ROWS = hnp.arrays(np.float64, st.tuples(st.integers(1, 3), st.integers(1, 6)), elements=LOGIT).map(
    lambda z: np.where(np.isneginf(z).all(-1, keepdims=True), 0.0, z)
)


def exact_tails(logits):
    """log cdf and log sf at every category of one row, by mpmath with exponents without end."""
    log_p = law(logits).log_probs
    p = [MP.zero if x == -MP.inf else MP.exp(x) for x in log_p]
    left = [MP.fsum(p[: i + 1]) for i in range(len(p))]
    right = [MP.fsum(p[i + 1 :]) for i in range(len(p))]

    def log(own, other):
        if own == 0:
            return -INF
        return float(MP.log1p(-other) if own > 0.5 else MP.log(own))

    log_cdf = [log(a, b) for a, b in zip(left, right, strict=True)]
    return log_cdf, [log(b, a) for a, b in zip(left, right, strict=True)]


@given(ROWS)
def test_both_tails_to_their_last_digits(z):
    dist = Categorical(z)
    categories = np.tile(np.arange(z.shape[1])[:, None], len(z))
    log_cdf, log_sf, sf = (f(categories).T for f in (dist.log_cdf, dist.log_sf, dist.sf))
    for i, row in enumerate(z):
        below, above = exact_tails(row)
        # As log p: a few units in the last place, and two for each e-fold of the likeliest's lead.
        np.testing.assert_allclose(log_cdf[i], below, rtol=1e-14 + 2e-16 * 6000, atol=1e-300)
        np.testing.assert_allclose(log_sf[i], above, rtol=1e-14 + 2e-16 * 6000, atol=1e-300)
        np.testing.assert_allclose(sf[i], np.exp(above), rtol=2e-12, atol=1e-300)
    np.testing.assert_allclose(sf + dist.cdf(categories).T, 1, rtol=1e-14)


def test_where_terms_underflow_they_are_summed_as_logarithms():
    z = np.array([-2001.0, -2000.0, -INF, -800.0, -800.0, 0.0])
    level = math.log1p(math.exp(-1))
    below = [-2001, -2000 + level, -2000 + level, -800, -800 + math.log(2), 0]
    np.testing.assert_allclose(Categorical(z).log_cdf(np.arange(6)), below, rtol=1e-15)
    above = [*below[-2::-1], -INF]
    np.testing.assert_allclose(Categorical(z[::-1]).log_sf(np.arange(6)), above, rtol=1e-15)
    long = np.full(5000, -3000.0)
    long[-1] = 0
    n = np.array([1, 1000, 4999])
    np.testing.assert_allclose(Categorical(long).log_cdf(n - 1), np.log(n) - 3000, rtol=1e-15)


def test_ends_and_limits():
    dist = Categorical([-INF, 1.0, 5.0, 5.0, -INF], 0)
    x = np.arange(5)
    half = math.log(0.5)
    assert dist.sf(x).tolist() == [1, 1, 0.5, 0, 0]
    assert dist.log_cdf(x).tolist() == [-INF, -INF, half, 0, 0]
    assert dist.log_sf(x).tolist() == [0, 0, half, -INF, -INF]
    assert not np.signbit(dist.log_cdf(4))
    assert Categorical([3.0]).log_cdf(0) == Categorical([3.0]).sf(0) == 0
    flat = Categorical([0.0, 9.0], INF)
    assert flat.sf(0) == 0.5
    single = Categorical(np.float32([0.0, -40.0]))
    assert single.log_cdf(0).dtype == single.sf(0).dtype == np.float32
    assert single.log_cdf(0) == np.float32(-4.248354255291589e-18)
    assert single.sf(0) == np.float32(4.248354255291589e-18)


def test_shapes_and_errors():
    dist = Categorical(np.zeros((3, 4)))
    for method in (dist.log_cdf, dist.sf, dist.log_sf):
        assert method([0, 1, 2]).shape == (3,)
        assert method(np.zeros((5, 3), int)).shape == (5, 3)
        with pytest.raises(ValueError, match=r"category must be in 0 … 3, got 4"):
            method(4)
        with pytest.raises(TypeError, match="category must be integers"):
            method(0.5)
        with pytest.raises(ValueError, match="category must fit the batch"):
            method([0, 1])
    assert Categorical(np.zeros((0, 4))).sf(1).shape == (0,)


def test_survivors_of_truncations_answer_as_dense_rows_do():
    z = np.random.default_rng(0).standard_normal((2, 5000)).astype(np.float32) * 50
    few = TopK(30)(Categorical(z))
    dense = Categorical(z, prior=few.probs > 0)
    x = np.r_[0, 1, np.flatnonzero(few.probs[0])[[0, 1, -1]], 4998, 4999]
    x = np.tile(x[:, None], 2)
    for name in ("log_cdf", "sf", "log_sf"):
        got, expected = getattr(few, name)(x), getattr(dense, name)(x)
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, expected, rtol=1e-5)
    assert few[0].sf(17).shape == ()


def test_the_strictest_namespace():
    xp = pytest.importorskip("array_api_strict")
    z = np.array([[0.3, -1.0, 2.0, -INF], [-2000.0, -800.0, 0.0, -5.0], [0.0, -3, -900, -2000]])
    ours, numpys = Categorical(xp.asarray(z)), Categorical(z)
    for name in ("log_cdf", "sf", "log_sf"):
        x = np.tile(np.arange(4)[:, None], 3)
        found = getattr(ours, name)(xp.asarray(x))
        expected = getattr(numpys, name)(x)
        np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-13)


@pytest.mark.frameworks
def test_torch_gradients():
    torch = pytest.importorskip("torch")
    z = torch.tensor([0.3, -1.0, 2.0, -INF, -900.0, 0.5], dtype=torch.float64, requires_grad=True)
    for name in ("log_cdf", "sf", "log_sf"):
        for x in range(5):
            (slope,) = torch.autograd.grad(getattr(Categorical(z), name)(x), z)
            assert torch.isfinite(slope).all()
            assert slope[3] == 0
    kept = torch.tensor([[0.3, -1.0, -40.0], [-900.0, -901.0, 0.0]], dtype=torch.float64)
    kept.requires_grad_()
    x = torch.tensor([[0, 0], [1, 1]])
    for name in ("log_cdf", "sf", "log_sf"):
        assert torch.autograd.gradcheck(lambda y, name=name: getattr(Categorical(y), name)(x), kept)
    sparse = TopK(3)(Categorical(torch.tensor(np.random.default_rng(0).standard_normal(5000))))
    numpys = TopK(3)(Categorical(np.random.default_rng(0).standard_normal(5000)))
    x = int(numpys.mode())
    assert float(sparse.log_sf(x - 1)) == float(numpys.log_sf(x - 1))


@pytest.mark.frameworks
def test_jax_gradients_and_categories_that_cannot_be_seen():
    jax = pytest.importorskip("jax")
    z = jax.numpy.asarray([[0.3, -1.0, 2.0], [-200.0, -201.0, 0.0], [0.0, 0, -INF]])
    names = ("log_cdf", "sf", "log_sf")

    @jax.jit
    def values(z, x):
        def tails(z):
            found = jax.numpy.stack([getattr(Categorical(z), name)(x) for name in names])
            return found.sum(), found

        return jax.grad(tails, has_aux=True)(z)

    slope, found = values(z, np.array([1, 1, 1]))
    numpys = Categorical(np.asarray(z, np.float64))
    expected = [getattr(numpys, name)([1, 1, 1]) for name in names]
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-37)
    assert np.isfinite(slope[:2]).all()
    outside = values(z, np.array([3, -1, 1]))[1]
    assert np.isnan(outside).tolist() == [[True, True, False]] * 3
    np.testing.assert_array_equal(outside[:, 2], found[:, 2])
