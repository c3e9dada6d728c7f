"""Annealing and replica exchange: laws by enumeration, resuming, Ctrl-C, bad input."""

import copy
import itertools
import math
import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.special import expit

from softargmax import Categorical
from softargmax.annealing import AnnealingResult, ExchangeResult, anneal, replica_exchange
from softargmax.annealing._exchange import _swapped
from softargmax.schedules import Constant, Geometric, Linear
from statistical import check_counts

inf = math.inf
# Five spins in a ring with a field: 32 states, none of them alike.
STATES = np.array(list(itertools.product([-1, 1], repeat=5)))
NUMBERS = {tuple(state): i for i, state in enumerate(STATES.tolist())}
FIELD = np.array([0.3, -0.1, 0.2, 0.05, -0.4])
ENERGIES = -(STATES * np.roll(STATES, 1, axis=1)).sum(axis=1) - STATES @ FIELD


def number(spins):
    """Which of the 32 states it is, or they are."""
    if isinstance(spins, tuple):
        return NUMBERS[spins]
    return ((np.asarray(spins) + 1) // 2) @ 2 ** np.arange(4, -1, -1)


def gibbs_moves(state, rng):
    """Of one site at random, all its values."""
    site = int(rng.integers(5))
    return [ENERGIES[number(flipped(state, site, s))] for s in (-1, 1)], site


def gibbs_apply(state, site, index):
    return flipped(state, site, (-1, 1)[index])


def flipped(state, site, spin):
    return (*state[:site], spin, *state[site + 1 :])


UP = (1,) * 5


def gibbs(**options):
    return anneal(UP, gibbs_moves, gibbs_apply, **{"schedule": 1.5, "rng": 0, **options})


# ---------------------------------------------------------------------------- annealing


def test_gibbs_moves_are_stationary():
    """The step from Boltzmann's law leads to Boltzmann's law, over all 32 states, exactly."""
    temperature = 1.5
    law = Categorical.from_energies(ENERGIES, temperature).probs
    after = np.zeros(32)
    for s, p in zip(STATES, law, strict=True):
        for site in range(5):

            class Chosen:
                def integers(self, n, site=site):
                    return site

            energies, offer = gibbs_moves(tuple(s.tolist()), Chosen())
            for i, q in enumerate(Categorical.from_energies(energies, temperature).probs):
                after[number(gibbs_apply(tuple(s.tolist()), offer, i))] += p * q / 5
    np.testing.assert_allclose(after, law, rtol=1e-13)


def test_gibbs_sampling_has_boltzmanns_law():
    """Every 40th step of 40,000, of correlation 0.01; finds 0.14 of a probability."""
    seen = []

    def apply(state, site, index):
        seen.append(gibbs_apply(state, site, index))
        return seen[-1]

    run = anneal(UP, gibbs_moves, apply, Constant(4.0), steps=40_000, rng=1)
    numbers = np.array([number(state) for state in seen])
    counts = np.bincount(numbers[::40], minlength=32)
    check_counts(counts, Categorical.from_energies(ENERGIES, 4.0).probs, detects=0.14)
    assert_array_equal(run.energies, ENERGIES[numbers])
    assert run.state == seen[-1]
    assert run.best_energy == run.energies.min() == ENERGIES.min()
    assert number(run.best_state) == ENERGIES.argmin()


def test_steps_are_draws_of_boltzmanns_law_whatever_moves_draws():
    """60,000 independent steps, and pairs of them; each finds 0.02 of a probability.

    Stationary as they are (above), they give Gibbs sampling its law.
    """
    offered = np.array([[0.0, 1.0, inf], [2.0, -1.0, 0.5]])
    seen = []

    def moves(_state, rng):
        row = int(rng.integers(2))
        return offered[row], row

    anneal(0, moves, lambda _, row, i: seen.append((row, i)) or 0, 0.8, steps=60_000, rng=2)
    law = Categorical.from_energies(offered, 0.8).probs.ravel() / 2
    codes = np.array(seen) @ [3, 1]
    check_counts(np.bincount(codes, minlength=6), law, detects=0.02)
    pairs = np.bincount(6 * codes[::2] + codes[1::2], minlength=36)
    check_counts(pairs, np.outer(law, law).ravel(), detects=0.02)


def test_traces_and_the_best():
    schedule = Linear(4.0, 0.0, steps=300)
    run = gibbs(schedule=schedule, steps=300)
    assert_array_equal(run.temperatures, schedule(np.arange(300)))
    assert run.energy == run.energies[-1] == ENERGIES[number(run.state)]
    assert run.best_energy == run.energies.min() == ENERGIES[number(run.best_state)]
    assert repr(run) == (
        f"AnnealingResult(steps=300, energy={run.energy:g}, best_energy={run.best_energy:g})"
    )
    by_function = gibbs(schedule=lambda t: np.array(schedule(t)), steps=300)
    assert_array_equal(by_function.temperatures, run.temperatures)
    assert_array_equal(by_function.energies, run.energies)


def test_zero_temperature_descends_and_infinite_forgets():
    run = gibbs(schedule=0, steps=100)
    assert (np.diff(run.energies) <= 0).all()
    hot = gibbs(schedule=inf, steps=4000)
    assert hot.energies.mean() == pytest.approx(ENERGIES.mean(), abs=0.5)  # 9 standard errors


def test_forbidden_states_are_never_entered():
    run = anneal(
        5, lambda x, _: ([x - 1 if x > 0 else inf, inf, x], None), lambda x, _, i: x + i - 1,
        1.0, steps=200, rng=0,
    )  # fmt: skip
    assert (run.energies >= 0).all()
    assert np.isfinite(run.energies).all()


def test_no_steps():
    run = gibbs(steps=0)
    assert run.state == run.best_state == UP
    assert math.isnan(run.energy)
    assert run.best_energy == inf
    assert_array_equal(gibbs(steps=50, resume=run).energies, gibbs(steps=50).energies)


# ---------------------------------------------------------------------------- in place


def test_a_state_that_is_changed_in_place_is_the_runs_own():
    start = np.array([1, -1, 1, -1, 1])

    def moves(state, rng):
        return gibbs_moves(tuple(state.tolist()), rng)

    def apply(state, site, index):
        state[site] = (-1, 1)[index]
        return state

    options = {"moves": moves, "apply": apply, "schedule": 4.0, "rng": 0}
    run = anneal(start, steps=100, **options)
    assert_array_equal(start, [1, -1, 1, -1, 1])
    assert ENERGIES[number(run.best_state)] == run.best_energy == run.energies.min()
    assert run.energy == ENERGIES[number(run.state)] > run.best_energy
    half = anneal(start, steps=40, **options)
    assert half.energy > half.best_energy
    kept, luck = half.state.copy(), copy.deepcopy(half.rng).random()
    resumed = [anneal(start, steps=100, resume=half, **options) for _ in range(2)]
    assert_array_equal(half.state, kept)
    assert copy.deepcopy(half.rng).random() == luck
    for again in resumed:
        assert_array_equal(again.energies, run.energies)
        assert_array_equal(again.state, run.state)
    still = anneal(start, steps=0, **options)
    assert still.best_state is not start
    assert still.best_state is not still.state


def test_the_best_is_the_first_of_equals():
    run = anneal(0, lambda x, _: [[1.0], None], lambda x, *_: x + 1, 1.0, steps=5, rng=0)
    assert (run.state, run.best_state) == (5, 1)
    same = replica_exchange(
        np.array([7, 8]), lambda s: [1.0, 1.0], lambda s, *_: s + 10, [1.0, 2.0], steps=3, rng=0
    )
    assert same.best_state == 7


def test_what_cannot_be_copied():
    with pytest.raises(TypeError, match="state must be an object that can be copied"):
        anneal((i for i in range(3)), gibbs_moves, gibbs_apply, 1.0, steps=2)


# ---------------------------------------------------------------------------- resuming, Ctrl-C


def interrupting(function, at):
    """The function, but at its call number ``at`` Ctrl-C comes, after some luck was used."""
    calls = itertools.count()

    def call(*arguments):
        if next(calls) == at:
            for argument in arguments:
                if isinstance(argument, np.random.Generator):
                    argument.random(3)
                elif isinstance(argument, np.ndarray) and argument.flags.writeable:
                    argument[...] = argument[::-1].copy()
            raise KeyboardInterrupt
        return function(*arguments)

    return call


@pytest.mark.parametrize("rng", [0, "Generator", "MT19937"])
@pytest.mark.parametrize("where", ["moves", "apply", "schedule"])
@pytest.mark.parametrize("at", [0, 1, 57])
def test_an_interrupted_run_goes_on_as_if_it_had_not_been(rng, where, at):
    schedule = Geometric(3, 0.1, steps=120)

    def source():
        if rng == 0:
            return 0
        kind = np.random.PCG64 if rng == "Generator" else np.random.MT19937
        return np.random.Generator(kind(3))

    parts = {"moves": gibbs_moves, "apply": gibbs_apply, "schedule": lambda t: float(schedule(t))}
    whole = anneal(UP, **parts, steps=120, rng=source())
    generator = source()
    broken = parts | {where: interrupting(parts[where], at)}
    first = anneal(UP, **broken, steps=120, rng=generator)
    assert len(first.energies) == len(first.temperatures) == at
    if rng != 0:  # the caller's generator gave the seed of the run's, and nothing else
        assert generator.random() == source().random(3)[2]
    first = pickle.loads(pickle.dumps(first))
    rest = anneal(UP, **parts, steps=120, resume=first)
    assert_array_equal(rest.energies, whole.energies)
    assert_array_equal(rest.temperatures, whole.temperatures)
    assert rest.state == whole.state
    assert rest.best_state == whole.best_state
    assert rest.rng.random() == whole.rng.random()


def heat_bath(states, coldness, rng):
    """One site after the other, all replicas at once."""
    for site in range(5):
        around = states[:, site - 1] + states[:, (site + 1) % 5] + FIELD[site]
        up = rng.random(len(states)) < expit(2 * coldness * around)
        states[:, site] = np.where(up, 1, -1)
    return states


LADDER = [-0.2, 0.0, 0.3, 0.6, 1.2, inf]


def exchange(**options):
    arguments = {
        "states": np.ones((6, 5), int),
        "energy": lambda s: ENERGIES[number(s)],
        "sweep": heat_bath,
        "coldness": LADDER,
        "steps": 200,
        "rng": 0,
    }
    return replica_exchange(**{**arguments, **options})


@pytest.mark.parametrize("where", ["sweep", "energy"])
@pytest.mark.parametrize("at", [1, 2, 91])
def test_an_interrupted_exchange_goes_on_as_if_it_had_not_been(where, at):
    parts = {"sweep": heat_bath, "energy": lambda s: ENERGIES[number(s)]}
    whole = exchange(steps=200)
    first = exchange(**{where: interrupting(parts[where], at)}, steps=200)
    assert len(first.energies) == len(first.walkers) == (at if where == "sweep" else at - 1)
    first = pickle.loads(pickle.dumps(first))
    kept = first.states.copy()
    rest = exchange(resume=first, steps=200, states=None, rng=None)
    assert_array_equal(first.states, kept)
    assert_array_equal(rest.energies, whole.energies)
    assert_array_equal(rest.walkers, whole.walkers)
    assert_array_equal(rest.states, whole.states)
    assert_array_equal(rest.best_state, whole.best_state)
    assert rest.best_energy == whole.best_energy
    assert_array_equal(rest.round_trips, whole.round_trips)
    assert rest.rng.random() == whole.rng.random()


def test_a_bar_counts_steps(capsys):
    pytest.importorskip("tqdm")
    first = gibbs(steps=10, progress=True)
    assert "10/10" in capsys.readouterr().err
    gibbs(steps=12, progress=True, resume=first)
    assert "12/12" in capsys.readouterr().err
    exchange(steps=7, progress=True)
    assert "7/7" in capsys.readouterr().err
    gibbs(steps=10)
    assert capsys.readouterr().err == ""


def test_a_bar_needs_tqdm(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tqdm", None)
    with pytest.raises(ImportError, match=r"progress=True needs tqdm: pip install"):
        gibbs(steps=3, progress=True)


# ---------------------------------------------------------------------------- replica exchange


def test_swaps_leave_the_joint_law_as_it_is():
    """All pairs of energies at two rungs: detailed balance of min(1, exp(ΔβΔE)), exactly."""
    betas = np.array([0.3, 1.1])
    laws = Categorical.from_energies(ENERGIES, coldness=betas).probs
    joint = laws[0][:, None] * laws[1]
    rise = ENERGIES - ENERGIES[:, None]  # E₁ - E₀
    accept = np.minimum(1, np.exp((betas[1] - betas[0]) * rise))
    np.testing.assert_allclose(joint * accept, (joint * accept).T, rtol=1e-12)

    class Waits(np.random.Generator):
        def standard_exponential(self, size):
            return np.full(size, self.wait)

    rng = Waits(np.random.PCG64(0))
    for i, j in np.ndindex(32, 32):
        # An exponential wait is above -log(accept) with probability accept.
        least = -math.log(accept[i, j])
        for rng.wait, order in ((least - 1e-9, [0, 1]), (least + 1e-9, [1, 0])):
            if rng.wait > 0:
                assert _swapped(betas, ENERGIES[[i, j]], 0, rng).tolist() == order


def test_replicas_have_boltzmanns_law_at_their_coldness():
    """10,000 steps: batch means of the energies, within 6 standard errors, 0.02 to 0.2."""
    run = exchange(steps=10_000)
    dist = Categorical.from_energies(ENERGIES, coldness=LADDER)
    batches = run.energies[100:10_100].reshape(-1, 100, 6).mean(axis=1)
    error = batches.std(axis=0) / math.sqrt(len(batches))
    assert (abs(batches.mean(axis=0) - dist.expectation(ENERGIES)) <= 6 * error + 1e-9).all()
    assert error.max() < 0.05
    for rung in range(6):  # every 10th state; finds 0.2 of a probability
        values = np.unique(ENERGIES)
        law = [dist.probs[rung][values[i] == ENERGIES].sum() for i in range(len(values))]
        counts = [(run.energies[::10, rung] == value).sum() for value in values]
        counts[0] += run.energies[::10, rung].size - sum(counts)
        check_counts(counts, law, detects=0.2)


def test_walkers_and_rates():
    run = exchange(steps=501)
    before = np.arange(6)
    swaps, tries = np.zeros(5), np.zeros(5)
    for t, now in enumerate(run.walkers):
        assert sorted(now) == list(range(6))
        for i in range(t % 2, 5, 2):
            tries[i] += 1
            swaps[i] += now[i] == before[i + 1]
        moved = np.flatnonzero(now != before)
        assert all(abs(i - list(now).index(before[i])) == 1 for i in moved)
        before = now
    np.testing.assert_allclose(run.swap_rates, swaps / tries)
    assert (run.swap_rates > 0.05).all()


def test_round_trips():
    def result(*walkers):
        walkers = np.array(walkers)
        return ExchangeResult(None, None, 0.0, None, None, walkers, None)

    assert result([1, 0]).round_trips.tolist() == [0, 0]
    assert result([1, 0], [0, 1]).round_trips.tolist() == [1, 1]
    assert result([1, 0], [1, 0], [0, 1], [1, 0]).round_trips.tolist() == [1, 1]
    assert result([1, 0, 2], [1, 2, 0], [1, 0, 2], [0, 1, 2]).round_trips.tolist() == [1, 0, 0]
    assert result([0], [0]).round_trips.tolist() == [0]
    there_and_back = exchange(steps=3000).round_trips
    assert (there_and_back > 10).all()


def test_one_replica_has_no_neighbour():
    run = exchange(states=np.ones((1, 5), int), coldness=[0.7], steps=20)
    assert run.energies.shape == (20, 1)
    assert run.swap_rates.shape == (0,)
    assert "swap_rates" not in repr(run)
    empty = exchange(steps=0)
    assert np.isnan(empty.swap_rates).all()
    assert empty.best_energy == ENERGIES[31]
    assert_array_equal(exchange(steps=9, resume=empty).energies, exchange(steps=9).energies)


def test_the_best_is_the_lowest_that_was_seen():
    run = exchange(steps=100)
    assert run.best_energy == ENERGIES.min()
    assert number(run.best_state) == ENERGIES.argmin()
    high = exchange(coldness=[-3.0, -2.0], states=np.tile(STATES[ENERGIES.argmin()], (2, 1)))
    assert high.best_energy == ENERGIES.min()  # of the beginning


def test_energies_are_those_of_the_states():
    for steps in (1, 2, 33):
        run = exchange(steps=steps)
        assert_array_equal(run.energies[-1], ENERGIES[number(run.states)])


def test_a_sweep_may_keep_its_memory():
    memory = np.empty((6, 5), int)

    def sweep(states, coldness, rng):
        memory[...] = heat_bath(states, coldness, rng)
        return memory

    hot = [-0.2, -0.1, 0.0, 0.1, 0.2, 0.3]  # where the best do not stay
    start = np.tile([1, -1, 1, -1, 1], (6, 1))
    run = exchange(sweep=sweep, steps=60, coldness=hot, states=start)
    want = exchange(steps=60, coldness=hot, states=start)
    assert_array_equal(run.energies, want.energies)
    assert_array_equal(run.best_state, want.best_state)
    assert ENERGIES[number(run.best_state)] == run.best_energy


def test_states_that_are_objects_are_the_runs_own():
    boxes = np.empty(3, object)
    boxes[:] = [[3], [4], [5]]

    def sweep(states, coldness, rng):
        for box in states:
            box[0] += int(rng.integers(-1, 2))
        return states

    run = replica_exchange(
        boxes, lambda s: [float(box[0] ** 2) for box in s], sweep, [0.1, 0.2, 0.3], steps=50, rng=0
    )
    assert boxes.tolist() == [[3], [4], [5]]
    assert run.best_state[0] ** 2 == run.best_energy


def test_forbidden_neighbours_swap_freely():
    rng = np.random.default_rng(0)
    for energies in ([inf, inf], [2.0, 2.0]):
        for betas in ([0.5, 1.0], [0.5, inf]):
            order = _swapped(np.array(betas), np.array(energies), 0, rng)
            assert order.tolist() == [1, 0]
    for betas in ([0.5, 1.0], [0.5, inf]):  # the forbidden one goes to the hot side
        assert _swapped(np.array(betas), np.array([1.0, inf]), 0, rng).tolist() == [1, 0]
        assert _swapped(np.array(betas), np.array([inf, 1.0]), 0, rng).tolist() == [0, 1]


def test_the_callers_states_are_untouched():
    states = np.ones((6, 5), int)
    exchange(states=states, steps=20)
    assert_array_equal(states, np.ones((6, 5)))
    assert exchange(states=states.tolist(), steps=20).states.shape == (6, 5)


@pytest.mark.frameworks
@pytest.mark.parametrize("library", ["torch", "jax"])
def test_states_of_other_namespaces(library):
    xp = pytest.importorskip("torch" if library == "torch" else "jax.numpy")

    def sweep(states, coldness, rng):
        return xp.asarray(heat_bath(np.array(states.tolist()), coldness, rng))

    run = exchange(states=xp.asarray(np.ones((6, 5), int)), sweep=sweep, steps=50,
                   energy=lambda s: ENERGIES[number(s.tolist())])  # fmt: skip
    assert type(run.states) is type(xp.asarray([1]))
    assert_array_equal(np.asarray(run.states), exchange(steps=50).states)
    assert_array_equal(run.energies, exchange(steps=50).energies)


# ---------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"moves": lambda *_: None}, TypeError, r"moves must return \(energies, offer\), got None"),
        ({"moves": lambda *_: ([0.0, math.nan], 0)}, ValueError, "energies of moves at .*nan"),
        ({"moves": lambda *_: ([-inf], 0)}, ValueError, "must be finite or .inf, got -inf"),
        ({"moves": lambda *_: ([inf], 0)}, ValueError, "finite for one state at least, got inf"),
        ({"moves": lambda *_: ([], 0)}, ValueError, r"must have shape \(m,\) with m ≥ 1"),
        ({"moves": lambda *_: ([[1.0]], 0)}, ValueError, r"got shape \(1, 1\)"),
        ({"moves": lambda *_: (["a"], 0)}, TypeError, "energies of moves at step 0 must be real"),
        ({"moves": 3}, TypeError, "moves must be callable, got 3"),
        ({"apply": 3}, TypeError, "apply must be callable, got 3"),
        ({"schedule": lambda t: np.ones(2)}, TypeError, "schedule must be a number"),
        ({"schedule": -1.0}, ValueError, r"schedule must be in \[0, inf\], got -1.0"),
        ({"schedule": lambda t: -1.0}, ValueError, r"schedule must be in \[0, inf\], got -1.0"),
        ({"schedule": "x"}, TypeError, "schedule must be a number or a function of .* got 'x'"),
        ({"steps": -1}, ValueError, "steps must be 0 or more, got -1"),
        ({"steps": 2.5}, TypeError, "steps must be an integer"),
        ({"rng": "x"}, TypeError, "rng must be"),
        ({"resume": 3}, TypeError, "resume must be an AnnealingResult, got int"),
    ],
)  # fmt: skip
def test_bad_input_of_anneal(change, error, match):
    arguments = {"moves": gibbs_moves, "apply": gibbs_apply, "schedule": 1.0, "steps": 5} | change
    with pytest.raises(error, match=match):
        anneal(UP, **arguments)


def test_fewer_steps_than_there_were():
    with pytest.raises(ValueError, match="steps must be at least 9, those of resume, got 8"):
        gibbs(steps=8, resume=gibbs(steps=9))


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"coldness": [0.0, 1.0, 0.5, 2, 3, 4]}, ValueError, "coldness must be strictly increas"),
        ({"coldness": [0.0, 0.0, 0.5, 2, 3, 4]}, ValueError, "coldness must be strictly increas"),
        ({"coldness": [math.nan]}, ValueError, "strictly increasing .*, got .nan"),
        ({"coldness": 1.0}, ValueError, r"coldness must have shape \(R,\)"),
        ({"coldness": []}, ValueError, r"coldness must have shape \(R,\)"),
        (
            {"states": np.ones((5, 5))},
            ValueError,
            r"states must have 6 .* got shape \(5, 5",
        ),
        ({"states": 3}, ValueError, "states must have 6 replicas"),
        ({"sweep": lambda *_: None}, TypeError, "sweep must return the states, got None"),
        ({"sweep": lambda s, *_: s[:, 1:]}, ValueError, r"of shape \(6, 5\), got shape \(6, 4\)"),
        ({"sweep": lambda s, *_: [1, 2]}, ValueError, r"of shape \(6, 5\), got shape \(2,\)"),
        ({"sweep": 5}, TypeError, "sweep must be callable, got 5"),
        ({"energy": 5}, TypeError, "energy must be callable, got 5"),
        ({"states": [[1], [1, 2]]}, ValueError, "states must be an array"),
        ({"sweep": lambda s, *_: s[1:]}, ValueError, r"of shape \(6, 5\), got shape \(5, 5\)"),
        ({"energy": lambda s: [math.nan] * 6}, ValueError, r"energies of energy\(states\) .* nan"),
        ({"energy": lambda s: [0.0]}, ValueError, r"must have shape \(6,\), got shape \(1,\)"),
        ({"energy": lambda s: None}, TypeError, r"energies of energy\(states\) must be real"),
        ({"steps": -1}, ValueError, "steps must be 0 or more, got -1"),
        ({"resume": 3}, TypeError, "resume must be an ExchangeResult"),
        ({"rng": -1}, ValueError, "rng must be"),
    ],
)
def test_bad_input_of_replica_exchange(change, error, match):
    with pytest.raises(error, match=match):
        exchange(**change)


def test_another_ladder_cannot_resume():
    first = exchange(steps=3)
    with pytest.raises(ValueError, match="coldness must be that of resume"):
        exchange(steps=5, resume=first, coldness=[0.0, 1, 2, 3, 4, 5])


def test_results_are_of_their_class():
    assert isinstance(gibbs(steps=1), AnnealingResult)
    assert isinstance(exchange(steps=1), ExchangeResult)
    assert repr(exchange(steps=200)).startswith("ExchangeResult(steps=200, replicas=6, best_energ")
