"""Resampling: definitions by loops, whole offspring, unbiased counts, variances; the coldness."""

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from softargmax import Categorical
from softargmax._rows import resampling as ways
from softargmax.resampling import effective_sample_size, next_coldness, resample
from statistical import check_draws

inf = math.inf
SCHEMES = ("multinomial", "stratified", "systematic", "residual", "ssp")
LAST = 1 - 2.0**-53
SLACK = 2.0**-49


# ---------------------------------------------------------------------------- by loops


def by_levels(p, levels):
    """The parents of levels in [0, 1): the first category whose cumulative weight is above."""
    cdf = np.cumsum(p) / np.sum(p)
    cdf[np.flatnonzero(p)[-1] :] = 1
    return [next(i for i, c in enumerate(cdf) if c > level) for level in levels]


def split(p, n):
    whole = np.floor(n * np.asarray(p) * (1 + 1e-15))
    return whole.astype(int), n * np.asarray(p) - whole, n - int(whole.sum())


def parents_of(counts):
    return [i for i, count in enumerate(counts) for _ in range(count)]


def loop_multinomial(p, n, waits):
    times = np.cumsum(waits)
    return by_levels(p, np.minimum(times[:n] / times[-1], LAST))


def loop_stratified(p, n, u):
    # As the definition, but with the comparison where rounding is the library's.
    cdf = np.cumsum(p)
    cdf = n * (cdf / cdf[-1])
    return [next(i for i, c in enumerate(cdf) if c > j and u[j] < c - j) for j in range(n)]


def loop_residual(p, n, waits):
    whole, part, left = split(p, n)
    times = np.cumsum(waits[: left + 1])
    extra = by_levels(part, np.minimum(times[:left] / times[-1], LAST)) if left else []
    return sorted(parents_of(whole) + extra)


def loop_ssp(p, n, u):
    counts, part, _ = split(p, n)
    players, luck = [(i, float(x)) for i, x in enumerate(part)], iter(u)
    while len(players) > 1:
        winners = []
        for (i, a), (j, b) in zip(players[::2], players[1::2], strict=False):
            if a + b < 1:
                winners.append((i if next(luck) * (a + b) < a else j, a + b))
            elif next(luck) * (2 - (a + b)) < 1 - b:
                counts[i] += 1
                winners.append((j, a + b - 1))
            else:
                counts[j] += 1
                winners.append((i, a + b - 1))
        players = winners + players[2 * len(winners) :]
    counts[players[0][0]] += n - counts.sum()
    return parents_of(counts)


NOISE = {
    "multinomial": lambda rng, k, n: rng.standard_exponential(n + 1),
    "stratified": lambda rng, k, n: rng.random(n),
    "residual": lambda rng, k, n: rng.standard_exponential(n + 1),
    "ssp": lambda rng, k, n: rng.random(k - 1),
}


def run(scheme, p, n, noise):
    return parents_by(scheme, p, n, np.array(noise, np.float64))


@pytest.mark.parametrize("scheme", list(NOISE))
@pytest.mark.parametrize(("k", "n"), [(1, 1), (1, 5), (2, 3), (7, 7), (13, 4), (5, 200), (300, 40)])
def test_parents_are_those_of_the_definition(scheme, k, n):
    rng = np.random.default_rng([k, n])
    p = rng.random((6, k)) ** 4 * (rng.random((6, k)) < 0.7)
    p[:, k // 2] += 0.01
    p /= p.sum(axis=-1, keepdims=True)
    noise = np.array([NOISE[scheme](rng, k, n) for _ in range(6)])
    want = [globals()[f"loop_{scheme}"](row, n, own) for row, own in zip(p, noise, strict=True)]
    assert_array_equal(run(scheme, p, n, noise), np.array(want).reshape(6, n))
    for i in range(6):  # a row alone
        assert_array_equal(run(scheme, p[i : i + 1], n, noise[i : i + 1])[0], want[i])


@pytest.mark.parametrize("scheme", list(NOISE))
def test_long_rows_go_by_blocks(scheme):
    rng = np.random.default_rng(3)
    k, n = 100_000, 70_000
    p = rng.random((1, k)) ** 9
    p[:, rng.random(k) < 0.2] = 0
    p /= p.sum()
    noise = NOISE[scheme](rng, k, n)[None]
    got = run(scheme, p, n, noise)[0]
    if scheme == "ssp":
        want = loop_ssp(p[0], n, noise[0])
    else:
        waits = noise[0]
        whole, part, left = split(p[0], n)
        weights, count = (part, left) if scheme == "residual" else (p[0], n)
        times = np.cumsum(waits[: count + 1])
        levels = (np.arange(n) + waits) / n if scheme == "stratified" else times[:-1] / times[-1]
        cdf = np.cumsum(weights)
        want = np.searchsorted(cdf / cdf[-1], levels, side="right")
        if scheme == "residual":
            want = np.sort(np.concatenate([np.repeat(np.arange(k), whole), want]))
    different = np.flatnonzero(got != want)
    assert len(different) <= (1 if scheme == "stratified" else 0)  # a level on a border


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=9).filter(any),
    st.integers(1, 12),
    st.integers(0, 59),
)
def test_systematic_is_the_comb(weights, n, tooth):
    total = sum(weights)
    u = (tooth + 0.5) / 60 / 64  # never on a border: those are multiples of 1/(total)
    p = np.array([weights]) / total
    got = ways.systematic(p, n, np.array([[u]]), SLACK)[0]
    cdf = np.cumsum(weights)
    # Exact: cdf·n/total > j + u  ⟺  cdf·n - j·total > u·total, in integers but for u.
    want = [next(i for i, c in enumerate(cdf) if c * n - j * total > u * total) for j in range(n)]
    assert_array_equal(got, want)


# ---------------------------------------------------------------------------- counts


def offspring(parents, k):
    rows = parents.reshape(-1, parents.shape[-1])
    flat = rows + k * np.arange(len(rows))[:, None]
    return np.bincount(flat.ravel(), minlength=k * len(rows)).reshape(len(rows), k)


def noise_of(scheme, value, k, n, rows=1):
    """Noise of the shape that the scheme asks for, all of it of one uniform."""
    width = {"multinomial": n + 1, "residual": n + 1, "stratified": n, "systematic": 1}
    noise = np.full((rows, width.get(scheme, k - 1)), value)
    return noise if width.get(scheme) != n + 1 else np.maximum(44 * noise, 2.0**-64)


def parents_by(scheme, p, n, noise):
    function = getattr(ways, scheme)
    if scheme == "residual":
        return function(p.copy(), n, lambda m: noise[:, : m + 1].copy(), SLACK)
    if scheme in ("systematic", "ssp"):
        return function(p.copy(), n, noise, SLACK)
    return function(p.copy(), noise)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("u", [0.0, 0.5, LAST])
def test_weight_zero_is_never_drawn_at_either_end(scheme, u):
    for p in ([0, 1], [1, 0], [0, 0, 0.5, 0.5, 0, 0], [0.25, 0, 0, 0.75], [5e-324, 0, 0.5, 0, 0.5]):
        row = np.array([p], np.float64)
        for n in (1, 2, 3, 7):
            noise = noise_of(scheme, u, row.size, n)
            if scheme in ("multinomial", "residual"):
                noise[:, -1] = 1e-30  # what comes after the last arrival is all but nothing
            assert row[0][parents_by(scheme, row, n, noise)].all()
    # A product of a subnormal number and luck is rounded up to the number.
    luck = np.array([[0.99, 0.5, 0.0, 0.1]])
    assert ways.ssp(np.array([[5e-324, 0, 0.5, 0, 0.5]]), 1, luck, SLACK) != 1


@pytest.mark.parametrize("scheme", SCHEMES)
def test_any_rows_at_any_luck(scheme):
    """Totals, bounds and zeros of 30,000 rows, in which remainders add up to whole numbers."""
    rng = np.random.default_rng(0)
    k, n, rows = 12, 9, 10_000
    p = rng.integers(0, 4, (rows, k)) * (rng.random((rows, k)) < 0.7) * 1.0
    p[:, 5] += p.sum(axis=1) == 0
    p *= rng.choice([1, 1e-3, 1 / 3], (rows, k))
    p /= p.sum(axis=1, keepdims=True)
    for u in (0.0, LAST, None):
        if u is None:
            noise = NOISE_OF_ROWS[scheme](rng, rows, k, n)
        else:
            noise = noise_of(scheme, u, k, n, rows)
        counts = offspring(parents_by(scheme, p, n, noise), k)
        assert (counts.sum(axis=1) == n).all()
        assert not counts[p == 0].any()
        if scheme in ("systematic", "ssp", "residual"):
            assert (counts >= np.floor(n * p * (1 - 1e-12))).all()
        if scheme in ("systematic", "ssp"):
            assert (counts <= np.ceil(n * p * (1 + 1e-12))).all()


NOISE_OF_ROWS = {
    "multinomial": lambda rng, rows, k, n: rng.standard_exponential((rows, n + 1)),
    "stratified": lambda rng, rows, k, n: rng.random((rows, n)),
    "systematic": lambda rng, rows, k, n: rng.random((rows, 1)),
    "residual": lambda rng, rows, k, n: rng.standard_exponential((rows, n + 1)),
    "ssp": lambda rng, rows, k, n: rng.random((rows, k - 1)),
}


@pytest.mark.parametrize("scheme", ["systematic", "ssp", "residual"])
@pytest.mark.parametrize("n", [3, 49, 107, 1000, 10**6])
def test_equal_weights_have_one_offspring_each(scheme, n):
    for dtype in (np.float64, np.float32):
        parents = resample(Categorical(np.zeros(n, dtype)), n, scheme=scheme, rng=n)
        assert_array_equal(parents, np.arange(n))


@pytest.mark.parametrize("scheme", ["systematic", "ssp", "residual"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("k", [5, 1000, 10**6])
def test_whole_numbers_of_offspring_leave_nothing_to_luck(scheme, dtype, k):
    weights = np.random.default_rng(k).integers(0, 4, k)
    dist = Categorical.from_weights(weights.astype(dtype))
    parents = resample(dist, int(weights.sum()), scheme=scheme, rng=0)
    assert_array_equal(parents, np.repeat(np.arange(k), weights))


@pytest.mark.parametrize("scheme", ["systematic", "ssp", "residual"])
def test_more_offspring_than_the_precision_can_tell_apart(scheme):
    """Remainders that are rounding alone are not thrown away where they add up."""
    p = np.full((1, 1000), 1 + 1e-6)
    p[0, :500] -= 2e-6
    noise = noise_of(scheme, 0.3, 1000, 10**6)
    if scheme == "residual":
        noise = (lambda waits: lambda m: waits[:, : m + 1])(noise)
    parents = getattr(ways, scheme)(p / p.sum(), 10**6, noise, 1e-5)
    counts = offspring(parents, 1000)[0]
    assert counts.sum() == 10**6


def test_systematic_at_borders():
    for n in (49, 1000):
        for u in (0.0, 0.5, LAST):
            alone = ways.systematic(np.full((1, n), 1 / n), n, np.array([[u]]), SLACK)
            assert_array_equal(alone[0], np.arange(n))


P = np.array([0.05, 0.31, 0.0, 0.14, 0.27, 0.23])
RUNS = 100_000


def runs(scheme, n, rng=0):
    dist = Categorical.from_weights(np.broadcast_to(P, (RUNS, P.size)))
    return offspring(resample(dist, n, scheme=scheme, rng=rng), P.size)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_counts_are_unbiased(scheme):
    """Six standard errors a category: fails by chance once in 1e8; detects 0.03 of 2."""
    n = 8
    counts = runs(scheme, n)
    assert (counts.sum(axis=-1) == n).all()
    assert not counts[:, P == 0].any()
    error = counts.std(axis=0) / math.sqrt(RUNS)
    assert (abs(counts.mean(axis=0) - n * P) <= 6 * error + 1e-12).all()
    assert error.max() < 0.03 / 6
    if scheme in ("systematic", "ssp"):
        assert (abs(counts - n * P) < 1).all()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_offspring_beyond_the_whole_ones(scheme):
    """Where np < 1 for all, each one's luck is a Bernoulli variable but for independent draws."""
    counts = runs(scheme, 2, rng=1)
    if scheme in ("systematic", "ssp"):
        for i in np.flatnonzero(P):
            tail = stats.binomtest(int(counts[:, i].sum()), RUNS, 2 * P[i]).pvalue
            assert tail > 1e-7


@pytest.mark.parametrize("scheme", SCHEMES)
def test_one_offspring_follows_the_weights(scheme):
    dist = Categorical.from_weights(np.broadcast_to(P, (RUNS, P.size)))
    draws = resample(dist, 1, scheme=scheme, rng=2)[:, 0]
    check_draws(draws, P, detects=0.012)


def test_multinomial_counts_are_multinomial():
    """Means and covariances of counts, n(diag p - pp'), to 6 standard errors."""
    n = 5
    counts = runs("multinomial", n, rng=3)
    away = counts - n * P
    products = away[:, :, None] * away[:, None, :]
    want = n * (np.diag(P) - np.outer(P, P))
    error = products.std(axis=0) / math.sqrt(RUNS)
    assert (abs(products.mean(axis=0) - want) <= 6 * error + 1e-12).all()


@pytest.mark.parametrize("scheme", ["stratified", "residual", "ssp"])
def test_variance_is_no_larger_than_multinomials(scheme):
    """For any function of the particles; 6 standard errors of a variance, 3 % here."""
    f = np.random.default_rng(5).standard_normal((40, P.size))
    n = 8
    means = runs(scheme, n, rng=4) @ f.T / n
    exact = (P * f**2).sum(axis=-1) - (P * f).sum(axis=-1) ** 2
    assert (means.var(axis=0) <= exact / n * 1.03).all()


def test_systematic_resampling_can_be_worse():
    """The case of the docstring, exactly: variance 1/4 where independent draws have 1/8."""
    p, f = np.full((1, 4), 0.25), np.array([1.0, 0.0, 1.0, 0.0])
    teeth = (np.arange(100) + 0.5) / 100
    means = [f[ways.systematic(p, 2, np.array([[u]]), SLACK)].mean() for u in teeth]
    assert np.mean(means) == 0.5
    assert np.var(means) == 0.25


# ---------------------------------------------------------------------------- killing


def loop_killing(p, u, waits):
    top = max(p)
    stays = [i for i, (x, luck) in enumerate(zip(p, u, strict=True)) if luck < x / top]
    left = len(p) - len(stays)
    times = np.cumsum(waits[: left + 1])
    return sorted(stays + by_levels(p, np.minimum(times[:left] / times[-1], LAST)))


@pytest.mark.parametrize("k", [1, 2, 7, 300])
def test_killing_is_its_definition(k):
    rng = np.random.default_rng(k)
    p = rng.random((6, k)) ** 2 * (rng.random((6, k)) < 0.7)
    p[:, k // 2] += 0.01
    p[5] = 1  # of equal weights all stay
    p /= p.sum(axis=-1, keepdims=True)
    u, waits = rng.random((6, k)), rng.standard_exponential((6, k + 1))
    got = ways.killing(p.copy(), u.copy(), lambda m: waits[:, : m + 1].copy())
    want = [loop_killing(*row) for row in zip(p, u, waits, strict=True)]
    assert_array_equal(got, np.array(want).reshape(6, k))
    assert_array_equal(got[5], np.arange(k))


@pytest.mark.parametrize("luck", [0.0, 0.5, LAST])
def test_killing_keeps_the_heaviest_and_never_draws_weight_zero(luck):
    for p in ([0, 1], [1, 0], [0, 0, 0.5, 0.5, 0, 0], [0.25, 0, 0, 0.75], [5e-324, 0, 0.5, 0, 0.5]):
        row = np.array([p], np.float64)
        noise = np.full((1, row.size + 1), max(44 * luck, 2.0**-64))
        noise[:, -1] = 1e-30
        u = np.full(row.shape, luck)
        parents = ways.killing(row.copy(), u, lambda m, noise=noise: noise[:, -m - 1 :].copy())
        counts = offspring(parents, row.size)[0]
        assert counts.sum() == row.size
        assert not counts[row[0] == 0].any()
        assert (counts[row[0] == row.max()] > 0).all()


def test_a_row_that_loses_nobody_beside_one_that_does():
    """The probabilities of some equal weights add up to more than 1."""
    k = next(k for k in range(2, 99) if np.cumsum(np.full(k, 1 / k))[-1] > 1)
    p = np.full((2, k), 1 / k)
    p[1, 1:] /= 2
    p[1] /= p[1].sum()
    got = ways.killing(p, np.full((2, k), 0.9), lambda m: np.ones((2, m + 1)))
    assert_array_equal(got[0], np.arange(k))
    assert got[1].tolist() != got[0].tolist()


def test_killing_is_unbiased_and_has_the_variance_of_its_definition():
    """Six standard errors a category: fails by chance once in 1e8; detects 0.03 of 1."""
    n = P.size
    counts = runs("killing", n)
    assert (counts.sum(axis=-1) == n).all()
    assert not counts[:, P == 0].any()
    stays = P / P.max()
    error = counts.std(axis=0) / math.sqrt(RUNS)
    assert (abs(counts.mean(axis=0) - n * P) <= 6 * error + 1e-12).all()
    assert error.max() < 0.03 / 6
    # Given M killed, others' offspring are binomial: Var = s(1 - s) + E[M] p(1 - p) + p² Var M
    # + 2 p Cov(own survival, M), and the last is -s(1 - s).
    killed, spread = (1 - stays).sum(), (stays * (1 - stays)).sum()
    own = stays * (1 - stays)
    exact = own + killed * P * (1 - P) + P**2 * spread - 2 * P * own
    square = (counts - n * P) ** 2
    error = square.std(axis=0) / math.sqrt(RUNS)
    assert (abs(square.mean(axis=0) - exact) <= 6 * error + 1e-12).all()


def test_killing_through_the_function():
    z = np.random.default_rng(0).standard_normal((3, 2, 9)).astype(np.float32)
    got = resample(Categorical(z), 9, scheme="killing", rng=0)
    assert got.shape == (3, 2, 9)
    assert got.dtype == np.int64
    assert (np.diff(got) >= 0).all()
    assert_array_equal(got, resample(Categorical(z), 9, scheme="killing", rng=0))
    each = resample(Categorical(z[:, 0]), 9, scheme="killing", rng=[1, 2, 3])
    for i in range(3):
        assert_array_equal(each[i], resample(Categorical(z[i, 0]), 9, scheme="killing", rng=i + 1))
    equal = Categorical(np.zeros(1000, np.float32))
    assert_array_equal(resample(equal, 1000, scheme="killing", rng=0), np.arange(1000))
    assert resample(Categorical(np.zeros((0, 4))), 4, scheme="killing").shape == (0, 4)
    for n in (0, 3, 5):
        with pytest.raises(ValueError, match=f"n must be the number of particles .* 4, got {n}"):
            resample(Categorical(np.zeros(4)), n, scheme="killing")


# ---------------------------------------------------------------------------- the function


@pytest.mark.parametrize("scheme", SCHEMES)
def test_shapes_dtypes_and_rngs(scheme):
    z = np.random.default_rng(0).standard_normal((3, 2, 9)).astype(np.float32)
    dist = Categorical(z)
    got = resample(dist, 12, scheme=scheme, rng=0)
    assert got.shape == (3, 2, 12)
    assert got.dtype == np.int64
    assert (np.diff(got) >= 0).all()
    assert_array_equal(got, resample(dist, 12, scheme=scheme, rng=0))
    assert resample(dist, 0, scheme=scheme, rng=0).shape == (3, 2, 0)
    assert resample(Categorical(np.zeros((0, 4))), 5, scheme=scheme, rng=0).shape == (0, 5)
    assert resample(Categorical([0.0]), 3, scheme=scheme).tolist() == [0, 0, 0]
    rows = Categorical(z[:, 0])
    each = resample(rows, 12, scheme=scheme, rng=[1, 2, 3])
    for i in range(3):
        alone = resample(Categorical(z[i, 0]), 12, scheme=scheme, rng=i + 1)
        assert_array_equal(each[i], alone)


def test_temperature_and_prior_count():
    dist = Categorical([1.0, 5.0, 5.0], 0)
    assert resample(dist, 4, rng=0).tolist() == [1, 1, 2, 2]
    assert resample(dist.masked([True, True, False]), 2, rng=0).tolist() == [1, 1]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_rare_particles_come_at_their_rate(scheme):
    """A rate of 2e-5 in float32, 4e6 offspring in 400 rows: by chance not once in 1e6."""
    weights = np.array([1, 4e-5, 0, 1], np.float32)
    dist = Categorical.from_weights(np.broadcast_to(weights, (400, 4)))
    counts = offspring(resample(dist, 10_001, scheme=scheme, rng=7), 4).sum(axis=0)
    expected = 400 * 10_001 * 2e-5
    assert counts[2] == 0
    assert stats.poisson.cdf(counts[1], expected) > 1e-6
    assert stats.poisson.sf(counts[1] - 1, expected) > 1e-6


def test_effective_sample_size():
    assert effective_sample_size(Categorical(np.zeros(10))) == pytest.approx(10, rel=1e-15)
    sizes = effective_sample_size(Categorical([[0.0, 0.0, -inf], [0.0, 1.0, 2.0]], [1.0, 0.0]))
    assert_allclose(sizes, [2, 1])
    z = np.random.default_rng(0).standard_normal(50) * 30
    with mpmath.workdps(40):
        w = [mpmath.exp(x) for x in z.tolist()]
        want = sum(w) ** 2 / sum(x * x for x in w)
    assert effective_sample_size(Categorical(z)) == pytest.approx(float(want), rel=1e-13)
    assert effective_sample_size(Categorical(z.astype(np.float32))).dtype == np.float32


# ---------------------------------------------------------------------------- the next coldness


def size_at(energies, step, log_weights=None):
    """ESS/n by mpmath."""
    with mpmath.workdps(80):
        level = np.zeros(len(energies)) if log_weights is None else log_weights
        w = [
            mpmath.exp(mpmath.mpf(a) - mpmath.mpf(step) * mpmath.mpf(e)) if e < inf else 0
            for a, e in zip(level.tolist(), energies.tolist(), strict=True)
        ]
        return sum(w) ** 2 / sum(x * x for x in w) / len(w)


@pytest.mark.parametrize("scale", [1e-200, 1e-3, 1.0, 1e3, 1e290])
@pytest.mark.parametrize("target", [0.05, 0.5, 0.9, 1 - 1e-6, 1 - 2.0**-50])
def test_next_coldness_to_full_precision(scale, target):
    e = np.random.default_rng(1).standard_normal(60) * scale + 3 * scale
    step = float(next_coldness(e, 0.0, target=target, final=inf))
    with mpmath.workdps(80):
        missing = 1 - size_at(e - e.min(), step)
        assert abs(missing / (1 - mpmath.mpf(target)) - 1) < 1e-14


@pytest.mark.parametrize("outlier", [1e12, 1e100, 1e300, 1e308])
def test_next_coldness_with_an_outlier(outlier):
    """ESS = 3/2 of weights 1, exp(-δ), 0 where cosh δ = 2, however far the outlier is."""
    step = next_coldness([0.0, 1.0, outlier], 0.0, target=0.5, final=inf)
    assert step == pytest.approx(math.acosh(2), rel=4e-16, abs=0)


def test_next_coldness_ends_where_the_root_is():
    """A final next to the root, on either side, is not beyond the bracket of the search."""
    for seed in range(300):
        e = np.random.default_rng(seed).standard_normal(20)
        root = float(next_coldness(e, 0.0, target=0.7, final=inf))
        for final in (root, np.nextafter(root, 0), np.nextafter(root, 9)):
            assert next_coldness(e, 0.0, target=0.7, final=final) == pytest.approx(root, rel=1e-15)


def test_next_coldness_moves_on_from_where_it_is():
    e = np.random.default_rng(2).standard_normal(100)
    beta, path = 0.0, []
    while beta < 3:
        beta = float(next_coldness(e, beta, target=0.8, final=3))
        path.append(beta)
    steps = np.diff([0, *path])
    assert path[-1] == 3.0
    assert_allclose(steps[:-1], steps[0], rtol=1e-14)  # the same particles, the same step
    assert size_at(e, float(steps[-1])) >= 0.8


def test_next_coldness_with_weights():
    rng = np.random.default_rng(3)
    e, level = rng.standard_normal(80), 0.5 * rng.standard_normal(80) - 700
    start = float(size_at(e, 0, level + 700))
    beta = next_coldness(e, 1.5, target=0.4, log_weights=level, final=50)
    assert float(size_at(e, beta - 1.5, level + 700)) == pytest.approx(0.4, rel=1e-13)
    with pytest.raises(ValueError, match=r"size at coldness must be at least .* resample first"):
        next_coldness(e, 1.5, target=start + 0.01, log_weights=level, final=50)
    beta = next_coldness(e, 1.5, target=start, log_weights=level, final=50)  # it rises first
    assert float(size_at(e, beta - 1.5, level + 700)) == pytest.approx(start, rel=1e-13)
    # What has the target's size at coldness by rounding, and falls from there, stays there.
    tilted = float(size_at(e, 1))
    held = next_coldness(e, 1.5, target=tilted, log_weights=-e, final=50)
    assert held == pytest.approx(1.5, abs=1e-11)


def test_next_coldness_at_its_limits():
    e = np.array([0.0, 1.0, 2.0])
    assert next_coldness(e, 0.25, target=1) == 0.25
    assert next_coldness(np.ones(3), 0.25, target=1) == 1.0
    assert next_coldness(e, 0.0, target=1e-9) == 1.0
    assert next_coldness(e, 1.0, target=0.5) == 1.0
    assert next_coldness([0.0, 0.0, 1.0], 0.0, target=2 / 3 - 1e-9, final=inf) == inf
    assert next_coldness([0.0, 0.0, 1.0], 0.0, target=0.5, final=inf) == inf
    # The dead count among the n, and stay dead.
    held = next_coldness([0.0, 1.0, 2.0, inf], 0.0, target=0.5, final=9)
    assert float(size_at(np.array([0.0, 1.0, 2.0, inf]), float(held))) == pytest.approx(0.5)
    with pytest.raises(ValueError, match="resample first"):
        next_coldness([0.0, inf], 0.0, target=0.6)
    with pytest.raises(ValueError, match=r"got 1\.999999995; resample first"):
        next_coldness([0.0, 1.0], 0.0, target=1, log_weights=[0.0, 1e-4])
    level = np.sin(np.arange(50))
    present = float(effective_sample_size(Categorical(level))) / 50
    assert next_coldness(np.arange(50), 0.0, target=present, log_weights=level) < 0.1


def test_next_coldness_of_a_batch():
    e = np.random.default_rng(4).standard_normal((2, 3, 20))
    got = next_coldness(e, 0.1, target=0.7, final=9)
    assert got.shape == (2, 3)
    for i in np.ndindex(2, 3):
        assert got[i] == next_coldness(e[i], 0.1, target=0.7, final=9)
    # Rows at different coldness go on from theirs, and an answer can be handed in again.
    again = next_coldness(e, got, target=0.7, final=9)
    for i in np.ndindex(2, 3):
        assert again[i] == next_coldness(e[i], got[i], target=0.7, final=9)
    weights = np.zeros((2, 3, 20))
    weights[1, 2, 0] = 50
    with pytest.raises(ValueError, match=r"in row \(1, 2\); resample first"):
        next_coldness(e, 0.0, target=0.7, log_weights=weights)
    with pytest.raises(ValueError, match=r"coldness must fit the batch axes \(2, 3\)"):
        next_coldness(e, np.zeros(5), target=0.7)
    both = next_coldness(e[0, 0], 0.1, target=0.7, final=9, log_weights=np.zeros((4, 20)))
    assert_array_equal(both, np.full(4, got[0, 0]))


@given(
    st.lists(st.floats(-1e308, 1e308), min_size=1, max_size=20),
    st.floats(1e-6, 1),
    st.floats(-10, 10),
)
def test_next_coldness_of_any_energies(energies, target, coldness):
    beta = next_coldness(energies, coldness, target=target, final=10)
    assert coldness <= beta <= 10


# ---------------------------------------------------------------------------- bad input


def test_bad_input():
    dist = Categorical([0.0, 1.0])
    for n, error in ((-1, ValueError), (1.5, TypeError), (True, TypeError)):
        with pytest.raises(error, match="n must be"):
            resample(dist, n)
    with pytest.raises(ValueError, match=r"scheme must be one of 'multinomial', .* got 'best'"):
        resample(dist, 3, scheme="best")
    with pytest.raises(ValueError, match="scheme must be one of"):
        resample(dist, 3, scheme=np.array(["ssp"] * 2))
    with pytest.raises(TypeError, match="dist must be a Categorical, got list"):
        resample([0.5, 0.5], 3)
    with pytest.raises(TypeError, match="dist must be a Categorical"):
        effective_sample_size([0.5, 0.5])
    with pytest.raises(ValueError, match=r"one entry a row, 2 in all, got 3"):
        resample(Categorical(np.zeros((2, 3))), 3, rng=[1, 2, 3])


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"energies": [0.0, math.nan]}, ValueError, "energies must be finite"),
        ({"energies": [[0.0, 1], [0, -inf]]}, ValueError, "energies must .* got -inf in row 1"),
        ({"energies": [inf, inf]}, ValueError, "energies must .* support"),
        ({"energies": 3.0}, ValueError, "energies must have a last axis"),
        ({"energies": ["a"]}, TypeError, "energies must be real"),
        ({"coldness": math.nan}, ValueError, r"coldness must be in \(-inf, inf\), got nan"),
        ({"coldness": 2.0}, ValueError, "coldness must be at most final=1.0, got 2.0"),
        ({"coldness": "x"}, TypeError, "coldness must be real numbers"),
        ({"target": 0}, ValueError, r"target must be in \(0, 1\], got 0"),
        ({"target": 1.1}, ValueError, r"target must be in \(0, 1\]"),
        ({"target": "x"}, TypeError, "target must be a number"),
        ({"final": math.nan}, ValueError, "final must be in"),
        (
            {"log_weights": [0.0, math.nan]},
            ValueError,
            "log_weights must be finite or -inf, got nan",
        ),
        ({"log_weights": [-inf, -inf]}, ValueError, "log_weights must .* has log-weight -inf"),
        ({"log_weights": [0.0, -inf], "energies": [inf, 0.0]}, ValueError, "energies must be fin"),
        ({"log_weights": [0.0]}, ValueError, r"log_weights must have 2 particles"),
        ({"log_weights": np.zeros((3, 2)), "energies": np.zeros((2, 2))}, ValueError, "must fit"),
    ],
)
def test_bad_input_of_next_coldness(change, error, match):
    arguments = {"energies": [0.0, 1.0], "coldness": 0.0, "target": 0.5, **change}
    with pytest.raises(error, match=match):
        next_coldness(
            arguments.pop("energies"),
            arguments.pop("coldness"),
            **arguments,
        )


# ---------------------------------------------------------------------------- other namespaces


@pytest.mark.frameworks
@pytest.mark.parametrize("library", ["torch", "jax"])
def test_other_namespaces(library):
    z = np.random.default_rng(0).standard_normal((2, 30)).astype(np.float32)
    if library == "torch":
        xp = pytest.importorskip("torch")
        dist, rng = Categorical(xp.asarray(z)), 0
        rows = [1, 2]
    else:
        jax = pytest.importorskip("jax")
        xp = jax.numpy
        dist, rng = Categorical(xp.asarray(z)), jax.random.key(0)
        rows = jax.random.split(rng, 2)
    plain = Categorical(z)
    for scheme in SCHEMES:
        got = resample(dist, 25, scheme=scheme, rng=rng)
        assert type(got) is type(dist.logits)
        assert tuple(got.shape) == (2, 25)
        if library == "torch":
            assert_array_equal(got.numpy(), resample(plain, 25, scheme=scheme, rng=0))
        else:
            traced = jax.jit(lambda k, s=scheme: resample(dist, 25, scheme=s, rng=k))(rng)
            assert_array_equal(np.asarray(traced), np.asarray(got))
        assert tuple(resample(dist, 25, scheme=scheme, rng=rows).shape) == (2, 25)
    for again in (rng, rows):
        killed = np.asarray(resample(dist, 30, scheme="killing", rng=again))
        assert killed.shape == (2, 30)
        if library == "torch":
            assert_array_equal(killed, resample(plain, 30, scheme="killing", rng=again))
    size = effective_sample_size(dist)
    assert type(size) is type(dist.logits)
    assert_allclose(np.asarray(size), effective_sample_size(plain), rtol=1e-5)
    beta = next_coldness(xp.asarray(z), 0.0, target=0.5)
    next_coldness(xp.asarray(z), beta, target=0.1)  # and on from there
    assert type(beta) is type(dist.logits)
    assert_allclose(np.asarray(beta), next_coldness(z, 0.0, target=0.5), rtol=1e-6)
    if library == "jax":
        with pytest.raises(TypeError, match="traced"):
            jax.jit(lambda e: next_coldness(e, 0.0, target=0.5))(dist.logits)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_effective_sample_size_of_equal_weights_is_their_number(dtype):
    for n in (*range(1, 130), 1000, 99_999):
        assert effective_sample_size(Categorical(np.full(n, 0.3, dtype))) == n
    some = np.where(np.arange(49) % 3, -np.inf, 2.0).astype(dtype)
    assert effective_sample_size(Categorical([some, some])).tolist() == [17, 17]
