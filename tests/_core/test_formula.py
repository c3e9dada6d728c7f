"""The array-API formula: equal to the NumPy kernels, in the strictest namespace."""

import array_api_strict as xp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from questions import questions, surface
from reference import law, ulps
from softargmax import (
    Categorical,
    RelaxedCategorical,
    log_softargmax,
    smooth_max,
    softargmax,
    thermodynamics,
)
from softargmax.resampling import resample
from softargmax.tokens import TopP

INF = np.inf
LOGIT = st.one_of(st.floats(-1e3, 1e3), st.just(-INF), st.integers(-2, 2).map(float))
ROWS = hnp.arrays(np.float64, st.tuples(st.integers(1, 3), st.integers(1, 5)), elements=LOGIT).map(
    lambda z: np.where(np.isneginf(z).all(-1, keepdims=True), 0.0, z)
)
COLDNESS = st.one_of(
    st.floats(-50, 50),
    st.sampled_from([INF, -INF, 0.0, -0.0, 5e-324, -5e-324, 1e300, -1e300]),
)


def assert_same(ours, numpys, rtol):
    """The same values, dtype and shape, and in the caller's namespace."""
    assert type(ours) is type(xp.asarray(0.0))
    assert str(ours.dtype).rpartition(".")[2] == np.dtype(numpys.dtype).name
    np.testing.assert_allclose(np.asarray(ours), numpys, rtol=rtol, atol=rtol)


@given(ROWS, COLDNESS, st.booleans(), st.sampled_from([np.float32, np.float64]))
def test_functions_equal_the_kernels(z, coldness, with_prior, dtype):
    z = z.astype(dtype)
    prior = np.linspace(0, 2, z.shape[1] + 1)[1:] if with_prior else None
    foreign = None if prior is None else xp.asarray(prior)
    rtol = 1e-12 if dtype is np.float64 else 1e-4
    for function in (softargmax, log_softargmax):
        with np.errstate(all="ignore"):
            expected = function(z, coldness=coldness, prior=prior)
        assert_same(function(xp.asarray(z), coldness=coldness, prior=foreign), expected, rtol)
    assert_same(
        smooth_max(xp.asarray(z), coldness=coldness), smooth_max(z, coldness=coldness), rtol
    )


def test_huge_logits_and_near_zero_logarithms():
    z = np.array([1.7e308, -INF, -1.7e308, 1.7e308])
    for coldness in (INF, 1e300, 1.0, 1e-308, 5e-324, 0.0, -5e-324, -1e-308, -1.0, -1e300, -INF):
        got = softargmax(xp.asarray(z), coldness=coldness)
        assert_same(got, softargmax(z, coldness=coldness), 1e-12)
    near = log_softargmax(xp.asarray([0.0, -40.0]))
    assert float(near[0]) == -4.248354255291589e-18
    assert float(Categorical(xp.asarray([0.0, -40.0])).entropy()) == 1.7418252446695514e-16


def test_accuracy_of_the_formula():
    rng = np.random.default_rng(0)
    for _ in range(300):
        z = rng.standard_normal(rng.integers(2, 30)) * 10 ** rng.uniform(-3, 3)
        exact = law(z)
        got = log_softargmax(xp.asarray(z))
        for i, log_p in enumerate(exact.log_probs):
            bar = 16 + 2 * exact.gap if i == exact.top else 16
            assert abs(log_p) < 1e-300 or ulps(float(got[i]), log_p, np.float64) <= bar


def test_limits_of_smooth_max_and_dtypes_of_scalars():
    eight = xp.full(8, -1.7e308)
    assert float(smooth_max(eight, 1e308)) == pytest.approx(1e308 * (np.log(8) - 1.7))
    dist = Categorical(xp.asarray([0.0, 1.0], dtype=xp.float32))
    assert dist.log_prob_ordered([0]).dtype == dist.entropy().dtype == xp.float32
    swapped = np.array([1.0, 3.0], ">f4")
    assert_same(softargmax(xp.asarray([0.0, 0.0]), prior=swapped), np.array([0.25, 0.75]), 1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("temperature", [0, 0.5, 1, INF, [0.0, 1.0, INF]])
@pytest.mark.parametrize("prior", [None, [1, 2, 2, 1], [True, True, True, False]])
def test_the_object_equals_numpys(temperature, prior, dtype):
    z = np.array([[1.0, 5, 5, 2], [-INF, 0, 1, 2], [3, 3, 3, 3]], dtype)
    weights = None if prior is None else np.array(prior)
    ours = Categorical(xp.asarray(z), temperature, prior=prior)
    numpys = Categorical(z, temperature, prior=weights)
    assert ours.batch_shape == numpys.batch_shape
    for a, b in zip(surface(ours, xp.asarray), surface(numpys, np.asarray), strict=True):
        assert_same(a, b, 1e-5 if dtype is np.float32 else 1e-13)


def test_constructors_answer_in_kind():
    w = np.array([[1.0, 0, 3], [2, 2, 1e-300]])
    for t in (1, xp.asarray([0.5, INF])):
        numpy_t = t if isinstance(t, int) else np.asarray(t)
        assert_same(
            Categorical.from_weights(xp.asarray(w), t).probs,
            Categorical.from_weights(w, numpy_t).probs,
            1e-13,
        )
    e = np.array([0, 1, INF])
    assert_same(
        Categorical.from_energies(xp.asarray(e), degeneracies=xp.asarray([1, 2, 3])).probs,
        Categorical.from_energies(e, degeneracies=[1, 2, 3]).probs,
        1e-13,
    )


def test_the_namespace_is_that_of_the_first_foreign_array():
    z, t = np.array([0.0, 1.0]), xp.asarray([0.0, 2.0])
    assert_same(softargmax(z, t), softargmax(z, [0.0, 2.0]), 1e-13)
    assert_same(softargmax(z, prior=xp.asarray([1, 3])), softargmax(z, prior=[1, 3]), 1e-13)
    assert_same(Categorical(z).tempered(t).probs, softargmax(z, [0.0, 2.0]), 1e-13)
    assert_same(softargmax(xp.asarray([0, 1])), softargmax([0, 1]), 1e-13)


def test_bad_values_in_a_foreign_namespace():
    with pytest.raises(ValueError, match=r"logits.*nan in row 1"):
        softargmax(xp.asarray([[0.0, 1], [np.nan, 1]]))
    with pytest.raises(ValueError, match=r"temperature.*got -2.0 in row 1; .*coldness=-0.5"):
        softargmax(xp.asarray([0.0, 1]), xp.asarray([1.0, -2.0]))
    with pytest.raises(TypeError, match="logits must be real"):
        softargmax(xp.asarray([1j, 0]))
    with pytest.raises(TypeError, match="category must be integers"):
        Categorical(xp.asarray([0.0, 1])).log_prob(xp.asarray(0.5))
    with pytest.raises(TypeError, match="same library"):
        Categorical(xp.asarray([0.0, 1])).kl_divergence(Categorical([0, 1]))


@settings(max_examples=20)
@given(ROWS)
def test_foreign_arrays_are_copied(z):
    array = xp.asarray(z, copy=True)
    dist = Categorical(array)
    before = np.asarray(dist.probs)
    array[...] = 0.0
    np.testing.assert_array_equal(np.asarray(dist.probs), before)


@pytest.mark.parametrize("name", ["temperature", "coldness"])
def test_a_scalar_of_the_namespace_is_that_of_every_row(name):
    z = np.random.default_rng(0).normal(size=(5_000, 10)).astype(np.float32)
    ours, numpys = (
        Categorical(xp.asarray(z), **{name: xp.asarray(0.7)}),
        Categorical(z, **{name: 0.7}),
    )
    assert_same(ours.sample(rng=0), numpys.sample(rng=0), 0)
    assert_same(ours.sample(3, rng=0), numpys.sample(3, rng=0), 0)


def test_arrays_where_numpy_cannot_read_them():
    """array_api_strict has a device of which NumPy knows nothing."""
    there = xp.Device("device1")

    def array(x):
        return xp.asarray(np.asarray(x), device=there)

    def seen(x):
        assert x.device == there
        return np.asarray(x.to_device(xp.Device("CPU_DEVICE")))

    z, heat, prior = np.array([[1.0, 5, 5, 2], [-INF, 0, 1, 2], [3, 3, 3, 3]]), 0.7, [1.0, 2, 1, 0]
    ours = Categorical(array(z), heat, prior=array(prior))
    numpys = Categorical(z, heat, prior=prior)
    for a, b in zip(questions(ours, array), questions(numpys, np.asarray), strict=True):
        np.testing.assert_allclose(seen(a), b, rtol=1e-9, atol=1e-12)
    for draw in (
        lambda d: d.sample((2, 3), rng=1),
        lambda d: d.sample(5, rng=[1, 2, 3]),
        lambda d: d.sample_counts(9, rng=1),
        lambda d: d.sample_without_replacement(2, rng=1),
        lambda d: resample(d, 5, rng=1),
        lambda d: d.relaxed(0.5).sample(2, rng=1),
        lambda d: thermodynamics.free_energy(d),
        lambda d: TopP(0.5)(d).probs,
    ):
        np.testing.assert_allclose(seen(draw(ours)), draw(numpys), rtol=1e-9)
    y = [0.2, 0.3, 0.1, 0.4]
    plain = RelaxedCategorical(z[2], 0.5)
    np.testing.assert_allclose(
        seen(RelaxedCategorical(array(z[2]), 0.5).log_prob(array(y))), plain.log_prob(y)
    )
    with pytest.raises(ValueError, match=r"logits must be finite or -inf, got nan in row 1"):
        Categorical(array([[0.0, 1], [np.nan, 1]]))
    with pytest.raises(ValueError, match="category must be in 0 … 3, got 4"):
        ours.log_prob(array(4))
