"""The exponential race: its winner, its waiting time, their independence, the n-fold way."""

import itertools
import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from softargmax import Categorical
from softargmax.gumbel import exponential_race
from statistical import check_draws

inf = math.inf
KS = 1e-7  # the false-fail rate of a Kolmogorov-Smirnov test
RATES = np.array([0.2, 0.0, 1.5, 3.0, 0.01])
with np.errstate(divide="ignore"):
    LOG_RATES = np.log(RATES)


def test_winner_and_time():
    """10⁵ races: finds 0.013 of a probability and 0.009 between distributions."""
    winner, time = exponential_race(LOG_RATES, 100_000, rng=0)
    assert winner.dtype == np.int64
    assert time.dtype == np.float64
    check_draws(winner, RATES / RATES.sum(), detects=0.013)
    law = stats.expon(scale=1 / RATES.sum()).cdf
    assert stats.kstest(time, law).pvalue > KS
    for i in (0, 2, 3):  # the same time, whoever has won: independent
        assert stats.kstest(time[winner == i], law).pvalue > KS
    assert (time > 0).all()


def test_batches_and_shapes():
    z = np.random.default_rng(0).standard_normal((3, 4, 5)) * 2
    winner, time = exponential_race(z, (7, 2), rng=0)
    assert winner.shape == time.shape == (7, 2, 3, 4)
    one = exponential_race([0.0, 1.0], rng=0)
    assert one.winner.shape == one.time.shape == ()
    many = exponential_race(z, 20_000, rng=1).time
    total = np.exp(z).sum(axis=-1)
    assert_allclose(many.mean(axis=0), 1 / total, rtol=6 / math.sqrt(20_000))


def test_the_noise_is_its_own():
    """Winner and time share no noise with each other, nor with sample of an equal seed."""
    z = np.zeros(1000)
    winner = exponential_race(z, 5000, rng=3).winner
    drawn = Categorical(z).sample(5000, rng=3)
    assert stats.binom.sf((winner == drawn).sum() - 1, 5000, 1e-3) > 1e-7
    winner, time = exponential_race(z, 5000, rng=np.random.default_rng(3))
    again = exponential_race(z, 5000, rng=np.random.default_rng(3))
    assert_array_equal(winner, again.winner)
    assert_array_equal(time, again.time)
    assert abs(np.corrcoef(winner, time)[0, 1]) < 5.5 / math.sqrt(5000)
    generator = np.random.default_rng(0)
    first, second = (exponential_race(z, 50, rng=generator) for _ in range(2))
    assert (first.winner != second.winner).any()


def test_one_rng_a_row():
    z = np.random.default_rng(0).standard_normal((3, 5))
    each = exponential_race(z, 10, rng=[1, 2, 3])
    for i in range(3):
        alone = exponential_race(z[i : i + 1], 10, rng=[i + 1])
        assert_array_equal(each.winner[:, i], alone.winner[:, 0])
        assert_array_equal(each.time[:, i], alone.time[:, 0])


@pytest.mark.parametrize("k", [3, 17, 100, 1023, 1024, 3000])
def test_short_and_long_rows_have_the_same_law(k):
    z = np.linspace(0, -8, k)
    z[1] = -inf
    winner, time = exponential_race(z, 50_000, rng=np.random.default_rng(k))
    check_draws(winner, Categorical(z).probs, detects=0.02)
    total = np.exp(z).sum()
    assert stats.kstest(time * total, stats.expon.cdf).pvalue > KS
    one = exponential_race(z, rng=np.random.default_rng(0))
    assert one.winner.shape == one.time.shape == ()


def test_extreme_rates():
    slow, fast = exponential_race([[-1e4, -1e4], [1e4, 1e4]], rng=0).time
    assert slow == inf
    assert fast == 0
    assert exponential_race([-inf, -3.0], rng=0).winner == 1
    narrow = exponential_race(np.full(4, -100, np.float32), 1000, rng=0).time
    assert stats.kstest(narrow * 4 * math.exp(-100), stats.expon.cdf).pvalue > KS


def test_the_n_fold_way_is_stationary():
    """A ring of five spins, Metropolis rates: time averages against all 32 states.

    Seven standard errors from 40 batch means; about 0.01 of a probability of 0.03 to 0.2.
    """
    beta, n = 0.4, 5
    states = np.array(list(itertools.product([-1, 1], repeat=n)))
    energy = -(states * np.roll(states, 1, axis=1)).sum(axis=1)
    rise = np.empty((len(states), n))
    move = np.empty((len(states), n), np.int64)
    for s, i in np.ndindex(rise.shape):
        flipped = states[s].copy()
        flipped[i] *= -1
        move[s, i] = np.flatnonzero((states == flipped).all(axis=1))[0]
        rise[s, i] = energy[move[s, i]] - energy[s]
    log_rates = np.minimum(0, -beta * rise)
    rng = np.random.default_rng(0)
    walkers, steps = 4000, 400
    place = np.zeros(walkers, np.int64)
    weight = np.zeros((40, len(states)))
    clock = np.zeros(40)
    for step in range(steps):
        winner, time = exponential_race(log_rates[place], rng=rng)
        if step >= 40:
            group = np.arange(walkers) % 40
            np.add.at(weight, (group, place), time)
            np.add.at(clock, group, time)
        place = move[place, winner]
    shares = weight / clock[:, None]
    law = Categorical.from_energies(energy, coldness=beta).probs
    error = shares.std(axis=0) / math.sqrt(40)
    assert (abs(shares.mean(axis=0) - law) < 7 * error).all()
    assert error.max() < 0.0015


def test_bad_input():
    for rates, match in (
        ([0.0, math.nan], "log_rates must be finite or -inf, got nan"),
        ([0.0, inf], "log_rates must be finite or -inf, got inf"),
        ([[0.0], [-inf]], "log_rates must leave .* in row 1: every category has log-rate -inf"),
        (0.0, "log_rates must have a last axis"),
    ):
        with pytest.raises(ValueError, match=match):
            exponential_race(rates)
    with pytest.raises(TypeError, match="log_rates must be real"):
        exponential_race(["a"])
    with pytest.raises(TypeError, match="shape must be an int"):
        exponential_race([0.0], 1.5)
    with pytest.raises(TypeError, match="rng must be"):
        exponential_race([0.0], rng="x")


@pytest.mark.frameworks
@pytest.mark.parametrize("library", ["torch", "jax"])
def test_other_namespaces(library):
    if library == "torch":
        xp = pytest.importorskip("torch")
        rng, rows = xp.Generator().manual_seed(0), [1, 2]
    else:
        jax = pytest.importorskip("jax")
        xp, rng = jax.numpy, jax.random.key(0)
        rows = jax.random.split(rng, 2)
    z = np.broadcast_to(LOG_RATES, (2, 5)).astype(np.float32)
    logits = xp.asarray(z.copy())
    for source in (rng, rows):
        winner, time = exponential_race(logits, 20_000, rng=source)
        assert type(winner) is type(time) is type(logits)
        assert tuple(time.shape) == (20_000, 2)
        check_draws(np.asarray(winner), np.broadcast_to(RATES / RATES.sum(), (2, 5)), detects=0.03)
        law = stats.expon(scale=1 / RATES.sum()).cdf
        assert stats.kstest(np.asarray(time)[:, 1], law).pvalue > KS
    if library == "jax":
        run = jax.jit(lambda key: exponential_race(logits, 7, rng=key))
        assert_array_equal(run(rng).winner, exponential_race(logits, 7, rng=rng).winner)
        assert_allclose(run(rng).time, exponential_race(logits, 7, rng=rng).time, rtol=1e-5)
        bad = jax.jit(lambda z: exponential_race(z, rng=rng))(logits * xp.nan)
        assert (np.asarray(bad.winner) == -1).all()
        assert np.isnan(np.asarray(bad.time)).all()
