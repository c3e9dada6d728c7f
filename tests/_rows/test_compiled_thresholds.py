"""Kernels of thresholds on rows that are hard for them, against plain sorting in float64."""

import math

import numpy as np
import pytest

pytest.importorskip("numba", reason="the engine of kernels needs numba")

from softargmax._rows.compiled.heads import between, groups_in, kth, largest
from softargmax._rows.compiled.maths import frozen
from softargmax._rows.compiled.thresholds import CompiledScores, heads_and_top
from softargmax._rows.rows import Temperature
from softargmax._rows.thresholds import RowScores

ENGINES = ("numba",)
WIDTHS = [1, 2, 15, 16, 17, 50, 64, 65, 255, 256, 257, 1023, 4096, 5000, 12_288, 12_289, 20_001]
WARM = [Temperature(1.0, 1.0), Temperature(1.25, 0.8), Temperature(1 / 0.7, 0.7)]
WARM += [Temperature(3.1, None)]
BOUNDS = [0.0, -1e-3, -1.0, -3.5, -80.0, -1e6, 0.5]


def rows(width, dtype):
    rng = np.random.default_rng(width)
    normal = rng.normal(0, 3, width)
    mostly = np.where(rng.random(width) < 0.02, normal, -math.inf)
    mostly[rng.integers(width)] = 1.0
    huge = normal.copy()
    huge[rng.integers(width)] = 1e4
    found = [normal, np.round(normal), np.zeros(width), mostly, huge, np.sort(normal)]
    found += [rng.normal(0, 1e-3, width) + 7, rng.exponential(30, width)]
    found += [-abs(np.round(normal)), np.where(normal > 0, 0.0, -0.0)]  # -0 is a float of its own
    return [row.astype(dtype) for row in found]


def pairs(width, dtype):
    """Scores by kernels and d as NumPy makes it."""
    for z in rows(width, dtype):
        for temperature in WARM:
            with RowScores(z, temperature) as plain:
                d = plain.d.copy()
            with CompiledScores(z, temperature) as scores:
                yield scores, d


@pytest.fixture(params=[np.float32, np.float64])
def dtype(request):
    return request.param


def kth_key(key, k):
    return np.sort(key)[len(key) - k]


def check_kept(scores, found, stay):
    """Positions and their scores."""
    np.testing.assert_array_equal(found[0], stay)
    np.testing.assert_array_equal(found[1], scores[stay])


@pytest.mark.parametrize("width", WIDTHS)
def test_bounds_on_d(width, dtype):
    for scores, d in pairs(width, dtype):
        bounds = [*BOUNDS, float(d[width // 2]), float(np.nextafter(d[width // 2], dtype(1)))]
        for bound in bounds:
            stay = np.flatnonzero((d >= dtype(bound)) & (d > -math.inf))
            check_kept(scores.q, scores.keep(bound, 0, exact=True), stay)
        check_kept(
            scores.q, scores.keep(-math.inf, 1, exact=True), np.flatnonzero(scores.q > -math.inf)
        )


@pytest.mark.parametrize("width", WIDTHS)
def test_nearness_to_a_level(width, dtype):
    for scores, d in pairs(width, dtype):
        for level in (-1.5, -1e-4, float(d[0])):
            if level == -math.inf:
                continue
            key = -abs(d - dtype(level))
            scores.own_key = scores.nearness(level)
            for bound in (0.0, -0.5, -1e5, float(key[width // 2])):
                stay = np.flatnonzero((key >= dtype(bound)) & (d > -math.inf))
                check_kept(scores.q, scores.keep(bound, 0, exact=True), stay)


@pytest.mark.parametrize("k", [1, 2, 3, 50, 300, 5000])
@pytest.mark.parametrize("width", WIDTHS)
def test_the_k_largest(width, k, dtype):
    for z in rows(width, dtype):
        scores = CompiledScores(z)
        level = kth_key(z, min(k, width))
        stay = np.flatnonzero((z >= level) & (z > -math.inf))
        check_kept(scores.q, scores.keep(math.inf, k, exact=False), stay)
        heads, top = heads_and_top(z)
        assert top == z.max()
        if k * 4 <= len(heads):
            check_kept(scores.q, largest(frozen(z), heads, k), stay)
        if k <= width:
            assert kth(frozen(z), k) == level


@pytest.mark.parametrize("width", WIDTHS)
def test_masses(width, dtype):
    # Rounding decides where what is below a key has nearly the mass that is to be left out.
    slack = 4e-6 if dtype is np.float32 else 1e-13
    for scores, d in pairs(width, dtype):
        keys = [(None, d)]
        if d.min() > -1e5:
            keys += [(level, -abs(d - dtype(level))) for level in (-2.0, -0.01)]
        weights = np.exp(d.astype(np.float64))
        for level, key in keys:
            scores.own_key = None if level is None else scores.nearness(level)
            ordered, place = np.unique(key, return_inverse=True)
            tail = np.cumsum(np.bincount(place, weights))
            for mass in (0.001, 0.3, 0.5, 0.9, 0.95, 0.999):
                found = scores.mass_threshold(mass)
                goal = (1 - mass) * tail[-1]
                at = int(np.searchsorted(ordered, dtype(found)))
                assert ordered[at] == found, "the threshold is a key"
                error = slack * tail[-1]
                assert (tail[at - 1] if at else 0.0) <= goal + error
                assert tail[at] > goal - error
        scores.own_key = None
        assert scores.mass_threshold(1.0) == -math.inf


@pytest.mark.parametrize("width", WIDTHS)
def test_numbers(width, dtype):
    rtol = 2e-6 if dtype is np.float32 else 1e-12
    for scores, d in pairs(width, dtype):
        wide = d.astype(np.float64)
        alive = wide > -math.inf
        weights = np.exp(wide)
        total = weights.sum()
        entropy = math.log(total) - (weights[alive] * wide[alive]).sum() / total
        assert scores.log_total == pytest.approx(math.log(total), rel=rtol, abs=rtol)
        assert scores.entropy == pytest.approx(entropy, rel=rtol, abs=4 * rtol)
        agree = math.log((weights**2).sum()) - math.log(total)
        assert scores.log_collision == pytest.approx(agree, rel=rtol, abs=4 * rtol)
        assert scores.deviation == pytest.approx(wide[alive].std(), rel=1e-9, abs=1e-12)


def test_a_top_is_nan_where_a_score_is():
    for width in (5, 256, 3000):
        for place in (0, width // 2, width - 1):
            z = np.zeros(width, np.float32)
            z[place] = math.nan
            assert np.isnan(heads_and_top(z)[1])
            z[place] = math.inf
            assert heads_and_top(z)[1] == math.inf
            z[:] = -math.inf
            z[place] = -2.0
            assert heads_and_top(z)[1] == -2


def test_scores_that_change_under_a_kernel_write_nothing_beyond_its_memory(dtype):
    z = np.ones(3000, dtype)
    heads, _ = heads_and_top(z)
    heads[1:] = -1  # as if most of a block had risen since its groups were looked at
    found, scores = between(frozen(z), heads, dtype(0), dtype(2))
    assert len(found) == len(scores) == 16
    void = frozen(np.empty(0, dtype))
    assert not len(between(void, void.copy(), dtype(0), dtype(2))[0])
    assert not len(largest(void, void.copy(), 0)[0])


def test_blocks_of_every_density(dtype):
    z = np.linspace(-1, 1, 2560).astype(dtype)[np.random.default_rng(0).permutation(2560)]
    z[:256], z[256:512] = 1, -1
    heads, _ = heads_and_top(z)
    for low, high in ((-1, 1), (-0.9, 0.9), (0.5, 1), (0.99, 1), (-1, -0.99), (2, 3)):
        stay = np.flatnonzero((z >= dtype(low)) & (z < dtype(high)))
        for width in (256, 2500, 2560):  # some groups, or none, beyond the last 64
            some = stay[stay < width]
            check_kept(
                z,
                between(frozen(z[:width]), heads[: groups_in(width)], dtype(low), dtype(high)),
                some,
            )
            check_kept(z, between(frozen(z[:width]), heads[:0], dtype(low), dtype(high)), some)
