"""Ladders that are made of a run: where the best one is known, and for the Ising model."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import erfc, expit

from softargmax.annealing import ExchangeResult, replica_exchange, tune_ladder
from softargmax.annealing._ladder import _flow_distance, _swap_distance


def record(coldness, energies=None, walkers=None):
    """What a run would have recorded."""
    if walkers is None:
        walkers = np.tile(np.arange(len(coldness)), (len(energies), 1))
    return ExchangeResult(None, None, 0.0, np.asarray(coldness, float), energies, walkers, None)


def drawn(coldness, law, n=20_000):
    rng = np.random.default_rng(1)
    return record(coldness, np.stack([law(rng, b, n) for b in coldness], axis=1))


def normal(rng, b, n):
    """Levels with a normal density of variance 9."""
    return rng.normal(-9 * b, 3, n)


def test_the_distance_of_normal_energies_is_exact():
    """Δβ σ, and the rate erfc(Δβ σ / 2), to 4 % at 20,000 draws."""
    ladder = np.array([0.0, 0.1, 0.3, 0.8])
    run = drawn(ladder, normal)
    assert_allclose(_swap_distance(run), 3 * np.diff(ladder), rtol=0.04)
    gain = np.diff(ladder) * np.diff(run.energies, axis=1)
    assert_allclose(np.exp(np.minimum(gain, 0)).mean(axis=0), erfc(1.5 * np.diff(ladder)), 0.04)


@pytest.mark.parametrize("rungs", [2, 5, 9])
def test_normal_energies_want_even_steps_of_coldness(rungs):
    found = tune_ladder(drawn([-0.4, -0.3, 0.3, 0.5, 1.0, 1.6], normal), rungs)
    assert_allclose(found, np.linspace(-0.4, 1.6, rungs), atol=0.05)
    assert (found[0], found[-1]) == (-0.4, 1.6)


def test_springs_want_even_ratios():
    run = drawn(np.linspace(1, 16, 8), lambda rng, b, n: rng.gamma(3, 1 / b, n))
    assert_allclose(tune_ladder(run, 5), [1, 2, 4, 8, 16], rtol=0.06)


def test_a_good_ladder_stays():
    ladder = 2.0 ** np.arange(6)
    run = drawn(ladder, lambda rng, b, n: rng.gamma(3, 1 / b, n))
    assert_allclose(tune_ladder(run, 6), ladder, rtol=0.03)


def test_energies_that_never_change_or_never_meet():
    """Even steps where nothing is known; most rungs where no swap is in sight."""
    run = record([0.0, 1.0, 5.0], np.ones((100, 3)))
    assert_allclose(tune_ladder(run, 6), np.arange(6))
    run = record([0.0, 1.0, 2.0], np.tile([0.0, 0.0, -1e9], (100, 1)))
    found = tune_ladder(run, 12)
    assert (np.diff(found) > 0).all()
    assert (found > 1).sum() >= 10
    forbidden = record([0.0, 1.0, 2.0], np.tile([np.inf, np.inf, 0.0], (100, 1)))
    assert (np.diff(tune_ladder(forbidden, 5)) > 0).all()


# ---------------------------------------------------------------------------- Ising

SITES = np.arange(64).reshape(8, 8)
NEAR = np.stack([np.roll(SITES, s, axis).ravel() for s in (1, -1) for axis in (0, 1)], axis=-1)
COLOURS = [np.flatnonzero(np.indices((8, 8)).sum(axis=0) % 2 == colour) for colour in (0, 1)]


def heat_bath(spins, coldness, rng):
    for sites in COLOURS:
        field = spins[:, NEAR[sites]].sum(axis=-1)
        up = rng.random(field.shape) < expit(2 * coldness[:, None] * field)
        spins[:, sites] = 2 * up - 1
    return spins


def ising(ladder, seed):
    return replica_exchange(
        np.ones((len(ladder), 64), int),
        lambda s: -(s * s[:, NEAR].sum(axis=-1)).sum(axis=-1) / 2,
        heat_bath,
        ladder,
        steps=1700,
        burn_in=200,
        rng=seed,
    )


def test_rates_of_the_ising_model_are_more_even_after_tuning():
    """Of 850 attempts each: a rate has a standard error of 0.02, correlation aside."""
    before = ising(np.linspace(0.1, 0.6, 6), 0)
    ladder = tune_ladder(before, 6)
    after = ising(ladder, 1)
    assert np.ptp(before.swap_rates) > 0.3
    assert np.ptp(after.swap_rates) < 0.12
    assert_array_equal(ladder[[0, -1]], [0.1, 0.6])
    flowing = tune_ladder(after, 6, criterion="flow")
    assert (np.diff(flowing) > 0).all()
    assert_array_equal(flowing[[0, -1]], [0.1, 0.6])


# ---------------------------------------------------------------------------- flow


def test_the_flow_of_a_run():
    """Three walkers; who was last at the first end, by hand."""
    walkers = np.array([[0, 1, 2], [1, 0, 2], [1, 2, 0], [2, 1, 0], [2, 0, 1], [0, 2, 1]])
    # At the middle: 1 (never at an end), 0 (first), 2 (last), 1 (first), 0 (last), 2 (first).
    want = [1, 3 / 5, 0]
    share = 1 - np.cumsum(_flow_distance(record([0, 1, 2], None, walkers)) ** 2)
    assert_allclose(share, want[1:], atol=1e-15)


def swapping(rates, steps, seed):
    """Walkers that swap with given rates, at one random pair a step."""
    rng = np.random.default_rng(seed)
    order, found = np.arange(len(rates) + 1), []
    for r, u in zip(rng.integers(len(rates), size=steps), rng.random(steps), strict=True):
        if u < rates[r]:
            order[[r, r + 1]] = order[[r + 1, r]]
        found.append(order.copy())
    return np.array(found)


def test_the_flow_finds_the_bottleneck():
    """Diffusion: f falls by 1/rate from rung to rung, 9 to 1 here, and distances are 3 to 1.

    Over six seeds the distances were right to 5 %.
    """
    rates = np.array([0.9, 0.9, 0.1, 0.9, 0.9])
    run = record(np.arange(6.0), None, swapping(rates, 60_000, 0))
    apart = _flow_distance(run)
    assert_allclose(apart, np.sqrt(1 / rates / (1 / rates).sum()), rtol=0.15)
    ladder = tune_ladder(run, 8, criterion="flow")
    assert ((ladder > 1.9) & (ladder < 3.1)).sum() == 4  # of 8, where there were 2 of 6


# ---------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("run", "options", "error", "match"),
    [
        (3, {}, TypeError, "result must be an ExchangeResult, got int"),
        (record([1], np.ones((5, 1))), {}, ValueError, "result must have 2 or more rungs"),
        (record([1, np.inf], np.ones((5, 2))), {}, ValueError, "all finite, got coldness .* inf"),
        (record([0, 1], np.ones((0, 2))), {}, ValueError, "result must have recorded energies"),
        (
            record([0, 1], np.ones((5, 2))),
            {"rungs": 1},
            ValueError,
            "rungs must be in 2 … .* got 1",
        ),
        (record([0, 1], np.ones((5, 2))), {"criterion": "x"}, ValueError, "one of 'swaps', 'flow'"),
        (record([0, 1], np.ones((5, 2))), {"criterion": "flow"}, ValueError, "round trips .* none"),
        (record([0, 1], np.ones((0, 2))), {"criterion": "flow"}, ValueError, "round trips .* none"),
    ],
)
def test_bad_input(run, options, error, match):
    with pytest.raises(error, match=match):
        tune_ladder(run, **{"rungs": 4, **options})
