"""The functions along any axis, and the smooth maximum of weighted terms."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from reference import MP
from softargmax import Categorical, log_softargmax, smooth_max, softargmax
from softargmax.thermodynamics import free_energy

INF = math.inf


# ---------------------------------------------------------------------------- axis


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2, -3])
def test_an_axis_is_that_of_the_moved_array(axis):
    z = np.random.default_rng(0).standard_normal((3, 4, 5))
    last = np.moveaxis(z, axis, -1)
    weights = np.arange(1.0, z.shape[axis] + 1)
    heat = np.linspace(0.5, 2, last.shape[1])
    for function in (softargmax, log_softargmax):
        for prior in (None, weights):
            got = function(z, heat, prior=prior, axis=axis)
            expected = function(last, heat, prior=prior)
            np.testing.assert_array_equal(got, np.moveaxis(expected, -1, axis))
        theirs = special.softmax if function is softargmax else special.log_softmax
        np.testing.assert_allclose(function(z, axis=axis), theirs(z, axis=axis), rtol=1e-12)
        np.testing.assert_array_equal(
            function(z, prior=np.exp(z), axis=axis),
            np.moveaxis(function(last, prior=np.exp(last)), -1, axis),
        )
    np.testing.assert_array_equal(smooth_max(z, heat, axis=axis), smooth_max(last, heat))
    np.testing.assert_array_equal(
        smooth_max(z, prior=weights, axis=axis), smooth_max(last, prior=weights)
    )


def test_an_axis_counts_from_the_end_where_batches_broadcast():
    z, prior = np.arange(6.0).reshape(3, 2), np.arange(1.0, 13).reshape(2, 3, 2)
    got = softargmax(z, prior=prior, axis=0)
    assert got.shape == (2, 3, 2)
    np.testing.assert_allclose(got.sum(axis=-2), 1)
    np.testing.assert_array_equal(got[1], softargmax(z, prior=prior[1], axis=0))
    ladder = softargmax([0.0, 1.0], [0.5, 1.0, 2.0], axis=0)
    np.testing.assert_array_equal(ladder, softargmax([0.0, 1.0], [0.5, 1.0, 2.0]))
    assert softargmax([[0, 1], [1, 0]], axis=0).shape == (2, 2)


@pytest.mark.parametrize("function", [softargmax, log_softargmax, smooth_max])
def test_axes_that_do_not_exist(function):
    for axis in (2, -3):
        with pytest.raises(ValueError, match=f"axis must be in -2 … 1, got {axis}"):
            function(np.zeros((2, 3)), axis=axis)
    for axis in (0.0, (0, 1), None, True):
        with pytest.raises(TypeError, match="axis must be an integer, got"):
            function(np.zeros((2, 3)), axis=axis)
    with pytest.raises(ValueError, match="logits must have a last axis"):
        function(3.0, axis=0)
    with pytest.raises(
        ValueError, match="prior must have its categories on axis -3, as the logits"
    ):
        function(np.zeros((2, 3, 4)), prior=np.ones((2, 3)), axis=0)
    with pytest.raises(ValueError, match="prior must have 3 categories"):
        function(np.zeros((3, 2)), prior=np.ones(2), axis=0)
    with pytest.raises(ValueError, match="logits must be finite or -inf, got nan in row 1"):
        function(np.array([[0, np.nan], [0, 0]]), axis=0)


# ---------------------------------------------------------------------------- prior


@given(
    st.lists(st.tuples(st.floats(-50, 50), st.floats(1e-12, 1e12)), min_size=1, max_size=6),
    st.floats(-8, 8).filter(lambda b: abs(b) > 1e-3),
    st.sampled_from([np.float64, np.float32]),
)
def test_smooth_max_of_weighted_terms(terms, coldness, dtype):
    z, weights = np.array(terms).T
    z = z.astype(dtype)
    got = smooth_max(z, coldness=coldness, prior=weights)
    assert got.dtype == dtype
    b = MP.mpf(coldness)
    exact = MP.log(MP.fsum(w * MP.exp(b * float(x)) for x, w in zip(z, weights, strict=True))) / b
    scale = np.abs(z).max() + 30 / abs(coldness)
    assert abs(float(got - exact)) <= 16 * np.finfo(dtype).eps * scale
    assert got == pytest.approx(special.logsumexp(coldness * z, b=weights) / coldness, rel=1e-3)


def test_the_prior_is_a_mask_or_degeneracies():
    z = np.array([[3.0, 3.0, 2.0], [-INF, 1.0, 0.0]])
    mask = np.array([False, True, True])
    for heat in (0, 0.7, 1e300, {"coldness": -2.0}):
        heat = heat if isinstance(heat, dict) else {"temperature": heat}
        np.testing.assert_allclose(
            smooth_max(z, prior=mask, **heat), smooth_max(np.where(mask, z, -INF), **heat)
        )
        np.testing.assert_allclose(
            smooth_max(z, prior=[2, 1, 1], **heat), smooth_max(z[:, [0, 0, 1, 2]], **heat)
        )
    energies = Categorical.from_energies([0.0, 1.0, 5.0], 0.7, degeneracies=[1, 3, 5])
    value = smooth_max([-0.0, -1.0, -5.0], 0.7, prior=[1, 3, 5])
    assert free_energy(energies) == pytest.approx(-value, rel=1e-14)


def test_limits_of_the_weighted_maximum():
    z, half = np.array([1.0, 5.0, 5.0, 9.0]), [0.25, 0.5, 0.25, 0.0]
    assert smooth_max(z, 0, prior=half) == smooth_max(z, 5e-324, prior=half) == 5
    assert smooth_max(z, coldness=-INF, prior=half) == 1
    for heat in ({"temperature": INF}, {"coldness": 0.0}):
        assert smooth_max(z, **heat, prior=half) == 4
        assert smooth_max(z, **heat, prior=[2, 1, 1, 0]) == INF
        assert smooth_max(z, **heat, prior=[0.25, 0.25, 0.25, 0]) == -INF
        tenths = np.full(10, 0.1)  # whose sum is rounded
        assert smooth_max(np.arange(10.0), **heat, prior=tenths) == pytest.approx(4.5)
        narrow = np.float32(np.full(10, 0.1))
        assert smooth_max(np.arange(10.0), **heat, prior=narrow) == pytest.approx(4.5)
        assert smooth_max(z, **heat, prior=[False, True, False, False]) == 5
    ladder = smooth_max(z, [0.0, 1.0, INF], prior=half)
    np.testing.assert_allclose(ladder, [5, smooth_max(z, 1.0, prior=half), 4])
    assert smooth_max(z, 1e6, prior=half) == pytest.approx(4 + 1.5e-6, rel=1e-9)
    big = np.array([1.7e308, -1.7e308])
    assert smooth_max(big, prior=[1e-300, 1]) == pytest.approx(1.7e308)
    for bad in ([-1, 1, 1, 1], [np.nan, 1, 1, 1], [0, 0, 0, 0]):
        with pytest.raises(ValueError, match="prior"):
            smooth_max(z, prior=bad)


# ---------------------------------------------------------------------------- other libraries

WEIGHTS = [None, [1.0, 2.0, 0.5, 0.0], [0.25, 0.25, 0.5, 0.0], [True, False, True, True]]


def test_the_strictest_namespace():
    xp = pytest.importorskip("array_api_strict")
    z = np.array([[0.3, -1.0, 2.0, -INF], [4.0, 4.0, 4.0, 1.0]])
    for weights in WEIGHTS:
        prior = None if weights is None else xp.asarray(weights)
        for coldness in (INF, 3.0, 1e-9, 0.0, -1.0, -INF):
            got = smooth_max(xp.asarray(z), coldness=coldness, prior=prior)
            expected = smooth_max(z, coldness=coldness, prior=weights)
            np.testing.assert_allclose(np.asarray(got), expected, rtol=1e-12)
    for function in (softargmax, log_softargmax, smooth_max):
        got = function(xp.asarray(z.T), 0.7, prior=xp.asarray(WEIGHTS[1]), axis=0)
        np.testing.assert_allclose(
            np.asarray(got), function(z.T, 0.7, prior=WEIGHTS[1], axis=0), rtol=1e-13
        )


@pytest.mark.frameworks
def test_gradients_in_torch():
    torch = pytest.importorskip("torch")
    z = torch.tensor([[0.3, 4.0], [4.0, 4.0], [1.0, -INF]], dtype=torch.float64, requires_grad=True)
    prior = torch.tensor([1.0, 1.0, 0.5], dtype=torch.float64, requires_grad=True)
    for heat in (0.0, 0.7, 1e5, INF):
        (slope,) = torch.autograd.grad(smooth_max(z, heat, prior=prior, axis=0).sum(), z)
        if 0 < heat < INF:
            expected = softargmax(z, heat, prior=prior, axis=0)
            np.testing.assert_allclose(slope, expected.detach(), rtol=1e-10)
        assert torch.isfinite(slope).all()
    flat = torch.tensor([[0.3, 1.0, 1.0], [2.0, 0.0, 0.1]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda y, w: smooth_max(y, 0.7, prior=w), (flat, prior))
    mapped = torch.func.vmap(lambda y: smooth_max(y, 0.7, prior=prior.detach(), axis=0))
    y = flat.detach()[..., None]
    np.testing.assert_allclose(mapped(y), smooth_max(y, 0.7, prior=prior.detach(), axis=1))
    mean = smooth_max(flat, INF, prior=torch.tensor([0.5, 0.25, 0.25]))
    (slope,) = torch.autograd.grad(mean.sum(), flat)
    np.testing.assert_allclose(slope, [[0.5, 0.25, 0.25]] * 2)


@pytest.mark.frameworks
def test_bad_rows_that_cannot_be_seen():
    jax = pytest.importorskip("jax")
    z = np.float32([[0.3, np.nan], [1.0, 2.0]])
    prior = np.float32([0.5, 0.5])
    for heat in (1.0, INF):
        value = jax.jit(lambda z, w, heat=heat: smooth_max(z, heat, prior=w, axis=1))
        found = np.asarray(value(z, prior))
        assert np.isnan(found).tolist() == [True, False]
        assert found[1] == pytest.approx(smooth_max(z[1], heat, prior=prior), rel=1e-6)
        plain = jax.jit(lambda z, heat=heat: smooth_max(z, heat))(z)
        assert np.isnan(plain).tolist() == [True, False]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("rows", "width"), [(1, 5000), (7, 257), (40, 3000), (3, 70_000)])
def test_workers_find_what_one_finds(rows, width, dtype):
    """They take rows together whose largest logits they find first, where one finds all at once."""
    rng = np.random.default_rng(width)
    z = rng.normal(size=(rows, width)).astype(dtype)
    z[0, 1:], z[-1, ::2] = -np.inf, -300
    huge = z.copy()
    huge[rows // 2, :2] = np.finfo(dtype).max, np.finfo(dtype).min
    heats = rng.choice([0.0, 0.5, 1.0, 2.0, np.inf], rows)
    for logits in (z, np.maximum(z, -300), huge, np.broadcast_to(z[:1], z.shape)):
        for heat in ({}, {"temperature": 0}, {"temperature": heats}, {"coldness": -2.0}):
            for answer in (softargmax, log_softargmax):
                alone = answer(logits, **heat)
                np.testing.assert_array_equal(answer(logits, **heat, workers=3), alone)
    z[rows // 2, 17] = np.nan
    with pytest.raises(ValueError, match=f"row {rows // 2}" if rows > 1 else "nan"):
        log_softargmax(z, workers=2)
