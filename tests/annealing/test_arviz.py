"""Runs in ArviZ's data structure: what is a chain, and its diagnostics of them."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from softargmax.annealing import anneal, replica_exchange

pytestmark = pytest.mark.frameworks
LADDER = [0.5, 1.0, 2.0]


@pytest.fixture(scope="module")
def arviz():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return pytest.importorskip("arviz")


def springs(seed=0, **options):
    return replica_exchange(
        np.full((3, 2), float(seed)),
        lambda x: (x**2).sum(axis=1) / 2,
        lambda x, b, rng: 0.8 * x + 0.6 * rng.normal(size=x.shape) / np.sqrt(b)[:, None],
        **{"coldness": LADDER, "steps": 1000, "burn_in": 100, "rng": seed, **options},
        observables={"x": lambda x: x, "first": lambda x: x[:, 0]},
    )


def test_a_run_is_a_chain_and_rungs_are_an_axis(arviz):
    runs = [springs(seed) for seed in range(3)]
    found = runs[0].to_arviz(*runs[1:])["posterior"]
    assert dict(found.sizes) == {"chain": 3, "draw": 900, "rung": 3, "x_0": 2}
    assert found["energies"].dims == ("chain", "draw", "rung")
    assert found["x"].dims == ("chain", "draw", "rung", "x_0")
    assert_array_equal(found["rung"].values, LADDER)
    for i, run in enumerate(runs):
        assert_array_equal(found["energies"].values[i], run.energies)
        assert_array_equal(found["x"].values[i], run.observables["x"])
        assert_array_equal(found["first"].values[i], run.observables["first"])


def test_diagnostics_come_from_there(arviz):
    """R-hat near 1 and fewer effective draws than draws; a rung that stays behind is seen."""
    runs = [springs(seed) for seed in range(4)]
    data = runs[0].to_arviz(*runs[1:])
    rhat, ess = (dataset(f(data)) for f in (arviz.rhat, arviz.ess))
    assert rhat["energies"].shape == ess["energies"].shape == (3,)
    assert (rhat["energies"].values < 1.03).all()
    assert (ess["energies"].values < 0.8 * 3600).all()
    assert (ess["energies"].values > 200).all()
    still = [springs(seed, steps=150) for seed in range(4)]
    energies = [run.energies + 5.0 * seed for seed, run in enumerate(still)]
    assert arviz.rhat(np.array(energies)[:, :, 0]) > 1.5
    # ArviZ's errors and ours are of the same size.
    _, error = runs[0].mean("energies")
    theirs = dataset(arviz.mcse(runs[0].to_arviz()))["energies"].values
    assert (abs(np.log(error / theirs)) < np.log(2)).all()


def dataset(found):
    """ArviZ 1 answers with a tree."""
    return found["posterior"] if "posterior" in getattr(found, "groups", ()) else found


def test_walks(arviz):
    def walk(seed, steps=50):
        return anneal(
            0, lambda x, rng: ([(x - 1) ** 2, x**2, (x + 1) ** 2], None),
            lambda x, _, i: x + i - 1, 2.0, steps=steps, rng=seed,
        )  # fmt: skip

    one, two = walk(0), walk(1)
    found = one.to_arviz(two)["posterior"]
    assert_array_equal(found["energies"].values, [one.energies, two.energies])
    assert_array_equal(found["temperatures"].values, np.full((2, 50), 2.0))
    with pytest.raises(ValueError, match="others must be runs of one kind and length, got shapes"):
        one.to_arviz(walk(1, steps=49))
    with pytest.raises(TypeError, match="others must be an AnnealingResult, got ExchangeResult"):
        one.to_arviz(springs(steps=1))


def test_other_ladders_are_no_chains(arviz):
    other = springs(coldness=[0.5, 1.0, 3.0])
    with pytest.raises(ValueError, match=r"others must have the ladder \[0.5 1.  2. \], got"):
        springs().to_arviz(other)
    with pytest.raises(ValueError, match="runs of one kind and length"):
        springs().to_arviz(springs(steps=999))


@pytest.mark.parametrize("name", ["chain", "draw", "rung", "x_0"])
def test_an_observable_with_the_name_of_an_axis_is_refused(arviz, name):
    run = replica_exchange(
        np.ones((3, 2)), lambda x: x.sum(axis=1), lambda x, *_: x, LADDER, steps=9, rng=0,
        observables={"x": lambda x: x, name: lambda x: x[:, 0]},
    )  # fmt: skip
    with pytest.raises(ValueError, match=rf"observables must .* names of axes, got \['{name}'\]"):
        run.to_arviz()


def test_without_arviz(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "arviz", None)
    with pytest.raises(ImportError, match=r"to_arviz needs ArviZ: pip install 'softargmax\[arviz"):
        springs(steps=1).to_arviz()
