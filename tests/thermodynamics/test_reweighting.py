"""Reweighting: exact systems, the peer's numbers, errors that cover, edges and bad input."""

import math
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from softargmax import Categorical
from softargmax.resampling import effective_sample_size
from softargmax.thermodynamics import (
    heat_capacity,
    internal_energy,
    log_partition,
    reweight,
)

LADDER = np.array([0.0, 0.15, 0.3, 0.45, 0.6])
BETWEEN = np.array([0.0, 0.08, 0.22, 0.4406868, 0.55, 0.6])


def ising_states():
    """The energy and |magnetisation| of every state of the 4 × 4 Ising torus."""
    s = 1 - 2 * (np.arange(2**16)[:, None] >> np.arange(16) & 1).astype(np.int8).reshape(-1, 4, 4)
    bonds = (s * np.roll(s, 1, 1)).sum((1, 2)) + (s * np.roll(s, 1, 2)).sum((1, 2))
    return -bonds.astype(float), abs(s.sum((1, 2))).astype(float)


def potts_levels(q=3):
    """The levels of the 4 × 4 Potts torus, -(equal neighbours), and how many states have each.

    The number of states is read off the trace of the fourth power of the transfer matrix between
    rows, a polynomial in x = exp(β) of degree 32, at its 33 roots of unity.
    """
    rows = np.indices((q,) * 4).reshape(4, -1).T
    within = (rows == np.roll(rows, 1, 1)).sum(1)
    bonds = within[None] + (rows[:, None] == rows[None]).sum(-1)
    x = np.exp(2j * np.pi * np.arange(33) / 33)
    traces = [np.trace(np.linalg.matrix_power(v**bonds, 4)) for v in x]
    counts = np.fft.fft(traces).real.round() / 33
    assert counts.sum() == q**16
    return -np.arange(33.0), counts


def exact(levels, counts, at):
    dist = Categorical.from_energies(levels, coldness=at, degeneracies=counts)
    return log_partition(dist), internal_energy(dist), heat_capacity(dist)


def check(found, wanted, error):
    """Within 6.5 errors, which are of 100 blocks: Student's t of 99 degrees of freedom.

    Of up to 100 such numbers one is beyond in less than 4e-7 of runs. What is found with a chance
    of 99 % is a bias of 8.9 errors.
    """
    z = (found - wanted)[error > 0] / error[error > 0]
    assert_allclose(found[error == 0], wanted[error == 0], rtol=1e-12, atol=1e-12)
    assert abs(z).max() < 6.5, z


@pytest.mark.parametrize("system", ["ising", "potts", "levels"])
def test_exact_systems(system):
    """With 4,000 samples a rung errors are below 0.05 in log Z and 2 % of the range of E."""
    if system == "ising":
        levels, counts = np.unique(ising_states()[0], return_counts=True)
    else:
        levels, counts = {"potts": potts_levels(), "levels": ([0.0, 1.0], [1.0, 3.0])}[system]
    counts = np.asarray(counts, float)
    dist = Categorical.from_energies(levels, coldness=LADDER, degeneracies=counts)
    energies = np.asarray(levels)[dist.sample(4000, rng=3)]
    found = reweight(energies, LADDER, to=BETWEEN, log_states=np.log(counts.sum()), blocks=100)
    log_z, energy, capacity = exact(levels, counts, BETWEEN)
    check(found.log_partition, log_z, found.log_partition_error)
    check(found.energy, energy, found.energy_error)
    check(found.heat_capacity, capacity, found.heat_capacity_error)
    assert found.log_partition_error[0] == 0
    assert found.log_partition_error.max() < 0.05
    assert found.energy_error.max() < 0.02 * np.ptp(levels)
    bare = reweight(energies, LADDER, to=BETWEEN, blocks=100)
    assert bare.log_partition[0] == bare.log_partition_error[0] == 0
    assert_allclose(bare.log_partition + log_z[0], found.log_partition, rtol=1e-12)
    apart = reweight(energies, LADDER, to=BETWEEN, reference=0.55, blocks=100)
    difference, error = apart.log_partition, apart.log_partition_error
    check(difference, log_z - log_z[4], error)
    assert difference[4] == error[4] == 0
    assert 0 < error[5] < error[3] < error[0]  # that of a difference, which grows with the distance
    assert_allclose(difference, bare.log_partition - bare.log_partition[4], rtol=1e-12, atol=1e-12)
    assert_allclose(error[0], bare.log_partition_error[4], rtol=1e-10)


def test_observables_of_states():
    energies, magnetisation = ising_states()
    law = Categorical.from_energies(energies, coldness=LADDER)
    x = law.sample(4000, rng=5)
    found = reweight(energies[x], LADDER, to=BETWEEN, blocks=100)
    both = np.stack([magnetisation[x], energies[x]], -1)
    mean, error = found.average(both)
    assert mean.shape == error.shape == (6, 2)
    at = Categorical.from_energies(energies, coldness=BETWEEN)
    check(mean[:, 0], at.expectation(magnetisation), error[:, 0])
    assert_allclose(mean[:, 1], found.energy, rtol=1e-13)
    assert_allclose(error[:, 1], found.energy_error, rtol=1e-10)
    assert_allclose(found.weights.expectation(energies[x].ravel()), found.energy, rtol=1e-12)
    assert_allclose(found.average(np.ones_like(energies[x]))[0], 1, rtol=1e-13)
    assert_allclose(found.average(np.ones_like(energies[x]))[1], 0, atol=1e-13)
    # each rung has its own samples, and what its neighbours lend
    assert (effective_sample_size(found.weights) > 4000).all()


@pytest.mark.frameworks
def test_against_the_peer():
    """pymbar's numbers of independent samples: values to rounding, errors to their own error.

    Those of 500 blocks are right to 3.2 %; a deviation of 20 % has a probability below 1e-8.
    """
    pymbar = pytest.importorskip("pymbar")
    rng = np.random.default_rng(8)
    beta, sizes = np.array([-0.4, 0.1, 0.5, 1.0]), [600, 1500, 1000, 800]
    energies = [rng.normal(2 - 3 * b, math.sqrt(3), n) for b, n in zip(beta, sizes, strict=True)]
    to, pooled = np.array([-0.2, 0.3, 0.75, 1.0]), np.concatenate(energies)
    found = reweight(energies, beta, to=[*beta, *to], blocks=500)
    peer = pymbar.MBAR(beta[:, None] * pooled, sizes, solver_protocol=[{"method": "adaptive"}])
    free = peer.compute_perturbed_free_energies(np.outer([beta[0], *beta, *to], pooled))
    assert_allclose(found.log_partition, -free["Delta_f"][0, 1:], rtol=0, atol=1e-6)
    assert_allclose(found.log_partition_error[1:], free["dDelta_f"][0, 2:], rtol=0.2, atol=0)
    for i, b in enumerate([*beta, *to]):
        theirs = peer.compute_expectations(pooled, u_kn=b * pooled)
        assert_allclose(found.energy[i], theirs["mu"][0], rtol=1e-6)
        assert_allclose(found.energy_error[i], theirs["sigma"][0], rtol=0.2)
    squares = [x**2 for x in energies]
    theirs = peer.compute_expectations(pooled**2, u_kn=0.3 * pooled)
    mean, error = found.average(squares)
    assert_allclose(mean[5], theirs["mu"][0], rtol=1e-6)
    assert_allclose(error[5], theirs["sigma"][0], rtol=0.2)


def chain(rng, law, steps, stay):
    """Draws of every row of a law, each kept for the next step with a probability."""
    fresh = law.sample(steps, rng=rng)
    new = rng.random(fresh.shape) >= stay
    new[0] = True
    last = np.maximum.accumulate(np.where(new, np.arange(steps)[:, None], 0), axis=0)
    return np.take_along_axis(fresh, last, axis=0)


def test_errors_cover_what_is_correlated():
    """An interval of 95 % (Student's t) holds the exact value in 95 % of 80 correlated runs.

    The count is binomial: it is checked at a false-fail rate of 1e-6, which finds a coverage below
    67 % with a chance of 99 %.
    """
    levels, counts, beta = np.array([0.0, 1.0, 2.0]), np.array([1, 4, 6.0]), np.array([0, 1.0, 2])
    law = Categorical.from_energies(levels, coldness=beta, degeneracies=counts)
    rng = np.random.default_rng(2)
    log_z, energy, _ = exact(levels, counts, [0.5, 0.0])
    wanted = log_z[0] - log_z[1], energy[0]

    hits, runs = np.zeros(2, int), 80
    for _ in range(runs):
        energies = levels[chain(rng, law, 2000, 0.9)]
        r = reweight(energies, beta, to=0.5)
        z = (
            (r.log_partition - wanted[0]) / r.log_partition_error,
            (r.energy - wanted[1]) / r.energy_error,
        )
        hits += abs(np.array(z)) < stats.t.isf(0.025, 19)
    for count in hits:
        assert stats.binomtest(count, runs, 0.95).pvalue > 1e-6 / 2, hits
    # With blocks of two steps, as if steps were independent, errors are too small by a factor of 3.
    assert reweight(energies, beta, to=0.5, blocks=1000).energy_error < r.energy_error / 2


def test_many_runs_of_different_lengths_and_one_rung():
    rng = np.random.default_rng(4)
    e = rng.normal(0, 1, 3000)
    found = reweight(e[:, None], [0.0], to=[[0.0, 0.3]])
    assert found.log_partition.shape == found.energy.shape == (1, 2)
    assert_allclose(found.log_partition[0], [0, np.log(np.mean(np.exp(-0.3 * e)))], atol=1e-14)
    assert found.heat_capacity[0, 0] == 0
    # the same samples in another form
    other = rng.normal(-1, 1, 3000)
    array = reweight(np.stack([e, other], -1), [0.0, 1.0], to=0.5)
    arrays = reweight([e, other], [0.0, 1.0], to=0.5)
    rows = reweight([*np.stack([e, other], -1)], [0.0, 1.0], to=0.5)
    swapped = reweight([other, e], [1.0, 0.0], to=0.5)
    for same in (arrays, rows):
        assert same.log_partition == pytest.approx(array.log_partition, rel=1e-13)
        assert same.energy_error == pytest.approx(array.energy_error, rel=1e-9)
    log_z = reweight([e, other], [0.0, 1.0], to=1.0).log_partition
    assert swapped.log_partition + log_z == pytest.approx(array.log_partition, rel=1e-12)
    mean, error = arrays.average([np.ones((3000, 2)), np.zeros((3000, 2))])
    assert mean.shape == error.shape == (2,)
    assert isinstance(array.energy, np.float64)
    assert isinstance(array.average(np.stack([e, other], -1))[0], np.float64)
    square = rng.normal(0, 1, (40, 40))  # a list is one sequence a rung, an array one column
    ladder = np.linspace(0, 1, 40)
    columns = reweight(square, ladder, to=0.5).energy
    assert reweight([*square.T], ladder, to=0.5).energy == pytest.approx(columns, rel=1e-12)
    none = reweight([e, other], [0.0, 1.0], to=[])
    assert none.energy.shape == none.average([e, other])[0].shape == (0,)


def test_units_and_offsets_do_not_matter():
    """Energies of 1e5 and of 1e150, coldness 0 and negative: nothing overflows, digits stay."""
    rng = np.random.default_rng(6)
    beta = np.linspace(-1, 1, 5)
    e = rng.normal(-4 * beta, 2, (400, 5))
    plain = reweight(e, beta, to=[-0.7, 0.0, 0.5])
    for unit, offset in ((1.0, 1e5), (1e150, 0.0), (1e-150, 0.0), (1e5, -1e9)):
        r = reweight(e * unit + offset, beta / unit, to=np.array([-0.7, 0.0, 0.5]) / unit)
        shift = offset * (np.array([-0.7, 0.0, 0.5]) + 1) / unit
        assert_allclose(r.log_partition + shift, plain.log_partition, rtol=1e-7)
        assert_allclose(r.log_partition_error, plain.log_partition_error, rtol=1e-6)
        assert_allclose((r.energy - offset) / unit, plain.energy, rtol=1e-6, atol=1e-8)
        assert_allclose(r.heat_capacity, plain.heat_capacity, rtol=1e-6, atol=1e-12)
    flat = reweight(np.full((50, 2), 1e5), [0.0, -1.0], to=[0.5, 0.0, -1.0])
    assert_array_equal(flat.energy, 1e5)
    assert_array_equal(flat.log_partition, [-5e4, 0, 1e5])
    assert_array_equal(flat.heat_capacity, 0)
    for steep in (2, 4, 6):  # far apart
        far = rng.normal(-steep * np.arange(3.0), 1, (2000, 3))
        r = reweight(far, np.arange(3.0) * steep, to=2.0 * steep, blocks=100)
        assert abs(r.log_partition - 2 * steep**2) < 6.5 * r.log_partition_error


@pytest.mark.parametrize(("states", "gap"), [(10, 100), (10, 1e5), (1000, 50)])
def test_an_energy_that_jumps_between_two_rungs(states, gap):
    """A first-order transition: the warm rung is nearly all above, the cold one all below."""
    below = [4000 // (states + 1), 4000]
    energies = np.where(np.arange(4000)[:, None] >= below, gap, 0.0)
    energies = np.random.default_rng(0).permutation(energies)
    found = reweight(energies, [0.0, 1.0], to=1.0)
    assert found.log_partition == pytest.approx(math.log(below[0] / 4000), rel=1e-9)
    falling = reweight(energies[:, ::-1], [1.0, 0.0], to=0.0)
    assert falling.log_partition == pytest.approx(-found.log_partition, rel=1e-9)


def test_results_are_records():
    rng = np.random.default_rng(0)
    e = rng.normal(size=(100, 2))
    before = e.copy()
    found = reweight(e, [0.0, 0.1], to=[0.05, 0.1])
    assert repr(found) == "ReweightingResult(shape=(2,), samples=200, rungs=2)"
    for name in ("coldness", "log_partition", "energy", "energy_error", "heat_capacity_error"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(found, name)[0] = 1
    with pytest.raises(AttributeError):
        found.energy = 1
    again = pickle.loads(pickle.dumps(found))
    assert_array_equal(again.average(e), found.average(e))
    assert_array_equal(e, before)


GOOD = np.random.default_rng(1).normal(size=(50, 2))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"energies": GOOD[:, :1]}, ValueError, r"energies must have shape \(steps, 2\)"),
        ({"energies": [GOOD[:, 0]] * 3}, ValueError, "energies must be 2 arrays, one a"),
        ({"energies": np.where(GOOD > 1, np.inf, GOOD)}, ValueError, "energies must be in"),
        ({"energies": "warm"}, TypeError, "energies must be real numbers"),
        ({"energies": GOOD - [0, 400], "coldness": [0, 40.0]}, ValueError,
         "must overlap, got next to no overlap between coldness 0 and 40"),
        ({"coldness": [0.0, np.inf]}, ValueError, "coldness must be in"),
        ({"coldness": 1.0}, ValueError, r"coldness must have shape \(R,\) with R ≥ 1, got shape"),
        ({"to": np.nan}, ValueError, "to must be in"),
        ({"blocks": 1}, ValueError, "blocks must be 2 or more, got 1"),
        ({"blocks": 51}, ValueError, "energies must have blocks=51 steps or more, got 50"),
        ({"log_states": np.inf}, ValueError, "log_states must be in"),
        ({"reference": np.nan}, ValueError, "reference must be in"),
        ({"reference": 0.1, "log_states": 1.0}, ValueError, "reference must be None beside log_st"),
    ],
)  # fmt: skip
def test_bad_input(change, error, message):
    given = {"energies": GOOD, "coldness": [0.0, 1.0], "to": 0.5, **change}
    with pytest.raises(error, match=message):
        reweight(given.pop("energies"), given.pop("coldness"), **given)


def test_bad_observables():
    found = reweight(GOOD, [0.0, 1.0], to=0.5)
    with pytest.raises(ValueError, match=r"observable must begin with the shape of the energies"):
        found.average(GOOD[:-1])
    with pytest.raises(ValueError, match=r"observable must be in"):
        found.average(GOOD * np.nan)
    found = reweight([GOOD[:, 0], GOOD[:30, 1]], [0.0, 1.0], to=0.5)
    assert found.average([GOOD[:, 0], GOOD[:30, 1]])[0] == pytest.approx(found.energy)
    with pytest.raises(ValueError, match="observable must be 2 arrays, got 50"):
        found.average(GOOD)
    with pytest.raises(ValueError, match="observable must be 2 arrays, got a number"):
        found.average(3.0)


@pytest.mark.frameworks
def test_arrays_of_other_libraries_are_read():
    torch = pytest.importorskip("torch")
    jax = pytest.importorskip("jax")
    want = reweight(GOOD, [0.0, 1.0], to=0.5)
    found = reweight(torch.tensor(GOOD), torch.tensor([0.0, 1.0]), to=0.5)
    assert found.energy == want.energy
    with pytest.raises(TypeError, match="energies must be known, got a traced array"):
        jax.jit(lambda e: reweight(e, [0.0, 1.0], to=0.5).energy)(GOOD)
