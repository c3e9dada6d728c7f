"""Short rows side by side: what each answers is its own, whichever rows stand beside it."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

pytest.importorskip("numba", reason="the engine of kernels needs numba")

from softargmax._rows.compiled.law import Compiled
from softargmax._rows.compiled.together import NARROW
from softargmax._rows.rows import Temperature, rows_of

ENGINES = ("numba",)
COUNTS = [1, 15, 16, 17, 63, 64, 65, 200]
WIDTHS = [1, 2, 7, 8, 15, 16, 17, 18, 33, NARROW, NARROW + 1]
HEATS = [1.0, 0.5, 0.7, 1e-3, 0.0, np.inf, -0.7]


def logits(count, width, dtype):
    rng = np.random.default_rng(count * width)
    z = (5 * rng.normal(size=(count, width))).astype(dtype)
    z[rng.random((count, width)) < 0.1] = -np.inf
    z[:, -1] = rng.normal(size=count)
    z[count // 2] = 0
    return z


def temperature(heat):
    heat = np.asarray(heat, np.float64)
    with np.errstate(divide="ignore"):
        cold = 1 / heat
    if (heat < 0).any():  # only a coldness may be negative
        return Temperature(cold if heat.ndim else float(cold), None)
    return Temperature(cold, heat) if heat.ndim else Temperature(float(cold), float(heat))


def law_of(z, heat):
    return Compiled(rows_of(z, temperature(heat), None, z.shape[:1]), z.shape[:1])


def alone(z, heat):
    return Compiled(rows_of(z, temperature(heat), None, ()), ())


def expected(z, heat):
    """log p, with more digits."""
    z, heat = z.astype(np.longdouble), np.broadcast_to(heat, len(z))
    found = []
    for row, own in zip(z, heat, strict=True):
        alive = row[row > -np.inf]
        best = alive.max() if own >= 0 else alive.min()
        with np.errstate(divide="ignore", invalid="ignore"):
            d = (row - best) / own if own else np.where(row == best, 0, -np.inf)
        d[row == -np.inf] = -np.inf
        found.append(d - np.log(np.exp(d).sum()))
    return np.stack(found)


def check(z, heat):
    law, want = law_of(z, heat), expected(z, heat)
    close = {"rtol": 200 * np.finfo(z.dtype).eps, "atol": 200 * np.finfo(z.dtype).eps}
    assert_allclose(law.log_probs, want, **close)
    assert_allclose(law.probs, np.exp(want), **close)
    entropy = -(np.exp(want) * np.maximum(want, -2000)).sum(axis=-1)
    assert_allclose(law.entropy, entropy, **close)
    x = z.argmax(-1)
    assert_array_equal(law.log_prob_each(x), law.log_probs[np.arange(len(z)), x])
    assert_allclose(law.probs.sum(-1), 1, rtol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("count", COUNTS)
def test_values_at_one_temperature(count, width, dtype):
    for heat in HEATS:
        check(logits(count, width, dtype), heat)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("width", [2, 18, NARROW])
def test_values_at_a_temperature_a_row(width, dtype):
    z, rng = logits(200, width, dtype), np.random.default_rng(1)
    check(z, rng.uniform(0.5, 2, 200))
    check(z, rng.choice([0.25, 0.5, 2.0], 200))  # whose inverses float32 holds
    check(z, rng.choice(HEATS, 200))
    check(z, rng.choice([0.5, -0.5], 200))
    check(np.broadcast_to(z[3], z.shape), rng.uniform(0.5, 2, 200))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("width", WIDTHS)
def test_a_row_is_answered_as_it_is_alone(width, dtype):
    z, rng = logits(150, width, dtype), np.random.default_rng(2)
    z[7, :-1], z[90, :-1] = z[7, -1] - 95, z[90, -1] - 720  # sums below what needs no care
    heats = rng.choice([heat for heat in HEATS if heat >= 0], 150)
    heats[[7, 90]] = 1.0
    for heat in (1.0, 0.7, -0.7, heats):
        own = np.broadcast_to(heat, 150)
        singles = [alone(row, one) for row, one in zip(z, own, strict=True)]
        for order in (np.arange(150), rng.permutation(150), rng.permutation(150)[:70]):
            law = law_of(z[order], own[order] if np.ndim(heat) else heat)
            for name in ("log_probs", "probs", "entropy"):
                want = [getattr(singles[i], name) for i in order]
                assert_array_equal(getattr(law, name), np.stack(want))
            assert_array_equal(law.make_log_probs(2), law.log_probs)
            assert_array_equal(law.make_probs(2), law.probs)


def test_no_rows():
    law = law_of(np.empty((0, 18)), 1.0)
    assert law.log_probs.shape == law.probs.shape == (0, 18)
    assert law.entropy.shape == law.draw_few(np.empty((1, 0)))[0].shape == (0,)


def test_sums_that_are_no_normal_numbers_keep_their_digits():
    for dtype, far, rtol in ((np.float32, 95.0, 1e-3), (np.float64, 720.0, 1e-3)):
        z = np.full((64, 4), -far, dtype)
        z[:, 0], z[::2, 1] = 0, -1
        level = law_of(z, 1.0)._numbers[0]
        assert_allclose(level[1::2], 3 * np.exp(-far), rtol=rtol)
        assert_allclose(level[::2], np.log1p(np.exp(-1)), rtol=1e-6)


def test_weights_beyond_the_digits_of_the_sum_are_never_drawn():
    z = np.full((64, 18), -np.inf, np.float32)
    z[:, 0], z[:, -1] = -87, 0  # the least normal number is exp(-87.3)
    law = law_of(z, 1.0)
    for n in (1, 2):
        assert (law.draw_few(np.zeros((n, 64))) == 17).all()


def test_rows_of_hidden_faults_are_nan_alone():
    z = logits(64, 18, np.float32)
    z[3, 7] = np.nan
    for heat in (1.0, 0.0):
        law = law_of(z, heat)
        for name in ("log_probs", "probs"):
            assert_array_equal(np.isnan(getattr(law, name)).all(-1), np.arange(64) == 3)
            assert_array_equal(np.isnan(getattr(law, name)).any(-1), np.arange(64) == 3)
        assert_array_equal(np.isnan(law.entropy), np.arange(64) == 3)
