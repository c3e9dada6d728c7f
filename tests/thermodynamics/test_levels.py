"""Thermodynamics: exact systems, limits, derivatives, identities, other namespaces."""

import math

import mpmath
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from softargmax import Categorical, smooth_max
from softargmax.thermodynamics import (
    entropy,
    free_energy,
    heat_capacity,
    internal_energy,
    log_partition,
)

inf = math.inf
ALL = (log_partition, free_energy, internal_energy, heat_capacity, entropy)
# The energies of the 4 × 4 Ising torus, how many states have each, and their mirror images.
HALF = {-32: 2, -24: 32, -20: 64, -16: 424, -12: 1728, -8: 6688, -4: 13568}
ISING = {**HALF, 0: 20524, **{-e: g for e, g in HALF.items()}}
COLD = 0.5 * math.log(1 + math.sqrt(2))


def ising(coldness):
    return Categorical.from_energies(
        list(ISING), coldness=coldness, degeneracies=list(ISING.values())
    )


@pytest.mark.parametrize(
    ("coldness", "log_z", "u", "c"),
    [
        (0.2, 11.771470358541581, -7.2981659126855565, 1.9127390205976933),
        (COLD, 15.521915458755283, -25.04998060221309, 12.532269214862554),
        (0.6, 20.056532884346808, -30.529112445297024, 5.048860753184877),
    ],
)
def test_ising_torus(coldness, log_z, u, c):
    assert sum(ISING.values()) == 2**16
    dist = ising(coldness)
    assert log_partition(dist) == pytest.approx(log_z, rel=1e-14)
    assert internal_energy(dist) == pytest.approx(u, rel=1e-14)
    assert heat_capacity(dist) == pytest.approx(c, rel=1e-13)
    assert free_energy(dist) == pytest.approx(-log_z / coldness, rel=1e-14)
    assert entropy(dist) == pytest.approx(log_z + coldness * u, rel=1e-13)


@pytest.mark.parametrize("t", [0.0, 5e-324, 1e-300, 1e-200, 1e-155, 1e-154, 1e-100])
def test_cold_levels_have_no_heat_capacity(t):
    for energies in ([0.0, 1.0], [0.0, 0.0, 1.0], [-3.0, 2.0, 1e200]):
        assert heat_capacity(Categorical.from_energies(energies, t)) == 0
        assert heat_capacity(Categorical.from_energies(energies, coldness=-1e155)) == 0


def test_ising_torus_as_states_has_the_same_thermodynamics():
    coldness = [-0.3, 0.0, 0.2, COLD, 0.6, inf]
    states = Categorical.from_energies(
        np.repeat(list(ISING), list(ISING.values())), coldness=coldness
    )
    for function in ALL:
        assert_allclose(function(states), function(ising(coldness)), rtol=1e-11, atol=1e-13)
    assert_allclose(entropy(states), states.entropy(), rtol=1e-11)
    assert (entropy(ising(coldness))[:5] > ising(coldness).entropy()[:5] + 1).all()


def test_two_levels():
    t = np.array([0.05, 0.2, 0.4167782798, 1.0, 7.0])
    dist = Categorical.from_energies([0.0, 1.0], t)
    e = np.exp(-1 / t)
    assert_allclose(log_partition(dist), np.log1p(e), rtol=1e-14)
    assert_allclose(internal_energy(dist), e / (1 + e), rtol=1e-13)
    assert_allclose(heat_capacity(dist), e / (1 + e) ** 2 / t**2, rtol=1e-13)
    assert heat_capacity(dist)[2] == pytest.approx(0.4392288398906, rel=1e-12)
    assert (heat_capacity(dist)[[0, 1, 3, 4]] < heat_capacity(dist)[2]).all()
    # nothing is lost next to T = 0
    cold = Categorical.from_energies([0.0, 1.0], 0.001)
    assert log_partition(cold) == pytest.approx(0, abs=0)
    cold = Categorical.from_energies([0.0, 1.0], 0.01)
    assert log_partition(cold) == pytest.approx(math.exp(-100), rel=1e-12)
    assert entropy(cold) == pytest.approx(101 * math.exp(-100), rel=1e-12)


@pytest.mark.parametrize("coldness", [0.01, 0.3, 1.0, 4.0])
def test_harmonic_ladder(coldness):
    levels = 200
    dist = Categorical.from_energies(np.arange(levels), coldness=coldness)
    x = mpmath.mpf(coldness)

    def log_z(b):
        return mpmath.log((1 - mpmath.exp(-levels * b)) / (1 - mpmath.exp(-b)))

    assert log_partition(dist) == pytest.approx(float(log_z(x)), rel=1e-13)
    assert internal_energy(dist) == pytest.approx(float(-mpmath.diff(log_z, x)), rel=1e-10)
    assert heat_capacity(dist) == pytest.approx(float(x**2 * mpmath.diff(log_z, x, 2)), rel=1e-8)


@pytest.mark.parametrize("q", [2, 3])
def test_rings_by_transfer_matrix(q):
    """Ising (q = 2) and Potts rings of 7 sites, E = -Σ [sᵢ = sᵢ₊₁]."""
    sites = 7
    states = np.stack(np.meshgrid(*[np.arange(q)] * sites, indexing="ij"), -1).reshape(-1, sites)
    energies = -(states == np.roll(states, 1, axis=1)).sum(axis=1)
    for coldness in (-1.0, 0.1, 0.7, 2.0):
        dist = Categorical.from_energies(energies, coldness=coldness)
        # eigenvalues e^β + q - 1, and e^β - 1 as often as q - 1
        z = (math.exp(coldness) + q - 1) ** sites + (q - 1) * (math.exp(coldness) - 1) ** sites
        assert log_partition(dist) == pytest.approx(math.log(z), rel=1e-13)


@given(
    st.lists(st.floats(-20, 20), min_size=1, max_size=8),
    st.floats(0.05, 20),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
@example([0.0, 0.0, -17.3125, 20.0], 0.05, False, 1)  # a p that is the smallest number there is
def test_identities(energies, t, inverted, seed):
    g = np.random.default_rng(seed).uniform(0.1, 5, len(energies))
    coldness = -1 / t if inverted else 1 / t
    dist = Categorical.from_energies(energies, coldness=coldness, degeneracies=g)
    log_z, f, u, _, s = (function(dist) for function in ALL)
    scale = 1 + abs(log_z) + abs(coldness * u)
    assert f == pytest.approx(u - s / coldness, rel=1e-10, abs=1e-10 * scale / abs(coldness))
    assert s == pytest.approx(log_z + coldness * u, rel=1e-10, abs=1e-10 * scale)
    p = dist.probs
    terms = p * (np.log(np.where(p > 0, p, 1)) - np.log(g))
    assert s == pytest.approx(-terms.sum(), rel=1e-9, abs=1e-9)
    assert -f == pytest.approx(
        float(
            mpmath.log(
                mpmath.fsum(w * mpmath.exp(-coldness * e) for e, w in zip(energies, g, strict=True))
            )
            / coldness
        ),
        rel=1e-10,
        abs=1e-10,
    )


def test_derivatives():
    g = [1, 3, 2.5, 7]
    e = [0.3, -1.0, 2.0, 2.5]

    def at(coldness):
        return Categorical.from_energies(e, coldness=coldness, degeneracies=g)

    for coldness in (-2.0, -0.1, 0.2, 1.0, 5.0):
        h = 1e-4
        grid = coldness + h * np.arange(-2, 3)
        slope = np.array([1, -8, 0, 8, -1]) / (12 * h)  # error h⁴
        assert slope @ log_partition(at(grid)) == pytest.approx(
            -internal_energy(at(coldness)), rel=1e-10
        )
        du = slope @ internal_energy(at(grid))
        assert -(coldness**2) * du == pytest.approx(heat_capacity(at(coldness)), rel=1e-9)


def test_limits():
    dist = Categorical.from_energies(
        [2.0, 2.0, 3.0, 5.0, inf], coldness=[inf, 0.0, -inf], degeneracies=[1, 2, 4, 8, 16]
    )
    assert internal_energy(dist).tolist() == [2.0, pytest.approx(58 / 15), 5.0]
    assert free_energy(dist).tolist() == [2.0, -inf, 5.0]
    assert entropy(dist).tolist() == [
        pytest.approx(math.log(3)),
        pytest.approx(math.log(15)),
        pytest.approx(math.log(8)),
    ]
    assert heat_capacity(dist).tolist() == [0, 0, 0]
    assert log_partition(dist).tolist() == [-inf, pytest.approx(math.log(15)), inf]
    zero = Categorical.from_energies([0.0, 0.0, 1.0], 0)
    assert log_partition(zero) == pytest.approx(math.log(2))
    # at T = inf the total of the degeneracies decides
    for g, f in (([0.25, 0.75], 0.75), ([0.1, 0.1], inf), ([1, 1], -inf)):
        hot = Categorical.from_energies([0.0, 1.0], inf, degeneracies=g)
        assert free_energy(hot) == pytest.approx(f, rel=1e-14)
    far = Categorical.from_energies([1.7e308, -1.7e308], 1e308)
    assert internal_energy(far) == pytest.approx(-1.7e308 * math.tanh(1.7), rel=1e-12)


def test_degeneracies_keep_their_digits():
    """p is g / Σg at T = inf, not the exponential of a logarithm."""
    for g in (1e-30, 1e-200, 5e-324):
        hot = Categorical.from_energies([0.0, 1.0], inf, degeneracies=[1, g])
        assert internal_energy(hot) == g
    # A ground state far below the likeliest level leaves the mean its digits.
    deep = Categorical.from_energies([-1e20, 1.0, 2.0], inf, degeneracies=[1e-40, 1, 1])
    assert internal_energy(deep) == pytest.approx(1.5 - 5e-21, rel=1e-15)
    assert free_energy(
        Categorical.from_energies([-1e20, 1.0], inf, degeneracies=[1e-40, 1])
    ) == pytest.approx(1 - 1e-20, rel=1e-15)


@given(
    st.lists(st.integers(-500, 500), min_size=1, max_size=5),
    st.integers(1, 2000),
    st.sampled_from([5e-324, 2.0**-1060, 2.0**-1030, 2.0**-1000, 1.0, 2.0**1000]),
)
def test_units_do_not_matter(energies, t, unit):
    """Subnormal temperatures too, whose inverse is beyond float64."""
    dist = Categorical.from_energies(np.array(energies) * unit, t * unit)
    same = Categorical.from_energies(np.array(energies, float), t)
    for function in (log_partition, heat_capacity, entropy):
        assert function(dist) == pytest.approx(function(same), rel=1e-13, abs=1e-300)
    for function in (internal_energy, free_energy):
        assert function(dist) == pytest.approx(
            float(mpmath.mpf(function(same)) * unit), rel=1e-12, abs=4 * 5e-324 * len(energies)
        )


def test_shapes_dtypes_and_signs():
    ladder = Categorical(np.float32([[0, 1, 2], [3, 1, 1]]), np.full((2,), 0.5))
    for function in ALL:
        found = function(ladder)
        assert found.shape == (2,)
        assert found.dtype == np.float32
        assert_allclose(found, [function(row) for row in ladder], rtol=1e-6)
        assert np.ndim(function(ladder[0])) == 0
        with pytest.raises(TypeError, match="dist must be a Categorical, got list"):
            function([1.0])
    z = np.array([0.5, 2.0, -1.0])
    assert free_energy(Categorical(z, 0.7)) == pytest.approx(-smooth_max(z, 0.7), rel=1e-15)


@pytest.mark.frameworks
def test_torch_and_its_gradients():
    torch = pytest.importorskip("torch")
    e = torch.tensor([0.0, 1.0, 2.5, inf], dtype=torch.float64)
    beta = torch.tensor([0.5, -2.0, 3.0], dtype=torch.float64, requires_grad=True)
    g = torch.tensor([1.0, 2.0, 0.5, 1.0], dtype=torch.float64)
    dist = Categorical.from_energies(e, coldness=beta, degeneracies=g)
    same = Categorical.from_energies(
        e.numpy(), coldness=beta.detach().numpy(), degeneracies=g.numpy()
    )
    for function in ALL:
        assert_allclose(function(dist).detach(), function(same), rtol=1e-12)
    (slope,) = torch.autograd.grad(log_partition(dist).sum(), beta)
    assert_allclose(slope, -internal_energy(same), rtol=1e-12)


@pytest.mark.frameworks
def test_jax():
    jax = pytest.importorskip("jax")
    e = np.array([0.0, 1.0, 2.5])
    for function in ALL:
        found = jax.jit(
            lambda t, f=function: f(Categorical.from_energies(jax.numpy.asarray(e), t))
        )(np.float32([0.5, 2.0, inf]))
        exact = function(Categorical.from_energies(e, [0.5, 2.0, inf]))
        assert_allclose(found, exact, rtol=1e-5, atol=1e-6)


def test_array_api_strict():
    xp = pytest.importorskip("array_api_strict")
    e = np.array([0.0, 1.0, 2.5])
    for function in ALL:
        found = function(Categorical.from_energies(xp.asarray(e), 0.7))
        assert float(found) == pytest.approx(float(function(Categorical.from_energies(e, 0.7))))
