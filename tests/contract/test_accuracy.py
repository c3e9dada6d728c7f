"""Accuracy against mpmath: relative, in units of the last place."""

from fractions import Fraction

import numpy as np
import pytest

from reference import MP, Laws, law, ulps
from softargmax import Categorical, log_softargmax

PARTS, CASES = range(10), 1_000  # 10,000 cases in all, in parts that cores can share
BATCH = 50  # cases whose exact laws are found together
SMALLEST = {np.float64: 1e-300, np.float32: 1e-37}  # below, floats are no longer normal


def random_case(rng):
    num_categories = int(2 * 500 ** (rng.random() ** 1.5))  # from 2 to 1,000, small ones more often
    z = rng.standard_normal((2, num_categories)) * 10 ** rng.uniform(-4, 4)
    z[1] = z[0] + (z[1] - z[0]) * 10 ** rng.uniform(-6, 0)  # from next to z[0] to unrelated
    return z, 10 ** rng.uniform(-3, 3)


def batches(rng, dtype, n):
    """Of n cases: the rows, the others, and the temperatures."""
    for _ in range(n // BATCH):
        pairs, temperatures = zip(*(random_case(rng) for _ in range(BATCH)), strict=True)
        yield *([z[i].astype(dtype) for z in pairs] for i in (0, 1)), temperatures


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_random_cases_within_their_bars(dtype, part):
    rng = np.random.default_rng([20, part])
    worst = dict.fromkeys(["rest", "top", "entropy", "kl"], 0.0)
    eps, smallest = float(np.finfo(dtype).eps), SMALLEST[dtype]
    near_zero = 0
    for rows, others, temperatures in batches(rng, dtype, CASES):
        p, q = Laws(rows, temperatures), Laws(others, temperatures)
        exact, cross = p.log_probs, p.cross_entropies(q)
        for i, t in enumerate(temperatures):
            dist, other = Categorical(rows[i], t), Categorical(others[i], t)
            bar, top = 16 + 2 * p.gaps[i], p.tops[i]
            log_probs = dist.log_probs
            # Rounding the exact values to float64 adds half a unit at most.
            errors = np.abs(log_probs - exact[i]) / np.spacing(np.abs(exact[i]).astype(dtype))
            worst["rest"] = max(worst["rest"], (np.delete(errors, top).max() + 0.5) / 16)
            if p.levels[i] >= smallest:
                near_zero += p.levels[i] < 1e-10
                error = ulps(log_probs[top], -p.levels[i], dtype)
                worst["top"] = max(worst["top"], error / bar)
            if p.entropies[i] >= smallest:
                error = ulps(dist.entropy(), p.entropies[i], dtype)
                worst["entropy"] = max(worst["entropy"], error / bar)
            kl = float(dist.kl_divergence(other))
            assert kl >= 0
            widest = max(p.gaps[i], q.gaps[i])
            limit = (16 + 2 * widest) * eps * float(p.entropies[i] + cross[i])
            error = abs(float(kl - (cross[i] - p.entropies[i])))
            worst["kl"] = max(worst["kl"], error / max(limit, smallest))
    assert max(worst.values()) <= 1, worst
    assert near_zero > CASES / 100  # the hard cases were among them


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_laws_in_pairs_are_those_of_mpmath(dtype):
    ((rows, others, temperatures),) = batches(np.random.default_rng(23), dtype, BATCH)
    found, other = Laws(rows, temperatures), Laws(others, temperatures)
    cross = found.cross_entropies(other)
    for i, (row, t, log_probs) in enumerate(zip(rows, temperatures, found.log_probs, strict=True)):
        p, q = law(row, t), law(others[i], t)
        assert found.tops[i] == p.top
        assert found.gaps[i] == pytest.approx(p.gap, rel=1e-15, abs=0)
        np.testing.assert_array_equal(log_probs, [float(x) for x in p.log_probs])
        wanted = (-p.log_probs[p.top], p.entropy)
        wanted += (-MP.fsum(a * b for a, b in zip(p.probs, q.log_probs, strict=True)),)
        for x, exact in zip((found.levels[i], found.entropies[i], cross[i]), wanted, strict=True):
            if exact >= SMALLEST[np.float64]:
                assert abs(x - exact) <= exact * MP.mpf(2) ** -90


def long_rows(dtype):
    """Rows of 1,500: flat, peaked, tied, and at and beyond the ends of exp's range."""
    rng, num_categories = np.random.default_rng(22), 1500
    z = rng.standard_normal((37, num_categories)) * 3
    end = 88.0 if dtype == np.float32 else 709.0  # exp(-end) is about the smallest normal number
    z[:10] += np.array([0, 5, -5, 0.6, -0.6, 0.75, -0.75, 1, -1, 20])[:, None] * end
    for row, (place, gap) in enumerate(
        [(0, 0.5), (1499, 7), (1280, 10), (700, 15), (1279, 36), (255, 0.7 * end), (256, 1.1 * end)]
    ):
        z[10 + row, place] = z[10 + row].max() + gap
        z[17 + row] = z[10 + row] + (-0.6) ** row * end
    z[24, [3, 1400]] = 40
    z[25, [3, 4]] = 40
    z[26, [1400, 1401]] = 40, np.nextafter(dtype(40), dtype(41))
    z[27, rng.random(num_categories) < 0.9] = -np.inf
    z[28, 1:] = -np.inf
    z[29] = 7
    z[30] = np.log(np.arange(1, num_categories + 1))
    z[31] *= 1e30
    z[32] *= 20
    # The weights of most, or of all, are subnormal.
    deep = -100.0 if dtype == np.float32 else -741.0  # where they have a few bits
    z[33:] = deep + 0.1 * rng.standard_normal((4, num_categories))
    z[33, :2] = 0
    z[34, 700] = -0.2 * end
    z[35, 1400:1402] = deep + 8
    return z.astype(dtype)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_long_rows_within_their_bars(dtype):
    """Those of temperature 1 are not centred before they are exponentiated."""
    z = long_rows(dtype)
    before = z.copy()
    together = log_softargmax(z)
    alone = np.stack([log_softargmax(row) for row in z])
    np.testing.assert_array_equal(z, before)
    p = Laws([row[row > -np.inf] for row in z], np.ones(len(z)))
    for i, exact in enumerate(p.log_probs):
        alive = np.flatnonzero(z[i] > -np.inf)
        normal = np.abs(exact) >= SMALLEST[dtype]
        units = np.spacing(np.abs(exact[normal]).astype(dtype))
        bars = np.where(np.arange(alive.size) == p.tops[i], 16 + 2 * p.gaps[i], 16)[normal]
        for found in (together[i], alone[i]):
            np.testing.assert_array_equal(np.flatnonzero(found > -np.inf), alive)
            errors = np.abs(found[alive][normal].astype(np.float64) - exact[normal]) / units
            assert (errors + 0.5 <= bars).all(), (errors.max(), z[i])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_long_row_does_not_depend_on_what_stands_beside_it(dtype):
    z = long_rows(dtype)
    together = log_softargmax(z)
    many = np.tile(z, (30, 1))
    np.testing.assert_array_equal(log_softargmax(many, workers=3), np.tile(together, (30, 1)))
    for row, log_p in zip(z, together, strict=True):
        np.testing.assert_array_equal(log_softargmax(np.tile(row, (22, 1)))[5], log_p)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_priors_and_negative_coldness_within_their_bars(dtype):
    rng = np.random.default_rng(21)
    for case in range(500):
        z, t = random_case(rng)
        z = z[0, :50].astype(dtype)
        prior = np.exp(rng.normal(0, 5, z.size)) * (rng.random(z.size) < 0.8)
        prior[0] = 1
        sign = (-1) ** case
        dist = Categorical(z, coldness=sign / t, prior=prior)
        exact = law(sign * z.astype(np.float64), 1 / (1 / t), prior)
        allowance = float(np.abs(np.log(prior[prior > 0])).max()) * float(np.finfo(dtype).eps)
        bar = 16 + 2 * exact.gap
        for i, log_p in enumerate(exact.log_probs):
            if prior[i] == 0:
                assert dist.log_probs[i] == -np.inf
                continue
            error = abs(float(MP.mpf(float(dist.log_probs[i])) - log_p))
            unit = float(np.spacing(np.abs(np.array(float(log_p)).astype(dtype))))
            assert error <= (bar if i == exact.top else 16) * unit + allowance
        entropy_unit = float(np.spacing(np.array(float(exact.entropy)).astype(dtype)))
        error = abs(float(MP.mpf(float(dist.entropy())) - exact.entropy))
        assert error <= bar * entropy_unit + allowance


def test_published_values():
    dist = Categorical([0.0, -40.0])
    assert dist.log_prob(0) == -4.248354255291589e-18
    assert dist.entropy() == 1.7418252446695514e-16
    assert Categorical([0.0, -690.0]).log_prob(0) == pytest.approx(
        -np.exp(-690.0), rel=1e-12, abs=0
    )
    assert ulps(Categorical([0.0, 690.0]).log_prob(1), law([0.0, 690.0]).log_probs[1], float) < 1400


def test_variance_keeps_its_digits_next_to_one_category():
    p = law([0.0, -60.0])
    exact = float(p.probs[0] * p.probs[1]) * 2.0**-20
    got = Categorical([0.0, -60.0]).variance([5.0, 5.0 + 2.0**-10])
    assert got == pytest.approx(exact, rel=1e-12, abs=0)


@pytest.mark.parametrize("seed", range(5))
def test_variance_keeps_its_digits_far_from_zero(seed):
    """Where the mean itself is rounded, at values a little above 10⁹."""
    rng = np.random.default_rng(seed)
    weights, steps = rng.integers(1, 9, 6), rng.integers(0, 9, 6)
    mean = Fraction(int((weights * steps).sum()), int(weights.sum()))
    squares = sum(int(w) * (int(k) - mean) ** 2 for w, k in zip(weights, steps, strict=True))
    exact = float(squares / int(weights.sum())) * 2.0**-20
    got = Categorical.from_weights(weights).variance(1e9 + steps * 2.0**-10)
    assert got == pytest.approx(exact, rel=1e-14, abs=0)


@pytest.mark.parametrize("coldness", [0.7, -1.3, 40.0])
def test_derivatives_against_high_precision_differences(coldness):
    z = np.array([0.3, -0.2, 0.9, 0.9, -1.0])
    prior = np.array([1.0, 2.0, 0.5, 0.5, 0.0])
    dist = Categorical(z, coldness=coldness, prior=prior)
    h = MP.mpf(2) ** -60

    def shifted(j, step):
        """log p and H with logit j moved, everything in high precision."""
        e = [
            MP.mpf(float(w))
            * MP.exp(MP.mpf(coldness) * (MP.mpf(float(v)) + (step if i == j else 0)))
            for i, (v, w) in enumerate(zip(z, prior, strict=True))
        ]
        total = MP.fsum(e)
        log_p = [MP.log(x / total) if x else MP.zero for x in e]
        return log_p, -MP.fsum(x / total * y for x, y in zip(e, log_p, strict=True))

    entropy_gradient, score = dist.entropy_gradient(), dist.score(np.arange(5))
    fisher = dist.fisher_information()
    p = dist.probs
    assert (entropy_gradient[4], *score[4], *score[:, 4], *fisher[4], *fisher[:, 4]) == (0,) * 21
    for j in range(4):
        (up, h_up), (down, h_down) = shifted(j, h), shifted(j, -h)
        slope = np.array([float((a - b) / (2 * h)) for a, b in zip(up, down, strict=True)])
        np.testing.assert_allclose(score[:4, j], slope[:4], rtol=1e-12, atol=1e-14)
        assert entropy_gradient[j] == pytest.approx(float((h_up - h_down) / (2 * h)), abs=1e-13)
        # The Fisher information is the mean of the score's products.
        np.testing.assert_allclose(
            fisher[j], (p[:, None] * score * score[:, [j]]).sum(0), atol=1e-12
        )
    assert np.isfinite(fisher).all()
