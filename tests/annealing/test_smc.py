"""Particles carried over temperatures: log Z against enumeration, errors, resuming, bad input."""

import itertools
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit

from softargmax import Categorical
from softargmax.annealing import SMCResult, smc

inf = np.inf
# The Ising model on 4 × 4 sites, and all its 65,536 states.
SITES = np.eye(16).reshape(4, 4, 16)
NEAR = sum(np.roll(SITES, s, axis) for s in (1, -1) for axis in (0, 1)).reshape(16, 16)
COLOURS = [np.flatnonzero(np.indices((4, 4)).sum(axis=0) % 2 == colour) for colour in (0, 1)]


def energy(spins):
    return -(spins * (spins @ NEAR)).sum(axis=-1) / 2


def sweep(spins, coldness, rng):
    for sites in COLOURS:
        field = spins @ NEAR[:, sites]
        up = rng.random(field.shape) < expit(2 * coldness[:, None] * field)
        spins[:, sites] = 2 * up - 1
    return spins


LEVELS, WAYS = np.unique(
    energy(2 * (np.arange(2**16)[:, None] >> np.arange(16) & 1) - 1), return_counts=True
)


def exact(coldness, start=0.0):
    """log Z(β) / Z(β₀)."""
    z = [(WAYS * np.exp(-b * LEVELS)).sum() for b in (coldness, start)]
    return np.log(z[0] / z[1])


def start(n, seed=1):
    return np.random.default_rng(seed).choice([-1.0, 1.0], (n, 16))


def run(n=100, **options):
    arguments = {"states": start(n), "energy": energy, "sweep": sweep, "rng": 0}
    if "coldness" not in options:
        arguments["final"] = 0.5
    return smc(**{**arguments, **options})


# ---------------------------------------------------------------------------- log Z


def test_log_z_of_the_ising_model():
    """100 seeds of 1,000 particles, beyond the critical coldness of 0.44.

    Each within 3 standard errors (these seeds are; of others, one in four hundred is not), their
    spread within a third of what the errors say: a standard deviation of 100 numbers is right to
    7 %, so that the false-fail rate is below 1e-5 and errors too small by a half are found.
    """
    runs = [run(states=start(1000, 1000 + seed), final=0.6, rng=seed) for seed in range(100)]
    off = [(r.log_z[-1] - exact(0.6)) / r.log_z_error[-1] for r in runs]
    assert np.abs(off).max() < 3
    assert 0.75 < np.sqrt(np.mean(np.square(off))) < 1.33
    assert all(r.coldness[-1] == 0.6 and 3 < r.steps < 8 for r in runs)
    for r in runs[:5]:
        assert_allclose(r.sizes[1:-1], 500, rtol=1e-9)
        found = r.particles.expectation(r.energies)
        levels = Categorical.from_energies(LEVELS, coldness=0.6, degeneracies=WAYS)
        assert found == pytest.approx(levels.expectation(LEVELS), abs=1.5)


def test_the_mean_of_z_is_exact_with_a_fixed_ladder():
    """225 runs of 120 particles, a third each without, with some and with all resampling.

    The bound is 4.9 standard errors, a false-fail rate of 1e-6; it finds a bias of 7 times the
    standard error, 8 %, with 99 %.
    """
    ladder = [0.0, 0.1, 0.2, 0.28]
    ratios = []
    for seed in range(225):
        own = {"coldness": ladder, "ess": (0, 0.9, 1)[seed % 3]}
        made = run(states=start(120, 5000 + seed), rng=seed, **own)
        assert (len(set(made.ancestors)) == 120) == (seed % 3 == 0)
        ratios.append(np.exp(made.log_z[-1] - exact(0.28)))
    error = np.std(ratios) / np.sqrt(len(ratios))
    assert error < 0.0115
    assert abs(np.mean(ratios) - 1) < 4.9 * error


def test_without_resampling_weights_are_those_of_annealed_importance_sampling():
    """The products of the weights along each path, exactly."""
    paths = []

    def seen(spins, coldness, rng):
        paths.append(energy(spins))
        return sweep(spins, coldness, rng)

    ladder = np.array([0.1, 0.2, 0.4, 0.45])
    made = run(coldness=ladder, ess=0, sweep=seen)
    log_w = -(np.diff(ladder)[:, None] * paths).sum(axis=0)
    want = Categorical(log_w)
    assert_allclose(made.particles.probs, want.probs, rtol=1e-12)
    assert made.log_z[-1] == pytest.approx(np.log(np.mean(np.exp(log_w))))
    # One family a particle: the error is that of the mean of the weights.
    w = np.exp(log_w)
    assert made.log_z_error[-1] == pytest.approx(w.std(ddof=1) / w.mean() / np.sqrt(100))
    assert_array_equal(made.coldness, ladder)
    assert_array_equal(made.ancestors, np.arange(100))


def test_sweeps_that_forget_nothing_are_known_to_the_error():
    """Particles that stay where they are: the first draws decide, and the error says so."""
    ladder = np.linspace(0, 0.2, 9)
    still = [
        run(states=start(400, seed), sweep=lambda x, *_: x, coldness=ladder, rng=seed)
        for seed in range(40)
    ]
    off = [(r.log_z[-1] - exact(0.2)) / r.log_z_error[-1] for r in still]
    assert 0.6 < np.sqrt(np.mean(np.square(off))) < 1.5  # a standard deviation right to 11 %
    moving = run(states=start(400), coldness=ladder)
    assert still[0].log_z_error[-1] > 1.5 * moving.log_z_error[-1]


def test_forbidden_particles_have_no_weight_and_no_descendants():
    made = smc(
        np.arange(8), lambda x: np.where(x % 2, inf, 1.0), lambda x, b, rng: x, ess=0.6, rng=0
    )
    assert made.log_z[-1] == pytest.approx(np.log(0.5) - 1)
    assert (made.states % 2 == 0).all()
    assert_array_equal(made.coldness, [0, 0, 1])  # four of eight are less than 0.6: resampled
    again = smc(
        np.arange(8), lambda x: np.where(x % 2, inf, 1.0), lambda x, b, rng: x,
        coldness=np.unique(made.coldness), rng=0,
    )  # fmt: skip
    assert again.log_z[-1] == made.log_z[-1]
    with pytest.raises(ValueError, match="sweep must not lead to states of energy"):
        smc(
            np.arange(80), lambda x: np.where(x % 8, inf, 1.0),
            lambda x, b, rng: rng.permutation(80), rng=0, steps=99,
        )  # fmt: skip
    with pytest.raises(ValueError, match="must be finite where a weight is, got inf"):
        smc(np.arange(8), lambda x: np.full(8, inf), lambda x, b, rng: x)


def test_levels():
    same = run(start=0.3, final=0.3)
    assert (same.steps, same.log_z[-1], same.log_z_error[-1]) == (0, 0, 0)
    cooled = run(start=-0.2, final=0.1)
    assert (cooled.coldness[0], cooled.coldness[-1]) == (-0.2, 0.1)
    one = run(1, coldness=[0.0, 0.2])
    assert np.isnan(one.log_z_error[-1])
    assert one.log_z[-1] == pytest.approx(-0.2 * energy(start(1))[0])
    assert repr(run(coldness=[0.0, 0.1])).startswith("SMCResult(steps=1, particles=100, coldness=0")


# ---------------------------------------------------------------------------- resuming, Ctrl-C


def check_same(found, want):
    for name in ("coldness", "log_z", "log_z_error", "log_weights", "energies", "states"):
        assert_array_equal(getattr(found, name), getattr(want, name), err_msg=name)
    for name in ("ancestors", "sizes"):
        assert_array_equal(getattr(found, name), getattr(want, name), err_msg=name)
    assert found.rng.bit_generator.state == want.rng.bit_generator.state


@pytest.mark.parametrize("ladder", [None, np.linspace(0, 0.5, 7)])
@pytest.mark.parametrize("at", [0, 2])
def test_an_interrupted_run_goes_on_as_if_it_had_not_been(ladder, at):
    calls = itertools.count()

    def interrupted(spins, coldness, rng):
        if next(calls) == at:
            rng.random(3)
            spins[...] = 1
            raise KeyboardInterrupt
        return sweep(spins, coldness, rng)

    states = start(100)
    options = {"states": states, "coldness": ladder}
    whole = run(**options)
    first = pickle.loads(pickle.dumps(run(**options, sweep=interrupted)))
    assert first.steps == at < whole.steps
    check_same(run(**options | {"states": None}, resume=first), whole)
    check_same(run(**options | {"states": None}, resume=run(**options, steps=at + 1)), whole)
    assert_array_equal(states, start(100))


def test_an_error_that_comes_out_as_0_is_resumed_too():
    """Of six particles the estimate of the variance may be negative on the way."""

    def six(seed, **options):
        x = np.random.default_rng(seed).normal(size=6)
        ladder, draws = np.linspace(0, 2, 4), lambda x, b, rng: rng.normal(size=6)
        return smc(x, np.square, draws, coldness=ladder, ess=1, rng=seed, **options)

    cut = [(seed, six(seed)) for seed in range(100)]
    cut = [(seed, whole) for seed, whole in cut if 0 in whole.log_z_error[1:-1]]
    assert cut
    for seed, whole in cut:
        check_same(six(seed, resume=six(seed, steps=list(whole.log_z_error).index(0, 1))), whole)


def test_a_bar_counts_levels(capsys):
    pytest.importorskip("tqdm")
    made = run(progress=True)
    assert f"{made.steps} steps [" in capsys.readouterr().err
    run(coldness=[0.0, 0.1, 0.2], progress=True)
    assert "2/2" in capsys.readouterr().err


# ---------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"states": 3}, ValueError, r"states must have shape \(n, ...\), n ≥ 1, got shape \(\)"),
        ({"states": np.ones((0, 16))}, ValueError, r"n ≥ 1, got shape \(0, 16\)"),
        ({"energy": 3}, TypeError, "energy must be callable"),
        ({"sweep": 3}, TypeError, "sweep must be callable"),
        ({"sweep": lambda *_: None}, TypeError, "sweep must return the states, got None"),
        ({"sweep": lambda s, *_: s[1:]}, ValueError, r"of shape \(100, 16\), got shape \(99, 16"),
        ({"energy": lambda s: [0.0]}, ValueError, r"must have shape \(100,\), got shape \(1,\)"),
        ({"energy": lambda s: [np.nan] * 100}, ValueError, "must be finite or .inf, got nan"),
        ({"coldness": [0.0, 1.0, 0.5]}, ValueError, "coldness must be strictly increasing"),
        ({"coldness": [0.0, inf]}, ValueError, "coldness must be finite, got .* inf"),
        ({"coldness": 1.0}, ValueError, r"coldness must have shape \(R,\)"),
        ({"coldness": [0.0, 0.5], "start": 0.0}, ValueError, "start must be None beside a ladder"),
        ({"coldness": [0.0, 0.5], "final": 0.5}, ValueError, "final must be None beside a ladder"),
        ({"final": -1.0}, ValueError, "final must be at least start=0, got -1"),
        ({"final": inf}, ValueError, r"final must be in \(-inf, inf\), got inf"),
        ({"start": "x"}, TypeError, "start must be a number"),
        ({"ess": 1.5}, ValueError, r"ess must be in \[0, 1\], got 1.5"),
        ({"ess": 0}, ValueError, r"ess must be in \(0, 1\) without a ladder .*, got 0"),
        ({"steps": -1}, ValueError, "steps must be 0 or more, got -1"),
        ({"rng": "x"}, TypeError, "rng must be"),
        ({"resume": 3}, TypeError, "resume must be an? SMCResult, got int"),
    ],
)
def test_bad_input(change, error, match):
    with pytest.raises(error, match=match):
        run(**change)


def test_other_levels_cannot_resume():
    first = run(coldness=[0.0, 0.1, 0.2])
    assert isinstance(first, SMCResult)
    for other in ({"coldness": [0.0, 0.15, 0.3]}, {"final": 0.1}, {"start": -0.1}):
        with pytest.raises(ValueError, match="resume must have the levels of this run"):
            run(**other, resume=first)
    with pytest.raises(ValueError, match="steps must be at least 2, those of resume, got 1"):
        run(coldness=[0.0, 0.1, 0.2], steps=1, resume=first)
    longer = run(coldness=[0.0, 0.1, 0.2, 0.3], resume=first)
    check_same(longer, run(coldness=[0.0, 0.1, 0.2, 0.3]))
