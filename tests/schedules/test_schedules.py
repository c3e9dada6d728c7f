"""Schedules: closed forms, ends, steps of every kind, joins, and agreement with optax."""

import copy
import dataclasses
import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from softargmax.schedules import (
    ByRemaining,
    Clipped,
    Constant,
    Cosine,
    Cycle,
    Exponential,
    GeneralizedAnnealing,
    Geometric,
    Joined,
    Linear,
    LinearColdness,
    Logarithmic,
    Polynomial,
    Schedule,
)

inf = math.inf
RAMPS = [
    Linear(2.0, 0.1, 7),
    Linear(0.0, 3.0, 0.3),
    Polynomial(2.0, 0.1, 7, 3),
    Polynomial(0.1, 2.0, 1e300, 0.25),
    Cosine(2.0, 0.0, 1000),
    Cosine(0.1, 2.0, 3),
    Geometric(2.0, 0.1, 7),
    Geometric(1e-300, 1e300, 11),
    LinearColdness(2.0, 0.1, 7),
    LinearColdness(0.1, 2.0, 7),
    LinearColdness(inf, 0.1, 7),
    LinearColdness(0.1, inf, 7),
    LinearColdness(5e-324, 1e308, 3),
]
FALLING = [
    Exponential(3.0, 0.9),
    Exponential(1e300, 1e-3, steps=2),
    Logarithmic(3.0),
    GeneralizedAnnealing(5230.0, 2.62),
    GeneralizedAnnealing(1.0, 1),
]
JOINED = Linear(1.0, 0.5, 10).then(Geometric(0.5, 0.01, 90), at=10)
CYCLE = Cycle(Cosine(1.0, 0.0, 5), period=5, decay=0.5)
CLIPPED = [Exponential(2.0, 0.9).clip(0.3, 1.5), Clipped(Logarithmic(1.0), low=0.2), JOINED.clip()]
ALL = [*RAMPS, *FALLING, Constant(0.7), Constant(inf), JOINED, CYCLE, *CLIPPED]


@pytest.mark.parametrize("schedule", RAMPS, ids=repr)
def test_ends_are_exact_and_the_last_value_holds(schedule):
    end = schedule.steps
    past = [end, end * (1 + 1e-15), 2 * end, 1e308]
    assert schedule(0) == schedule.start
    assert_array_equal(schedule(past), [schedule.stop] * 4)


@pytest.mark.parametrize("schedule", RAMPS, ids=repr)
def test_end_is_another_word_for_stop(schedule):
    given = dataclasses.asdict(schedule)
    stop = given.pop("stop")
    assert type(schedule)(end=stop, **given) == schedule
    assert schedule.end == stop
    assert dataclasses.replace(schedule, stop=1.0).end == 1.0
    with pytest.raises(TypeError, match="pass stop or end, not both"):
        type(schedule)(stop=stop, end=stop, **given)
    with pytest.raises(TypeError, match="stop"):
        type(schedule)(**given)


@pytest.mark.parametrize("schedule", [*RAMPS, *FALLING], ids=repr)
def test_monotone_and_within_the_ends(schedule):
    values = schedule(np.linspace(0, 2 * getattr(schedule, "steps", 50), 10_001))
    steps = np.diff(values[np.isfinite(values)])
    rises = getattr(schedule, "stop", 0) > getattr(schedule, "start", 1)
    assert (steps >= 0).all() if rises else (steps <= 0).all()
    if hasattr(schedule, "stop"):
        assert values.min() == min(schedule.start, schedule.stop)
        assert values.max() == max(schedule.start, schedule.stop)


def test_closed_forms():
    t = np.linspace(0, 7, 29)
    x = t / 7
    rng = {"rtol": 1e-14, "atol": 0}
    np.testing.assert_allclose(Linear(2.0, 0.1, 7)(t), 2 - 1.9 * x, **rng)
    np.testing.assert_allclose(Polynomial(2.0, 0.1, 7, 3)(t), 0.1 + 1.9 * (1 - x) ** 3, rtol=1e-13)
    np.testing.assert_allclose(
        Cosine(2.0, 0.1, 7)(t), 0.1 + 1.9 * (1 + np.cos(np.pi * x)) / 2, rtol=1e-13
    )
    np.testing.assert_allclose(Geometric(2.0, 0.1, 7)(t), 2 * 0.05**x, rtol=1e-14)
    np.testing.assert_allclose(LinearColdness(2.0, 0.1, 7)(t), 1 / (0.5 + 9.5 * x), **rng)
    np.testing.assert_allclose(LinearColdness(0.1, 2.0, 7)(t), 1 / (10 - 9.5 * x), **rng)
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(LinearColdness(inf, 0.1, 7)(t), 0.7 / t, **rng)
        np.testing.assert_allclose(Logarithmic(3.0)(t), 3 / np.log1p(t), **rng)
    np.testing.assert_allclose(
        GeneralizedAnnealing(3.0, 2.62)(t), 3 * (2**1.62 - 1) / ((2 + t) ** 1.62 - 1), rtol=1e-13
    )
    np.testing.assert_allclose(GeneralizedAnnealing(3.0, 1)(t), 3 * math.log(2) / np.log(2 + t))
    np.testing.assert_allclose(GeneralizedAnnealing(3.0, 2)(t), 3 / (1 + t), **rng)


def test_particular_values():
    # next to its warm end, where rounding would lead beyond it
    assert LinearColdness(1.9789354582421872, 1e-9, 1.0)(3.6e-207) == 1.9789354582421872
    # and where the quotient of the ends underflows
    far = Geometric(1e-300, 1e300, 2)
    assert far(1) == pytest.approx(1, rel=1e-12, abs=0)
    assert Logarithmic(1.0)(0) == inf
    assert Logarithmic(1.0)(math.e - 1) == pytest.approx(1, rel=1e-15, abs=0)
    assert LinearColdness(inf, inf, 3)([0, 1, 4]).tolist() == [inf, inf, inf]
    assert LinearColdness(0.3, 0.3, 3)([0, 1, 4]).tolist() == [0.3, 0.3, 0.3]
    assert Constant(inf)([0, 10]).tolist() == [inf, inf]
    assert Cosine(1.0, 0.0, 2)(2) == 0
    # 1 - t/steps keeps its digits next to the end, where (1 + cos) / 2 would have none
    near = Cosine(1.0, 0.0, 1.0)(1 - 2.0**-30)
    assert near == pytest.approx((math.pi / 2 * 2.0**-30) ** 2, rel=1e-12, abs=0)
    # and so does the limit q → 1
    a, b = GeneralizedAnnealing(1.0, 1 + 1e-12)(100), GeneralizedAnnealing(1.0, 1)(100)
    assert a == pytest.approx(b, rel=1e-11, abs=0)
    assert GeneralizedAnnealing(1.0, 3)(1e300) == 0


def test_dual_annealing_counts_steps_alike():
    # SciPy: temperature at iteration i is T₀ (2^(q-1) - 1) / ((i + 2)^(q-1) - 1)
    q, start = 2.62, 5230.0
    t1 = math.exp((q - 1) * math.log(2.0)) - 1.0
    for i in (0, 1, 2, 999):
        t2 = math.exp((q - 1) * math.log(float(i) + 2.0)) - 1.0
        assert GeneralizedAnnealing(start, q)(i) == pytest.approx(start * t1 / t2, rel=1e-13, abs=0)


@pytest.mark.parametrize("schedule", ALL, ids=repr)
def test_scalars_arrays_and_lists_agree(schedule):
    steps = [0, 1, 3, 4, 5, 6, 7, 10, 11, 99, 100, 101, 1000]
    whole = schedule(np.array(steps))
    assert whole.dtype == np.float64
    for step, value in zip(steps, whole, strict=True):
        for kind in (int, float, np.int32, np.float32, np.int64, np.float64, np.array):
            assert schedule(kind(step)) == value
            assert np.ndim(schedule(kind(step))) == 0
    assert_array_equal(schedule(steps), whole)
    assert_array_equal(schedule(np.array(steps[:9], np.uint8)), whole[:9])
    assert schedule(np.zeros((2, 0, 3))).shape == (2, 0, 3)
    assert_array_equal(schedule(np.array(steps)[:12].reshape(3, 4)), whole[:12].reshape(3, 4))


def test_a_million_steps_in_one_call():
    steps = np.arange(10**6)
    for schedule in ALL:
        values = schedule(steps)
        assert values.shape == steps.shape
        assert values[123_456] == schedule(123_456)
    assert steps[-1] == 10**6 - 1


@pytest.mark.parametrize("schedule", ALL, ids=repr)
def test_schedules_are_values(schedule):
    made = eval(repr(schedule))
    assert made == schedule
    assert hash(made) == hash(schedule)
    later = pickle.loads(pickle.dumps(schedule))
    assert later == schedule == copy.deepcopy(schedule)
    assert_array_equal(later([0, 17, 900]), schedule([0, 17, 900]))
    with pytest.raises(dataclasses.FrozenInstanceError):
        schedule.start = 3


def test_parameters_are_kept_as_python_numbers():
    made = Linear(np.float32(0.5), np.int64(0), steps=np.int32(9))
    assert repr(made) == "Linear(start=0.5, stop=0, steps=9)"
    assert made == Linear(0.5, 0.0, 9.0) != Linear(0.5, 0.0, 10)
    assert Linear(1, 0, 9) != Cosine(1, 0, 9)


@given(
    st.floats(0, 1e6),
    st.floats(0, 1e6),
    st.floats(1e-3, 1e6),
    st.lists(st.floats(0, 1e9), min_size=1),
)
def test_ramps_stay_within_their_ends(start, stop, steps, at):
    for schedule in (
        Linear(start, stop, steps),
        Cosine(start, stop, steps),
        Polynomial(start, stop, steps, 0.7),
        Geometric(start + 1e-9, stop + 1e-9, steps),
        LinearColdness(start + 1e-9, stop + 1e-9, steps),
    ):
        values = schedule(at)
        low, high = sorted((schedule.start, schedule.stop))
        assert ((values >= low) & (values <= high)).all()


# ---------------------------------------------------------------------------- bounds


def test_exponential_decay():
    t = np.linspace(0, 30, 61)
    np.testing.assert_allclose(Exponential(2.0, 0.9)(t), 2 * 0.9**t, rtol=1e-14)
    np.testing.assert_allclose(Exponential(2.0, 1.1, steps=7)(t), 2 * 1.1 ** (t / 7), rtol=1e-14)
    assert Exponential(0.3, 0.5)(0) == 0.3
    assert Exponential(1e300, 0.5)(2000) == pytest.approx(1e300 * 0.5**1000 * 0.5**1000)
    assert Exponential(1e-300, 2.0)(1990) == pytest.approx(1e-300 * 2.0**995 * 2.0**995)
    assert Exponential(1.0, 0.5)(1e300) == 0
    assert Exponential(1.0, 2.0)(1e300) == inf


@given(st.floats(0, 5), st.floats(0, 5), st.lists(st.floats(0, 1e4), min_size=1))
def test_clipped_is_the_value_between_its_bounds(a, b, steps):
    low, high = sorted((a, b))
    for schedule in (Linear(3.0, 0.5, 100), Exponential(4.0, 0.99), Logarithmic(9.0), CYCLE):
        values = schedule(steps)
        found = schedule.clip(low, high)(steps)
        assert_array_equal(found, np.minimum(np.maximum(values, low), high))
        assert_array_equal(schedule.clip(low)(steps), np.maximum(values, low))
        assert_array_equal(schedule.clip(high=high)(steps), np.minimum(values, high))
    assert Constant(1.0).clip(high, inf)(3) == max(1.0, high)


def test_bounds_go_with_joins_and_cycles():
    schedule = Exponential(1.0, 0.5).clip(0.1).then(Constant(0.7), at=10)
    assert schedule([0, 9, 10]).tolist() == [1.0, 0.1, 0.7]
    again = Cycle(Exponential(1.0, 0.5).clip(0.1), period=5)
    assert again([4, 5, 9]).tolist() == [0.1, 1.0, 0.1]
    assert Clipped(Constant(1.0)) == Constant(1.0).clip() == Clipped(Constant(1.0), 0, inf)
    half = Linear(1.0, 0.0, 100).clip(0.5).by_remaining(100)
    assert half([1.0, 0.7, 0.2]).tolist() == [1.0, 0.7, 0.5]


# ---------------------------------------------------------------------------- joins and cycles


def test_then_starts_the_other_at_its_own_step_0():
    first, second, third = Linear(1.0, 0.5, 20), Geometric(0.5, 0.1, 5), Constant(0.3)
    joined = first.then(second, at=10).then(third, at=30)
    assert isinstance(joined, Joined)
    assert joined([0, 9.5]).tolist() == first([0, 9.5]).tolist()
    assert joined([10, 12, 15, 29]).tolist() == second([0, 2, 5, 19]).tolist()
    assert joined([30, 1000]).tolist() == [0.3, 0.3]
    assert first.then(third, at=0)(0) == 0.3
    nested = first.then(second.then(third, at=20), at=10)
    assert_array_equal(nested(np.arange(50)), joined(np.arange(50)))


def test_cycle():
    ramp = Linear(1.0, 0.0, 4)
    again = Cycle(ramp, period=4)
    t = np.arange(12)
    assert_array_equal(again(t), ramp(t % 4))
    fading = Cycle(ramp, period=4, decay=0.5)
    assert_array_equal(fading(t), ramp(t % 4) * 0.5 ** (t // 4))
    assert Cycle(ramp, period=2.5)(3.0) == ramp(0.5)
    # limits are not spoiled by factors that under- or overflow
    assert Cycle(Logarithmic(1.0), 10, decay=0.5)(10**6) == inf
    assert Cycle(Linear(0.0, 1.0, 10), 10, decay=2.0)(10**6) == 0
    assert Cycle(Linear(1.0, 1.0, 10), 10, decay=0.5)(10**6) == 0


def test_by_remaining():
    schedule = Linear(1.0, 0.0, 100)
    function = schedule.by_remaining(200)
    assert isinstance(function, ByRemaining)
    assert [function(r) for r in (1.0, 0.75, 0.5, 0.0, -0.1)] == [1.0, 0.5, 0.0, 0.0, 0.0]
    assert pickle.loads(pickle.dumps(function)) == function == eval(repr(function))
    assert_array_equal(function(np.array([1.0, 0.75])), [1.0, 0.5])
    with pytest.raises(ValueError, match=r"remaining must be in \(-inf, 1\], got 1.5"):
        function(1.5)


# ---------------------------------------------------------------------------- bad input


@pytest.mark.parametrize("schedule", ALL, ids=repr)
@pytest.mark.parametrize("step", [-1, -0.5, math.nan, inf, [0, -1], np.array([3.0, np.nan])])
def test_bad_steps(schedule, step):
    with pytest.raises(ValueError, match=r"step must be in \[0, inf\), got"):
        schedule(step)


def test_steps_that_are_no_numbers():
    for step in ("3", 1j, None, [1, "a"]):
        with pytest.raises(TypeError, match="step must be"):
            Constant(1.0)(step)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Linear(1, 0, 0), r"steps must be in \(0, inf\), got 0"),
        (lambda: Linear(1, 0, -3), r"steps must be in \(0, inf\), got -3"),
        (lambda: Linear(1, 0, inf), r"steps must be in \(0, inf\), got inf"),
        (lambda: Linear(1, 0, 10**400), r"steps must be in \(0, inf\), got 1000"),
        (lambda: Linear(-1, 0, 5), r"start must be in \[0, inf\), got -1"),
        (lambda: Linear(1, math.nan, 5), r"stop must be in \[0, inf\), got nan"),
        (lambda: Cosine(inf, 0, 5), r"start must be in \[0, inf\), got inf"),
        (lambda: Geometric(0, 1, 5), r"start must be in \(0, inf\), got 0"),
        (lambda: Geometric(1, 0, 5), r"stop must be in \(0, inf\), got 0"),
        (lambda: Geometric(1, 2, 0), r"steps must be in \(0, inf\), got 0"),
        (lambda: Polynomial(1, 0, 5, 0), r"power must be in \(0, inf\), got 0"),
        (lambda: Polynomial(1, 0, 0, 1), r"steps must be in \(0, inf\), got 0"),
        (lambda: LinearColdness(1, 0, 5), r"stop must be in \(0, inf\], got 0"),
        (lambda: LinearColdness(0, 1, 5), r"start must be in \(0, inf\], got 0"),
        (lambda: Logarithmic(0), r"scale must be in \(0, inf\), got 0"),
        (lambda: GeneralizedAnnealing(0, 2), r"start must be in \(0, inf\), got 0"),
        (lambda: GeneralizedAnnealing(1, 0.5), r"q must be in \[1, 3\], got 0.5"),
        (lambda: GeneralizedAnnealing(1, 3.5), r"q must be in \[1, 3\], got 3.5"),
        (lambda: Constant(-1), r"value must be in \[0, inf\], got -1"),
        (lambda: Constant(1).then(Constant(2), at=-1), r"at must be in \[0, inf\), got -1"),
        (lambda: Exponential(0, 0.5), r"start must be in \(0, inf\), got 0"),
        (lambda: Exponential(1, 0), r"decay must be in \(0, inf\), got 0"),
        (lambda: Exponential(1, 0.5, 0), r"steps must be in \(0, inf\), got 0"),
        (lambda: Constant(1).clip(-1), r"low must be in \[0, inf\], got -1"),
        (lambda: Constant(1).clip(0, math.nan), r"high must be in \[0, inf\], got nan"),
        (lambda: Constant(1).clip(2, 1), "low must be at most high=1, got 2"),
        (lambda: Cycle(Constant(1), 0), r"period must be in \(0, inf\), got 0"),
        (lambda: Cycle(Constant(1), 1, 0), r"decay must be in \(0, inf\), got 0"),
        (lambda: Constant(1).by_remaining(0), r"total_steps must be in \(0, inf\), got 0"),
    ],
)
def test_bad_parameters(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Linear("1", 0, 5), "start must be a number, got '1'"),
        (lambda: Linear(1, 0, True), "steps must be a number, got True"),
        (lambda: Constant(None), "value must be a number, got None"),
        (lambda: Constant(1).then(lambda step: 1.0, at=3), "other must be a Schedule, got func"),
        (lambda: Cycle(0.5, 3), "schedule must be a Schedule, got float"),
        (lambda: Clipped(0.5, 3), "schedule must be a Schedule, got float"),
        (lambda: Constant(1).clip("0"), "low must be a number, got '0'"),
        (Schedule, "abstract"),
    ],
)
def test_parameters_of_other_types(make, message):
    with pytest.raises(TypeError, match=message):
        make()


# ---------------------------------------------------------------------------- other namespaces


def test_steps_of_any_namespace():
    xp = pytest.importorskip("array_api_strict")
    for schedule in ALL:
        steps = np.array([0, 3, 12, 99, 500])
        found = schedule(xp.asarray(steps))
        assert found.dtype == xp.float64
        assert_array_equal(np.from_dlpack(found), schedule(steps))


@pytest.mark.frameworks
def test_torch_steps():
    torch = pytest.importorskip("torch")
    for schedule in ALL:
        steps = torch.tensor([0, 3, 12, 99, 500])
        found = schedule(steps)
        assert found.dtype == torch.float64
        np.testing.assert_allclose(found.numpy(), schedule(steps.numpy()), rtol=1e-13, atol=1e-30)


@pytest.mark.frameworks
@pytest.mark.parametrize("wide", [False, True])
def test_optax(wide):
    optax = pytest.importorskip("optax")
    import jax

    ours = [
        Linear(2, 0.1, 70),
        Cosine(2, 0.1, 70),
        Geometric(2, 0.1, 70),
        Polynomial(2, 0.1, 70, 3),
        Exponential(2, 0.05, 70).clip(0.3),
    ]
    theirs = [
        optax.linear_schedule(2, 0.1, 70),
        optax.cosine_decay_schedule(2, 70, alpha=0.05),
        optax.exponential_decay(2, 70, 0.05, end_value=0.1),
        optax.polynomial_schedule(2, 0.1, 3, 70),
        optax.exponential_decay(2, 70, 0.05, end_value=0.3),
    ]
    ours.append(ours[0].then(ours[2], at=30))
    theirs.append(optax.join_schedules([theirs[0], theirs[2]], [30]))
    error = 1e-12 if wide else 2e-6
    with jax.enable_x64(wide):
        steps = jax.numpy.arange(100)
        for mine, other in zip(ours, theirs, strict=True):
            exact = mine(np.arange(100))
            np.testing.assert_allclose(mine(steps), other(steps), rtol=error)
            np.testing.assert_allclose(jax.jit(mine)(steps), exact, rtol=error)
            np.testing.assert_allclose(jax.vmap(mine)(steps), exact, rtol=error)
        assert mine(steps).dtype == (np.float64 if wide else np.float32)
        assert jax.jit(GeneralizedAnnealing(5230.0, 2.62))(0) == 5230
        # As a count -> value under jit, where negative steps cannot be refused.
        joined = optax.join_schedules(ours[:2], [30])
        np.testing.assert_allclose(
            jax.jit(joined)(steps), ours[0].then(ours[1], at=30)(np.arange(100)), rtol=error
        )
        update = optax.scale_by_schedule(ours[0])
        state = update.init({"w": jax.numpy.ones(2)})
        scaled, _ = jax.jit(update.update)({"w": jax.numpy.ones(2)}, state)
        assert_array_equal(scaled["w"], [2, 2])


def test_remaining_progress_meets_whole_steps():
    for total in (7, 1000, 12345, 10**6):
        for at in {total // 3, total // 2, total - 1}:
            function = Constant(0.0).then(Constant(5.0), at=at).by_remaining(total)
            assert function(1 - at / total) == 5
            assert function(1 - (at - 1) / total) == 0


@pytest.mark.frameworks
def test_large_integers():
    assert Linear(1.0, 0.0, 3 * 10**9)(15 * 10**8) == 0.5
    assert Geometric(10**30, 1, 2)(1) == pytest.approx(1e15)
    with pytest.raises(ValueError, match="value must be in"):
        Constant(10**400)
    jax = pytest.importorskip("jax")
    assert Linear(1.0, 0.0, 3 * 10**9)(jax.numpy.asarray(0)) == 1


def test_stable_baselines3_style_functions_give_numbers():
    # It calls the function with a float and takes float() of the answer.
    assert float(Linear(0.9, 0.1, 1000).by_remaining(1000)(0.5)) == 0.5
