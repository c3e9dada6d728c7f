"""exp and log1p of kernels against longer floats, and sums that know no order."""

import numpy as np
import pytest

pytest.importorskip("numba", reason="the engine of kernels needs numba")

from softargmax._rows.compiled import maths
from softargmax._rows.compiled.gaps import first_above, total_of
from softargmax._rows.compiled.maths import kernel

ENGINES = ("numba",)


@kernel
def exps(x, out):
    for i in range(len(x)):
        out[i] = maths.exp(x[i])


@kernel
def weights(x, out):
    for i in range(len(x)):
        out[i] = maths.weight(x[i])


@kernel
def log1ps(x, out):
    for i in range(len(x)):
        out[i] = maths.log1p(x[i])


@kernel
def total(x, width):
    return total_of(x, width)


@kernel
def place(x, level):
    return first_above(x, level)


def filled(function, x):
    out = np.empty_like(x)
    function(x, out)
    return out


def units(found, exact, dtype):
    """Errors in units of the last place."""
    return abs(found - exact) / np.spacing(abs(exact).astype(dtype)).astype(np.longdouble)


@pytest.mark.parametrize(("dtype", "lowest"), [(np.float32, -104), (np.float64, -746)])
def test_exp_of_everything_up_to_zero(dtype, lowest):
    x = np.random.default_rng(0).uniform(lowest, 0, 200_000).astype(dtype)
    exact = np.exp(x.astype(np.longdouble))
    assert units(filled(exps, x), exact, dtype).max() < 1.1
    normal = exact > np.finfo(dtype).tiny * 1.001
    found = filled(weights, x)
    allowed = 1.1 - (x / np.log(2) / 30 if dtype == np.float32 else 0)  # more, the further from 0
    assert (units(found, exact, dtype) < allowed)[normal].all()
    assert (found[exact < np.finfo(dtype).tiny * 0.999] == 0).all()
    ends = np.array([0.0, -0.0, -np.inf, -1e30], dtype)
    assert filled(exps, ends).tolist() == filled(weights, ends).tolist() == [1, 1, 0, 0]


def test_log1p_from_the_smallest_to_the_largest():
    rng = np.random.default_rng(0)
    x = np.concatenate([10.0 ** rng.uniform(-320, 308, 100_000), rng.uniform(0, 3, 100_000)])
    assert units(filled(log1ps, x), np.log1p(x.astype(np.longdouble)), float).max() < 1.1
    assert filled(log1ps, np.array([0.0, np.inf])).tolist() == [0, np.inf]
    assert np.isnan(filled(log1ps, np.array([np.nan]))).all()


@pytest.mark.parametrize("width", [16, 32, 48, 240, 256])
def test_a_sum_counts_all_lanes_once(width):
    x = np.zeros(256)
    x[width:] = np.nan
    for j in range(width):
        e = x.copy()
        e[j] = 2.0
        assert total(e, width) == 2
    assert total(np.arange(256.0), width) == sum(range(width))


def test_the_place_in_running_sums():
    reached = np.array([0.0, 1, 1, 4])
    assert [place(reached, level) for level in (0, 0.5, 1, 3.9, 4)] == [1, 1, 3, 3, 3]
