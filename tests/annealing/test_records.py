"""What replica exchange records: observables, means with errors, temperatures, rare swaps."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.signal import lfilter

from softargmax.annealing import replica_exchange
from softargmax.annealing._batch_means import batch_means

inf = np.inf
LADDER = [0.2, 0.5, 1.0, 2.0]


def sweep(x, coldness, rng):
    """A slow walk to the normal law of variance 1/β."""
    noise = rng.normal(size=x.shape) / np.sqrt(coldness)[:, None]
    return 0.8 * x + 0.6 * noise


def springs(**options):
    arguments = {
        "states": np.zeros((4, 3)),
        "energy": lambda x: (x**2).sum(axis=1) / 2,
        "sweep": sweep,
        "coldness": LADDER,
        "steps": 300,
        "rng": 0,
    }
    return replica_exchange(**{**arguments, **options})


BOTH = {"x": lambda x: x, "sign": lambda x: x[:, 0] > 0}


def test_observables_are_functions_of_the_recorded_states():
    seen = []

    def energy(x):
        return seen.append(x.copy()) or (x**2).sum(axis=1) / 2

    run = springs(observables=BOTH, energy=energy)
    assert run.observables["x"].shape == (300, 4, 3)
    assert run.observables["sign"].shape == run.energies.shape == (300, 4)
    assert_array_equal((run.observables["x"] ** 2).sum(axis=2) / 2, run.energies)
    assert_array_equal(run.observables["sign"], run.observables["x"][:, :, 0] > 0)
    assert_array_equal(run.observables["x"][-1], run.states)
    for rows, before in zip(run.observables["x"], seen[1:], strict=True):  # after the swaps
        assert_array_equal(np.sort(rows, axis=0), np.sort(before, axis=0))
    assert_array_equal(run.energies, springs().energies)  # they change no draw


@pytest.mark.parametrize(("burn_in", "thin"), [(0, 3), (7, 1), (50, 4), (299, 9), (1000, 1)])
def test_thinning_is_slicing(burn_in, thin):
    whole = springs(observables=BOTH)
    run = springs(observables=BOTH, burn_in=burn_in, thin=thin)
    assert_array_equal(run.energies, whole.energies[burn_in::thin])
    for name in BOTH:
        assert_array_equal(run.observables[name], whole.observables[name][burn_in::thin])
    assert_array_equal(run.walkers, whole.walkers)
    assert_array_equal(run.swap_rates, whole.swap_rates)
    assert run.steps == 300
    part = springs(observables=BOTH, burn_in=burn_in, thin=thin, steps=101)
    rest = springs(
        observables=BOTH, burn_in=burn_in, thin=thin, resume=pickle.loads(pickle.dumps(part))
    )
    assert_array_equal(rest.energies, run.energies)
    assert_array_equal(rest.observables["x"], run.observables["x"])


def test_temperatures_are_one_over_coldness():
    run = springs(coldness=None, temperatures=[5.0, 2.0, 1.0, 0.5])
    assert_array_equal(run.energies, springs().energies)
    assert_array_equal(run.coldness, LADDER)
    assert_array_equal(run.temperatures, [5.0, 2.0, 1.0, 0.5])

    def still(**ladder):
        return springs(sweep=lambda x, *_: x, steps=0, **ladder)

    ends = still(coldness=None, temperatures=[inf, 3.0, 1e-3, -0.0])
    assert_array_equal(ends.coldness, [0, 1 / 3.0, 1e3, inf])
    assert_array_equal(ends.temperatures, [inf, 3.0, 1e-3, 0])
    assert_array_equal(still(coldness=[-inf, -2, -0.0, 4]).temperatures, [0, -0.5, inf, 0.25])


# ---------------------------------------------------------------------------- means


def test_batch_means_know_autocorrelation():
    """400 series of correlation 0.8^t: the variance of a mean is 9 times that of independent draws.

    The mean of 400 estimates, each 13,000 long, has a standard error of 1.3 %: within 8 % of the
    exact one, with a bias of -1 %; false-fail rate 1e-6, and 10 % too much is found.
    """
    noise = np.random.default_rng(0).normal(size=(400, 13_000 + 100))
    series = lfilter([1], [1, -0.8], noise)[:, 100:].T
    mean, error = batch_means(series)
    assert_array_equal(mean, series.mean(axis=0))
    exact = 1 / (1 - 0.8) ** 2 / len(series)
    assert (error**2).mean() == pytest.approx(exact, rel=0.08)


def test_batch_means_of_short_series():
    for n in (0, 1, 2, 3):
        mean, error = batch_means(np.ones((n, 2)))
        assert_array_equal(mean, np.full(2, 1.0 if n else np.nan))
        assert np.isnan(error).all()
    mean, error = batch_means(np.array([0.0, 2.0, 6.0, 8.0]))  # batches of 1 and 7
    assert (mean, error) == (4, pytest.approx(3))
    # The first of five is in no batch.
    assert batch_means(np.array([9.0, 0.0, 2.0, 6.0, 8.0]))[1] == pytest.approx(np.sqrt(18 * 2 / 5))
    assert_array_equal(batch_means(np.array([1.0, inf, inf, inf])), [inf, np.nan])


def test_means_are_of_the_rungs():
    """d/2β; within 6.5 standard errors of Student's law of 31: 1e-6 over 16 numbers."""
    run = springs(steps=6000, burn_in=100, observables={"x": lambda x: x})
    mean, error = run.mean("energies")
    assert (abs(mean * LADDER - 1.5) < 6.5 * error * LADDER).all()
    assert (error < 0.08 * mean).all()
    mean, error = run.mean("x")
    assert mean.shape == error.shape == (4, 3)
    assert (abs(mean) < 6.5 * error).all()
    mean[...] = 1  # the caller's own
    assert (run.mean("x")[0] != 1).all()
    with pytest.raises(ValueError, match="name must be one of 'energies', 'x', got 'y'"):
        run.mean("y")


# ---------------------------------------------------------------------------- rare swaps


def test_rare_swaps_are_told_of():
    apart = {"coldness": [0.1, 0.2, 1e5, 2e5], "states": np.zeros((4, 3))}
    springs(steps=999, **apart)
    with pytest.warns(
        RuntimeWarning,
        match="replicas 1 and 2, at coldness 0.2 and 100000, swapped in 0 of 500 attempts",
    ) as told:
        springs(steps=1000, **apart)
    assert len(told) == 1
    assert told[0].filename == __file__


# ---------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"temperatures": [3, 2, 1, 0]}, TypeError, "pass temperatures or coldness, not both"),
        ({"coldness": None}, TypeError, "pass temperatures or coldness, got neither"),
        (
            {"coldness": None, "temperatures": [1, 2, 3, 4]},
            ValueError,
            r"temperatures must be strictly decreasing .hot first., got \[1. 2. 3. 4.\]",
        ),
        (
            {"coldness": None, "temperatures": [1, 0.5, 0, -1]},
            ValueError,
            r"temperatures must be in \[0, inf\], got -1",
        ),
        ({"coldness": None, "temperatures": 2}, ValueError, r"temperatures must have shape \(R,\)"),
        ({"observables": [len]}, TypeError, "observables must be a dict of functions, got list"),
        ({"observables": {"a": 3}}, TypeError, r"observables\['a'\] must be callable, got 3"),
        ({"observables": {3: len}}, TypeError, "observables must have strings for names, got 3"),
        ({"observables": {"energies": len}}, ValueError, "must not be named 'energies'"),
        (
            {"observables": {"a": lambda x: x.mean()}},
            ValueError,
            r"observables\['a'\] must return shape \(4, ...\), got shape \(\)",
        ),
        ({"observables": {"a": lambda x: ["b"] * 4}}, TypeError, r"observables\['a'\] must be re"),
        ({"burn_in": -1}, ValueError, "burn_in must be 0 or more, got -1"),
        ({"thin": 0}, ValueError, "thin must be 1 or more, got 0"),
    ],
)
def test_bad_input(change, error, match):
    with pytest.raises(error, match=match):
        springs(**change)


def test_an_observable_keeps_its_shape():
    calls = []

    def growing(x):
        calls.append(0)
        return np.ones((4, len(calls)))

    with pytest.raises(ValueError, match=r"must return shape \(4, 1\), got shape \(4, 2\)"):
        springs(observables={"a": growing})


def test_a_run_goes_on_as_it_began():
    first = springs(steps=10, observables=BOTH, thin=2)
    same = {"observables": BOTH, "thin": 2, "resume": first}
    with pytest.raises(ValueError, match=r"observables must be those of resume, \['sign', 'x'\]"):
        springs(**{**same, "observables": {"x": BOTH["x"]}})
    with pytest.raises(ValueError, match="burn_in and thin must be those of resume, 0 and 2, got"):
        springs(**{**same, "thin": 3})


def test_a_mean_of_no_record_is_refused():
    run = springs(burn_in=1000)
    with pytest.raises(ValueError, match=r"burn_in must be below .* steps, \d+, got 1000"):
        run.mean("energies")
