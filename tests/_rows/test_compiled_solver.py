"""The coldness of rows by kernels is that of the NumPy way; its logarithm is precise."""

import math

import mpmath
import numpy as np
import pytest

from softargmax._rows import solver
from softargmax._rows.engine import use

ENGINES = ("numba",)
ORDERS = ("1", "2", "inf")


def test_logarithms_are_precise():
    from numba import njit

    from softargmax._rows.compiled.maths import log

    @njit
    def log_of(x):
        return log(x)

    exponents = np.random.default_rng(0).uniform(-1074, 1023, 2000)
    for x in [5e-324, 2.0**-1022, 0.5, 1.0, math.sqrt(0.5), 3.0, 1e308, *2.0**exponents]:
        exact = mpmath.log(mpmath.mpf(float(x)))
        assert abs(log_of(float(x)) - exact) <= 1.1 * math.ulp(float(exact))
    assert log_of(0.0) == -math.inf


def both(z, keep, goal, order):
    ours = solver.match(z, keep, lambda k, block: goal[block], order)
    use("numpy")
    try:
        return ours, solver.match(z, keep, lambda k, block: goal[block], order)
    finally:
        use("numba")


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("width", [2, 3, 30, 257, 5000])
def test_temperatures_are_equal(order, width):
    rng = np.random.default_rng(width)
    z = rng.normal(0, 3, (200, width))
    z[50:100] = rng.integers(0, 4, (50, width))
    z[100:150] *= 10.0 ** rng.uniform(-200, 200, (50, 1))
    keep = rng.random((200, width)) < 0.8
    keep[:, :2] = True
    z[:, 2:][rng.random((200, width - 2)) < 0.1] = -math.inf
    z[150:, 0] = z[150:].max(axis=-1) + 1
    for mask in (None, keep):
        goal = (
            rng.random(200) * math.log(width) * np.array([1e-290, 1e-9, 1, 1])[np.arange(200) % 4]
        )
        ours, numpys = both(z, mask, goal, order)
        np.testing.assert_array_equal(ours.tied, numpys.tied)
        np.testing.assert_array_equal(ours.legal, numpys.legal)
        assert (ours.temperature > 0).sum() > 20
        np.testing.assert_allclose(ours.temperature, numpys.temperature, rtol=1e-10)


@pytest.mark.parametrize("goal", [1e-3, 1e-250, 1e-300, 1e-306, 5e-324])
def test_the_smallest_entropies_and_the_widest_rows(goal):
    low = np.finfo(np.float64).min
    for row in ([0, 1, 3], [-low, 0, low], [0, -1e-160, -1], [3e-310, 0, 1e-310], [0, 3, low]):
        ours, numpys = both(np.array([row], np.float64), None, np.array([goal]), "1")
        assert ours.temperature > 0
        np.testing.assert_allclose(ours.temperature, numpys.temperature, rtol=1e-9)
