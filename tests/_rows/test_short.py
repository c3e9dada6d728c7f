"""One short row in Python floats: the same law as the array kernels'."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from softargmax import Categorical
from softargmax._core.inputs import checked_state
from softargmax._rows.rows import rows_of
from softargmax._rows.short import SHORT, Short
from softargmax._rows.small import Small
from softargmax.categorical import state_of
from statistical import check_draws

ENGINES = ("numpy",)

INF = np.inf
LOGIT = st.one_of(st.floats(-1e3, 1e3), st.just(-INF), st.integers(-2, 2).map(float))
ROW = hnp.arrays(np.float64, st.integers(1, SHORT), elements=LOGIT).filter(
    lambda z: (z > -INF).any()
)


@given(ROW, st.floats(-3, 3), st.sampled_from([np.float32, np.float64]), st.booleans())
def test_equals_the_array_kernels(z, power, dtype, by_coldness):
    heat = {"coldness": 10**power} if by_coldness else {"temperature": 10**power}
    checked = checked_state(
        z.astype(dtype), **{"temperature": None, "coldness": None, **heat}, prior=None, copy=True
    )
    short = Short.of(checked.z, checked.temperature, None)
    arrays = Small(rows_of(checked.z, checked.temperature, None, ()), ())
    d = arrays.d
    assert short is not None
    rtol = 8 * np.finfo(dtype).eps
    np.testing.assert_allclose(short.values, d, rtol=rtol)
    tiny = 1e-37 if dtype is np.float32 else 1e-300
    lead = np.sort(d)[-2] if len(d) > 1 else -INF  # errors grow with the lead of the likeliest
    rtol *= 1 + (abs(lead) if np.isfinite(lead) else 0)
    np.testing.assert_allclose(short.log_probs, arrays.log_probs, rtol=rtol, atol=tiny)
    np.testing.assert_allclose(short.probs, arrays.probs, rtol=1e3 * rtol, atol=tiny)
    np.testing.assert_allclose(short.entropy, arrays.entropy, rtol=rtol, atol=tiny)


@given(ROW, st.floats(-3, 3), st.integers(0, 2**SHORT - 1))
def test_a_mask_is_a_logit_of_minus_infinity(z, power, bits):
    keep = np.array([bits >> i & 1 == 1 for i in range(len(z))])
    if not (keep & (z > -INF)).any():
        keep[:] = True
    masked = Categorical(z, 10**power).masked(keep)
    same = Categorical(np.where(keep, z, -INF), 10**power)
    assert type(state_of(masked).law) is type(state_of(same).law)
    np.testing.assert_array_equal(masked.log_probs, same.log_probs)
    assert masked.entropy() == same.entropy()
    assert masked.sample(rng=0) == same.sample(rng=0)


def test_what_it_leaves_to_the_arrays():
    def short(z, *heat, **more):
        law = state_of(Categorical(z, *heat, **more)).law
        return law if isinstance(law, Short) else None

    assert short([1.0, 2.0], 0.5) is not None
    assert short(np.zeros(SHORT)) is not None
    assert short(np.zeros(SHORT + 1)) is None
    assert short([1.0, 2.0], [0.5]) is None
    assert short([[1.0, 2.0]]) is None
    assert short([1.0, 2.0], prior=[1, 2]) is None
    assert short([1.7e308, -1.7e308]) is None
    assert short(np.array([0, -1e20], np.float32), 1e-25) is None  # beyond float32, in silence
    assert Categorical(np.array([0, -1e20], np.float32), 1e-25).log_probs.tolist() == [0, -INF]
    for heat in ({"coldness": -1}, {"coldness": -INF}, {"coldness": 1e300}, {"temperature": 1e300}):
        assert short([1.0, 2.0], **heat) is None


def test_draws_with_chosen_noise():
    row = state_of(Categorical([-INF, 0.0, np.log(3.0), -INF, -80.0, -INF])).law
    below_one = np.nextafter(1.0, 0.0)
    for u, expected in ((0.0, 1), (0.2499, 1), (0.2501, 2), (below_one, 2)):
        assert row.draw(u) == expected
    assert state_of(Categorical([-80.0, 0.0])).law.draw(0.0) == 0  # 1e-35, but possible
    float32 = Categorical(np.array([-95.0, 0.0], np.float32))  # subnormal: taken for impossible
    assert state_of(float32).law.draw(0.0) == 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_single_draws_follow_the_probabilities(dtype):
    z = np.array([0.5, -1.0, 2.0, -INF, 1.0, 0.0], dtype)
    dist, rng = Categorical(z, 0.8), np.random.default_rng(2)
    x = np.array([dist.sample(rng=rng) for _ in range(100_000)])
    check_draws(x, dist.probs, detects=0.02)


def test_the_short_ways_give_what_the_long_ones_give():
    dist = Categorical(np.array([0.5, -1.0, 2.0], np.float32), 0.8)
    for category in (0, np.int64(1), 2):
        assert dist.log_prob(category) == dist.log_probs[category] == dist.log_prob([category])[0]
        assert type(dist.log_prob(category)) is np.float32
    assert type(dist.entropy()) is np.float32
    assert type(dist.sample(rng=np.random.default_rng(0))) is np.int64
    for seed in range(20):
        drawn = dist.sample(rng=np.random.default_rng(seed))
        assert drawn == dist.sample(rng=seed) == dist.sample(rng=seed, method="inverse")
        assert drawn == dist.sample_and_log_prob(rng=seed)[0] == dist.sample(rng=seed, workers=2)
