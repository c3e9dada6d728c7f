"""Tokens drawn by a stage: those of the distribution that it leaves, without one being made."""

import math
import tracemalloc
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from softargmax import Categorical
from softargmax.draws import Keyed
from softargmax.tokens import (
    Ban,
    Chain,
    EtaCutoff,
    MinP,
    Mirostat,
    RepetitionPenalty,
    Temperature,
    TopH,
    TopK,
    TopP,
    Typical,
    chain,
    per_row,
    preset,
)
from softargmax.tokens import _at_once as at_once

WIDTH = 3000
Z = 3 * np.random.default_rng(0).normal(size=(2, 3, WIDTH))
FEW, MANY = TopK(40), TopP(0.999)
AT_ONCE = [
    FEW, MANY, MinP(0.05), MinP(0.0), TopP(0.5, min_keep=3), TopK(2000),
    chain(TopK(50), TopP(0.95), MinP(0.05)),
    chain(Temperature(0.7), TopK(50)),
    chain(TopP(0.9), Temperature(1.5)),
    chain(Temperature(0.7), chain(TopK(50), MinP(0.01)), TopP(0.9), Temperature(2.0)),
    chain(Temperature(0), FEW), chain(FEW, Temperature(0)), chain(FEW, Temperature(math.inf)),
    preset("llama.cpp", defaults=True),
]  # fmt: skip


def both(stage, logits, *args, seed=1, **law):
    """The draw of a stage, that of its distribution, and whether one was made for the first."""
    made = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Categorical, "__init__", counted(Categorical.__init__, made))
        rng = np.random.default_rng(seed)
        got, after = stage.sample(logits, *args, rng=rng, **law), rng.random()
    temperature, history, shape = (*args, *(None, None, ())[len(args) :])
    rng = np.random.default_rng(seed)
    want = stage(Categorical(logits, temperature, **law), history).sample(shape, rng=rng)
    assert after == rng.random()  # so much of the noise, and no more
    return got, want, not made


def counted(function, calls):
    def call(*args, **named):
        calls.append(args)
        return function(*args, **named)

    return call


def check(stage, logits, *args, **law):
    """Check that both are equal, in type too, and return whether no distribution was made."""
    got, want, sooner = both(stage, logits, *args, **law)
    assert type(got) is type(want)
    assert got.dtype == want.dtype
    assert_array_equal(got, want)
    return sooner


@pytest.mark.parametrize("stage", AT_ONCE, ids=repr)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("temperature", [None, 1, 0.8, 40.0, np.float32(2), 0.0, math.inf, 1e-25])
def test_a_draw_is_that_of_the_distribution(stage, dtype, temperature):
    z = Z.astype(dtype)
    for seed in range(5):
        assert check(stage, z[0, 0], temperature, seed=seed)
    assert check(stage, z[0], temperature)
    assert check(stage, z, temperature)


def test_rows_are_long_from_1024_categories_on_and_generators_of_any_class():
    class Own(np.random.Generator):
        pass

    assert check(MANY, z[:1024].copy())
    want = FEW(Categorical(Z[0])).sample(rng=np.random.default_rng(3))
    assert_array_equal(FEW.sample(Z[0], rng=Own(np.random.PCG64(3))), want)
    assert FEW.sample(Z[0, 0], rng=Own(np.random.PCG64(3))) == want[0]


@pytest.mark.parametrize("count", [1, 2, 255, 256, 257, 1024, 2999, 3000])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_any_number_of_tokens_may_be_left(count, dtype):
    z = Z[0, 0].astype(dtype)
    for seed in range(9):
        assert check(TopK(count), z, seed=seed)
        assert check(TopK(count), np.full(WIDTH, -3, dtype), seed=seed)


@given(
    st.lists(
        st.sampled_from([-math.inf, -1e4, -40.0, -0.0, 0.0, 1.0, 5.0]), min_size=1, max_size=9
    ),
    st.sampled_from(AT_ONCE),
    st.floats(0, 1, exclude_max=True),
    st.integers(0, 2**32),
)
def test_rows_with_ties_and_without_support(values, stage, temperature, seed):
    z = np.resize(values, 1100)
    if z.max() > -math.inf:
        assert check(stage, z.astype(np.float32), temperature, seed=seed) or temperature <= 1e-30


def test_gaps_beyond_the_largest_number():
    z = np.where(Z[0, 0] > 0, 3e38, -3e38).astype(np.float32)
    for seed in range(9):  # d = -7.5, or -inf where the gap overflows
        assert check(chain(Temperature(8e8), MinP(1e-6)), z, 1e29, seed=seed)


def test_each_row_has_parameters_of_its_own():
    stage = chain(TopK(np.array([[3], [500]])), TopP(np.array([0.5, 0.9, 0.99])))
    assert check(stage, Z)
    assert check(MinP(np.array([0.5, 0.01, 0.0])), Z[0])
    rng = np.random.default_rng(0)
    for call in (lambda: FIVE.sample(Z, rng=rng), lambda: FIVE(Categorical(Z))):
        with pytest.raises(ValueError, match=r"p must fit the batch axes \(2, 3\)"):
            call()


FIVE = TopP(np.full(5, 0.5))


@dataclass(frozen=True, eq=False, repr=False)
class Own(TopK):
    """A stage that does more than a truncation does."""

    def __call__(self, dist, history=None):
        return super().__call__(dist.tempered(0.1), history)


class Bad(TopK):
    """A truncation of a user's whose bound is an error."""

    def _bound(self, _scores, _parameter):
        raise ArithmeticError("no bound")


class Colder(Chain):
    def __call__(self, dist, history=None):
        return super().__call__(dist.tempered(0.1), history)


class Array(np.ndarray):
    """An array of another type."""


class Cold(Temperature):
    def __call__(self, dist, history=None):
        return dist.tempered(1e-3)


z = Z[0, 0]
ROWS = np.array([0.5, 1.0, 2.0])


@pytest.mark.parametrize(
    ("stage", "args", "law"),
    [
        (chain(), (z,), {}),
        (Temperature(0.5), (z,), {}),
        (Own(50), (z,), {}),
        (chain(Own(50)), (z,), {}),
        (Colder((FEW,)), (z,), {}),
        (chain(Colder((FEW,)), MANY), (z,), {}),
        (chain(Cold(1.0), FEW), (z,), {}),
        (Typical(0.9), (z,), {}),
        (chain(EtaCutoff(1e-3), TopK(9)), (z,), {}),
        (TopH(0.5), (Z[0],), {}),
        (chain(FEW, Cold(1.0)), (z,), {}),
        (chain(Temperature(ROWS), FEW), (Z[0],), {}),
        (chain(Temperature(0.5), Temperature(0.5), FEW), (z,), {}),
        (chain(Ban([0]), FEW), (z,), {}),
        (chain(FEW, Mirostat(2.0)), (z,), {}),
        (chain(RepetitionPenalty(2.0), FEW), (z, 0.5, [int(z.argmax())]), {}),
        (per_row([FEW, MANY, TopP(0.3)]), (Z[0],), {}),
        (FEW, (z, None, None, 4), {}),
        (FEW, (z, None, None, 1), {}),
        (FEW, (z, None, None, np.int64(2)), {}),
        (FEW, (Z, 0.5, None, (2, 1)), {}),
        (FEW, (Z[0], ROWS), {}),
        (FEW, (z,), {"coldness": -0.3}),
        (FEW, (z,), {"mask": z < 3}),
        (FEW, (z,), {"prior": np.exp(-z)}),
        (FEW, (z[:1023].copy(),), {}),
        (FEW, (z.view(Array),), {}),
        (FEW, (np.empty((0, WIDTH)),), {}),
        (FEW, (np.frombuffer(b"?" + z.tobytes(), np.float64, offset=1),), {}),
        (FEW, (z.astype(np.float16),), {}),
        (FEW, (z.astype(">f8"),), {}),
        (FEW, (z.tolist(),), {}),
        (FEW, (z[::2],), {}),
        (FEW, (Z[0].T.copy().T,), {}),
        (FEW, (z, np.array(0.5)), {}),
    ],
)
def test_all_else_goes_by_way_of_the_distribution(stage, args, law):
    assert not check(stage, *args, **law)


SOURCES = {
    "seed": lambda: 0,
    "bit generator": lambda: np.random.PCG64(3),
    "seed sequence": lambda: np.random.SeedSequence(3),
    "seeds": lambda: [1, 2, 3],
    "array of seeds": lambda: np.array([1, 2, 3]),
    "generators": lambda: [np.random.default_rng(i) for i in range(3)],
    "keyed": lambda: Keyed(2),
}


@pytest.mark.parametrize("source", SOURCES)
def test_any_source_of_randomness(source, monkeypatch):
    make, made = SOURCES[source], []
    for stage in (FEW, MANY, chain(TopP(0.9), Temperature(2.0))):
        want = stage(Categorical(Z[0])).sample(rng=make())
        with monkeypatch.context() as patch:
            patch.setattr(Categorical, "__init__", counted(Categorical.__init__, made))
            got = stage.sample(Z[0], rng=make())
        assert_array_equal(got, want)
        assert got.dtype == want.dtype
    assert bool(made) == (source == "keyed")
    assert 0 <= FEW.sample(z) < WIDTH
    for bad in ([1, 2], -1, "seed"):
        with pytest.raises((TypeError, ValueError)) as want:
            FEW(Categorical(Z[0])).sample(rng=bad)
        with pytest.raises((TypeError, ValueError)) as got:
            FEW.sample(Z[0], rng=bad)
        assert str(got.value) == str(want.value)


@pytest.mark.frameworks
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
@pytest.mark.parametrize("stage", [FEW, MANY, preset("llama.cpp", defaults=True)], ids=repr)
def test_tensors_on_the_cpu_are_drawn_from_at_once(stage, dtype, monkeypatch):
    torch = pytest.importorskip("torch")
    logits, made = torch.tensor(Z[0], dtype=getattr(torch, dtype)), []
    for source in (*SOURCES.values(), lambda: torch.Generator().manual_seed(3)):
        one = not isinstance(source(), list | np.ndarray)
        for own in (logits, logits[0]) if one else (logits,):
            rng = source()
            want = stage(Categorical(own, 0.7)).sample(rng=rng)
            with monkeypatch.context() as patch:
                patch.setattr(Categorical, "__init__", counted(Categorical.__init__, made))
                got = stage.sample(own, 0.7, rng=source())
            assert type(got) is torch.Tensor
            assert got.dtype == want.dtype == torch.int64
            assert got.shape == want.shape
            assert (got == want).all()
    assert (len(made) == 2) == (dtype != "float16")
    got = stage.sample(logits.clone().requires_grad_(), rng=1)
    assert (got == stage(Categorical(logits)).sample(rng=1)).all()


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("logits", [z, Z[0]], ids=["row", "batch"])
def test_bad_logits_are_named_and_cost_no_noise(bad, logits):
    logits = logits.copy()
    logits[-1 if logits.ndim > 1 else slice(None)][-WIDTH if bad == -math.inf else 7 :] = bad
    with pytest.raises(ValueError, match=r"logits|every category") as want:
        Categorical(logits)
    rng = np.random.default_rng(0)
    for stage in (FEW, FIVE):
        with pytest.raises(ValueError, match=r"logits|every category") as got:
            stage.sample(logits, rng=rng)
        assert str(got.value) == str(want.value)
    assert rng.random() == np.random.default_rng(0).random()


def test_bad_arguments_are_named_and_cost_no_noise():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"temperature must be in \[0, inf\], got -1"):
        FEW.sample(z, -1, rng=rng)
    with pytest.raises(TypeError, match="pass temperature or coldness, not both"):
        FEW.sample(z, 1.0, coldness=1.0, rng=rng)
    with pytest.raises(TypeError, match=r"did you mean rng=\?"):
        FEW.sample(z, seed=1)
    with pytest.raises(TypeError, match="logits must be"):
        FEW.sample(Categorical(z), rng=rng)
    with pytest.raises(TypeError, match="shape must be an int or a tuple of ints"):
        FEW.sample(z, shape=np.array([2, 3]), rng=rng)
    with pytest.raises(ArithmeticError, match="no bound"):
        Bad(5).sample(z, rng=rng)
    assert rng.random() == np.random.default_rng(0).random()


def test_logits_are_read_and_neither_copied_nor_kept(rows_engine):
    big = np.random.default_rng(0).normal(size=200_000)
    big.flags.writeable = False
    before, rng = big.copy(), np.random.default_rng(0)
    stage = chain(TopK(50), MinP(0.01))
    stage.sample(big, 0.8, rng=rng)
    tracemalloc.start()
    stage.sample(big, 0.8, rng=rng)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < big.nbytes / (4 if rows_engine == "numba" else 1)
    assert_array_equal(big, before)
    assert big.base is None
    assert not big.flags.writeable


def test_temperatures_before_and_after_are_found():
    rules, before, after = chain(Temperature(0.5), TopK(3), TopP(0.5), Temperature(3))._plan
    assert (before, len(rules), after) == (0.5, 2, 3.0)
    assert chain(TopK(3), Temperature(0.5), TopP(0.5))._plan is None
    assert at_once._times(at_once.ONE, 0.25).coldness == 4
