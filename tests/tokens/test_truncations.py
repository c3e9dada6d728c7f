"""Truncations: truth tables, definitions by brute force, properties, long rows, transformers."""

import copy
import gc
import math
import pickle
import weakref
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal

from softargmax import Categorical
from softargmax._core.state import State
from softargmax._core.thresholds import ArrayScores
from softargmax._rows.rows import ONE as WARM
from softargmax._rows.sparse import Sparse
from softargmax._rows.thresholds import RowScores
from softargmax._rows.ways import law_of
from softargmax.categorical import state_of
from softargmax.tokens import (
    Chain,
    EpsilonCutoff,
    EtaCutoff,
    LogitBias,
    MinP,
    PLess,
    Stage,
    TopH,
    TopK,
    TopNSigma,
    TopP,
    Truncation,
    Typical,
    chain,
)
from statistical import check_draws

inf = math.inf
LONG = 1500  # categories of a row that is kept compactly


def survivors(stage, weights, **more):
    """Indices of what is left of weights."""
    return np.flatnonzero(stage(Categorical.from_weights(weights), **more).probs).tolist()


UNIFORM, ONE, FALLING = [1, 1, 1, 1], [0, 1, 0, 0], [8, 4, 2, 1, 1]


@pytest.mark.parametrize(
    ("stage", "weights", "left"),
    [
        (TopK(1), FALLING, [0]),
        (TopK(2), FALLING, [0, 1]),
        (TopK(4), FALLING, [0, 1, 2, 3, 4]),  # the fourth is tied
        (TopK(5), FALLING, [0, 1, 2, 3, 4]),
        (TopK(99), FALLING, [0, 1, 2, 3, 4]),
        (TopK(3), [8, 0, 2, 0], [0, 2]),
        (TopK(1), UNIFORM, [0, 1, 2, 3]),
        (TopK(2), ONE, [1]),
        (TopK(1, min_keep=3), FALLING, [0, 1, 2]),
        (TopP(0), FALLING, [0]),
        (TopP(0.5), FALLING, [0]),  # exactly on the border
        (TopP(0.500001), FALLING, [0, 1]),
        (TopP(0.75), FALLING, [0, 1]),
        (TopP(0.875), FALLING, [0, 1, 2]),
        (TopP(0.9), FALLING, [0, 1, 2, 3, 4]),  # ties together
        (TopP(1), FALLING, [0, 1, 2, 3, 4]),
        (TopP(1 - 1e-12), FALLING, [0, 1, 2, 3, 4]),
        (TopP(1e-12), FALLING, [0]),
        (TopP(0.1), UNIFORM, [0, 1, 2, 3]),
        (TopP(0.5), ONE, [1]),
        (TopP(1), [1, 1e-18, 1e-300, 0], [0, 1, 2]),
        (TopP(0.5, min_keep=3), FALLING, [0, 1, 2]),
        (MinP(0), [1, 1e-18, 1e-300, 0], [0, 1, 2]),
        (MinP(0.125), FALLING, [0, 1, 2, 3, 4]),
        (MinP(0.25), FALLING, [0, 1, 2]),
        (MinP(0.250001), FALLING, [0, 1]),
        (MinP(0.5), FALLING, [0, 1]),
        (MinP(1), FALLING, [0]),
        (MinP(1e-12), [1, 2e-12, 5e-13], [0, 1]),
        (MinP(1), UNIFORM, [0, 1, 2, 3]),
        (MinP(0.9), ONE, [1]),
        (MinP(1, min_keep=2), FALLING, [0, 1]),
        # H = 1.2997, surprises 0.693, 1.386, 2.079, 2.773, 2.773
        (Typical(0), FALLING, [1]),
        (Typical(0.25), FALLING, [1]),
        (Typical(0.26), FALLING, [0, 1]),
        (Typical(0.75), FALLING, [0, 1]),
        (Typical(0.76), FALLING, [0, 1, 2]),
        (Typical(1), FALLING, [0, 1, 2, 3, 4]),
        (Typical(0.1), UNIFORM, [0, 1, 2, 3]),
        (Typical(0.9), ONE, [1]),
        (Typical(0, min_keep=2), FALLING, [0, 1]),
        (EpsilonCutoff(0), [1, 1e-18, 0], [0, 1]),
        (EpsilonCutoff(0.0625), FALLING, [0, 1, 2, 3, 4]),
        (EpsilonCutoff(0.125), FALLING, [0, 1, 2]),
        (EpsilonCutoff(0.1250001), FALLING, [0, 1]),
        (EpsilonCutoff(1), FALLING, [0]),
        (EpsilonCutoff(0.3), UNIFORM, [0, 1, 2, 3]),  # never none
        (EpsilonCutoff(1), ONE, [1]),
        # uniform: H = log 4, min(ε, √ε/4)
        (EtaCutoff(0.01), UNIFORM, [0, 1, 2, 3]),
        (EtaCutoff(1), UNIFORM, [0, 1, 2, 3]),
        # √ε·e^-H = 0.2726·√ε; for ε = 0.25 that is 0.1363
        (EtaCutoff(0.25), FALLING, [0, 1]),
        (EtaCutoff(0.2), FALLING, [0, 1, 2]),
        (EtaCutoff(0), [1, 1e-18, 0], [0, 1]),
        (EtaCutoff(0.5), ONE, [1]),
        # d = 0, -log 2 … in steps; σ of (0, 1, 2, 3, 3)·log 2 is 1.1662·log 2
        (TopNSigma(0), FALLING, [0]),
        (TopNSigma(0.8), FALLING, [0]),
        (TopNSigma(0.9), FALLING, [0, 1]),
        (TopNSigma(1.8), FALLING, [0, 1, 2]),
        (TopNSigma(3), FALLING, [0, 1, 2, 3, 4]),
        (TopNSigma(0), UNIFORM, [0, 1, 2, 3]),
        (TopNSigma(1), ONE, [1]),
        # H = 1.2997; the prefixes have 0, 0.6365, 0.9557, 1.1342, 1.2997
        (TopH(0), FALLING, [0]),
        (TopH(0.48), FALLING, [0]),
        (TopH(0.5), FALLING, [0, 1]),
        (TopH(0.74), FALLING, [0, 1, 2]),
        (TopH(0.9), FALLING, [0, 1, 2, 3, 4]),
        (TopH(1), FALLING, [0, 1, 2, 3, 4]),
        (TopH(0.5), UNIFORM, [0, 1, 2, 3]),
        (TopH(0.5), ONE, [1]),
        # Σp² = 0.3359 and 1/4
        (PLess(), FALLING, [0]),
        (PLess(), UNIFORM, [0, 1, 2, 3]),
        (PLess(), ONE, [1]),
        (PLess(), [4, 3, 2, 1], [0, 1]),  # Σp² = 0.3, on the border
    ],
    ids=str,
)
def test_truth_table(stage, weights, left):
    assert survivors(stage, weights) == left
    # and the same within a row that is long enough to be kept compactly
    long = np.zeros(LONG)
    places = np.arange(len(weights)) * 300 + 7
    long[places] = weights
    assert survivors(stage, long) == places[left].tolist()


# ---------------------------------------------------------------------------- by brute force


def kept_by(rule, p, **setting):
    """The definitions, one token at a time."""
    alive = [i for i in range(len(p)) if p[i] > 0]
    h = -math.fsum(p[i] * math.log(p[i]) for i in alive)

    def mass_above(i, key):
        return math.fsum(p[j] for j in alive if key(j) > key(i))

    match rule:
        case "TopK":
            level = sorted((p[i] for i in alive), reverse=True)[: setting["x"]][-1]
            return {i for i in alive if p[i] >= level}
        case "TopP":
            return {i for i in alive if mass_above(i, lambda j: p[j]) < setting["x"]}
        case "MinP":
            return {i for i in alive if p[i] >= setting["x"] * max(p)}
        case "Typical":
            near = {i: -abs(-math.log(p[i]) - h) for i in alive}
            return {i for i in alive if mass_above(i, near.get) < setting["x"]}
        case "EpsilonCutoff":
            return {i for i in alive if p[i] >= setting["x"]}
        case "EtaCutoff":
            level = min(setting["x"], math.sqrt(setting["x"]) * math.exp(-h))
            return {i for i in alive if p[i] >= level}
        case "TopNSigma":
            scores = [math.log(p[i]) for i in alive]
            bound = max(scores) - setting["x"] * np.std(scores)
            # Of two tokens the other one is on the bound of n = 2, up to rounding.
            return {i for i in alive if math.log(p[i]) >= bound - 1e-9}
        case "TopH":
            last = max(p)
            ordered = sorted((p[i] for i in alive), reverse=True)
            for n in range(1, len(ordered) + 1):
                own = np.array(ordered[:n]) / sum(ordered[:n])
                if -(own * np.log(own)).sum() <= setting["x"] * h:
                    last = ordered[n - 1]
            return {i for i in alive if p[i] >= last}
        case "PLess":
            return {i for i in alive if p[i] >= math.fsum(x * x for x in p)}


RULES = {
    "TopK": (TopK, st.integers(1, 12)),
    "TopP": (TopP, st.floats(0.001, 0.999)),
    "MinP": (MinP, st.floats(0.001, 0.999)),
    "Typical": (Typical, st.floats(0.001, 0.999)),
    "EpsilonCutoff": (EpsilonCutoff, st.floats(0.0001, 0.5)),
    "EtaCutoff": (EtaCutoff, st.floats(0.0001, 0.9)),
    "TopNSigma": (TopNSigma, st.floats(0, 4)),
    "TopH": (TopH, st.floats(0.05, 0.95)),
    "PLess": (PLess, None),
}


@pytest.mark.parametrize("rule", RULES)
@given(data=st.data())
def test_definitions(rule, data):
    make, settings = RULES[rule]
    seed = data.draw(st.integers(0, 2**32 - 1))
    n = data.draw(st.integers(1, 12))
    z = np.random.default_rng(seed).normal(0, data.draw(st.sampled_from([0.3, 2, 8])), n)
    z[1:][np.random.default_rng(seed + 1).random(n - 1) < 0.2] = -inf
    setting = {} if settings is None else {"x": data.draw(settings)}
    stage = make(*setting.values())
    dist = Categorical(z, 0.7)
    p = dist.probs.tolist()
    kept = set(np.flatnonzero(stage(dist).probs).tolist())
    expected = kept_by(rule, p, **setting) or {int(np.argmax(p))}
    if rule != "Typical":
        expected |= {int(np.argmax(p))}
    assert kept == expected


# ---------------------------------------------------------------------------- properties

STAGES = [
    TopK(5),
    TopP(0.8),
    MinP(0.1),
    Typical(0.7),
    EpsilonCutoff(0.02),
    EtaCutoff(0.05),
    TopNSigma(1.0),
    TopH(0.6),
    PLess(),
    TopP(0.3, min_keep=4),
    chain(TopK(8), TopP(0.9), MinP(0.05)),
]
IDEMPOTENT = [TopK(5), MinP(0.1), TopK(5, min_keep=7)]
# Rounded: which of two keys within rounding of a bound stays, the order of a sum may decide.
LOGITS = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 4), st.integers(1, 12)),
    elements=st.floats(-30, 30).map(lambda x: round(x, 6)),
)


@pytest.mark.parametrize("stage", STAGES, ids=repr)
@given(z=LOGITS, seed=st.integers(0, 2**32 - 1))
def test_rows_order_and_support(stage, z, seed):
    dist = Categorical(z, 0.9)
    done = stage(dist)
    assert isinstance(done, Categorical)
    assert (done.probs.max(-1) > 0).all()
    assert_allclose(done.probs.sum(-1), 1, rtol=1e-12)
    kept = done.probs > 0
    # those that stay keep their proportions, logits and temperature
    assert_array_equal(done.logits, dist.logits)
    assert_array_equal(done.coldness, dist.coldness)
    expected = np.where(kept, dist.probs, 0)
    assert_allclose(done.probs, expected / expected.sum(-1, keepdims=True), rtol=1e-9)
    # row by row, and in any order of the categories
    for row, own in zip(dist, kept, strict=True):
        assert_array_equal(stage(row).probs > 0, own)
    order = np.random.default_rng(seed).permutation(z.shape[1])
    assert_array_equal(stage(Categorical(z[:, order], 0.9)).probs > 0, kept[:, order])


@pytest.mark.parametrize("stage", IDEMPOTENT, ids=repr)
@given(z=LOGITS)
def test_idempotent(stage, z):
    once = stage(Categorical(z))
    assert_array_equal(stage(once).probs, once.probs)


@pytest.mark.parametrize("rule", [r for r in RULES if r != "PLess"])
@given(z=LOGITS, data=st.data())
def test_monotone_in_the_parameter(rule, z, data):
    make, settings = RULES[rule]
    a, b = sorted((data.draw(settings), data.draw(settings)))
    less, more = (make(x)(Categorical(z)).probs > 0 for x in (a, b))
    if rule in ("MinP", "EpsilonCutoff", "EtaCutoff"):
        less, more = more, less
    assert (less <= more).all()


def settings_of_all():
    for k in (1, 3, 50, 700, 10**6):
        yield TopK(k)
    for p in (0, 0.1, 0.5, 0.9, 0.999, 1):
        yield from (TopP(p), MinP(p), Typical(p), TopH(p))
    for eps in (0, 1e-9, 1e-3, 0.3, 1):
        yield from (EpsilonCutoff(eps), EtaCutoff(eps))
    for n in (0, 1, 2, 100):
        yield TopNSigma(n)
    yield from (PLess(), TopP(0.3, min_keep=20), Typical(0.3, min_keep=20), MinP(0.9, min_keep=7))


def masked_by_whole_arrays(stage, dist):
    """What the rule keeps where all rows are asked at once, as for other libraries."""
    scores = ArrayScores(state_of(dist))
    parameter = next((getattr(stage, name) for name in stage._intervals), None)
    with np.errstate(all="ignore"):
        scores.own_key = None if stage._key is None else stage._key(scores)
        bound = stage._bound(scores, None if parameter is None else np.asarray(parameter, float))
        return scores.keep(bound, stage._least(parameter), exact=stage._exact)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "kind", ["normal", "flat", "sharp", "ties", "masked", "cauchy", "energies"]
)
def test_long_rows_as_short_ones(kind, dtype):
    """Rows that are kept compactly lose what the formula for whole arrays takes away."""
    rng = np.random.default_rng(3)
    shape = (2, LONG)
    z = {
        "normal": lambda: rng.normal(0, 3, shape),
        "flat": lambda: rng.normal(0, 0.5, shape),
        "sharp": lambda: rng.normal(0, 40, shape),
        "ties": lambda: rng.integers(0, 6, shape) * 1.0,
        "masked": lambda: np.where(rng.random(shape) < 0.7, -inf, rng.normal(0, 3, shape)),
        "cauchy": lambda: rng.standard_cauchy(shape),
        "energies": lambda: -abs(rng.integers(-9, 10, shape) * 1.0),  # the largest are -0.0
    }[kind]().astype(dtype)
    for heat in ({"temperature": t} for t in (0, 0.8, [0.5, 50], inf)):
        for prior in (None, rng.random(LONG) < 0.5, rng.random(LONG)):
            dist = Categorical(z, prior=prior, **heat)
            for stage in settings_of_all():
                found = stage(dist)
                kept = state_of(found).kept.mask((2,))
                expected = masked_by_whole_arrays(stage, dist)
                # in float32, what lies on the border may differ
                tolerance = 0 if dtype == np.float64 else 1e-3
                assert (dist.probs * (kept != expected)).sum(-1).max() <= tolerance, (stage, heat)
                if dtype == np.float64:
                    assert_array_equal(kept, expected)


def test_negative_coldness():
    z = np.random.default_rng(0).normal(0, 3, (2, LONG))
    for stage in STAGES:
        assert_allclose(
            stage(Categorical(z, coldness=-1)).probs, stage(Categorical(-z)).probs, rtol=1e-12
        )


def test_top_k_compares_scores_before_they_are_rounded():
    z = np.full(LONG, -50.0, np.float32)
    z[5:8] = np.float32(1) + np.arange(3, dtype=np.float32) * np.float32(2**-23)
    z[0] = 60
    # d of the three is equal in float32
    assert_array_equal(np.flatnonzero(TopK(2)(Categorical(z)).probs), [0, 7])
    assert_array_equal(np.flatnonzero(TopK(2)(Categorical(z[:500])).probs), [0, 7])


def test_wide_gaps_and_peaked_rows():
    z = np.float32([0, -1e19, -2e19, -3e19])
    kept = [TopNSigma(1.0)(Categorical(x, 1.0)).probs for x in (z, z.astype(float))]
    assert_array_equal(kept[0] > 0, kept[1] > 0)
    for pad in (0, LONG):
        peaked = np.append(np.float32([0, -18, -19]), np.full(pad, -inf, np.float32))
        assert np.flatnonzero(TopH(0.5)(Categorical(peaked)).probs).tolist() == [0]


@pytest.mark.parametrize("width", [3, LONG])
def test_a_deviation_whose_square_overflows(width):
    for far in (np.float32(1e38), 1e300):
        z = np.full((2, width), -inf, np.asarray(far).dtype)
        z[:, :3] = [0, -far, -2 * far]  # the deviation is 0.816 far
        for n, left in ((1.0, [0]), (1.3, [0, 1]), (2.4, [0, 1]), (2.5, [0, 1, 2])):
            for dist in (Categorical(z), Categorical(z)[0]):
                alive = TopNSigma(n)(dist).masked([True, True, True] + [False] * (width - 3))
                kept = alive.tempered(math.inf).probs.reshape(-1, width)[0]
                assert np.flatnonzero(kept).tolist() == left


def test_settings_of_each_request():
    z = np.random.default_rng(0).normal([[0], [800], [-800]], 2, (3, LONG))
    for width in (50, LONG):
        dist = Categorical(z[:, :width])
        for make, values in (
            (TopK, np.array([1, 7, 40])),
            (TopP, np.array([0.1, 0.5, 1.0])),
            (MinP, np.array([0.5, 0.1, 0.0])),
            (Typical, [0.1, 0.5, 0.9]),
            (EtaCutoff, [0.1, 0.01, 0.001]),
        ):
            whole = make(values)(dist).probs
            for i in range(3):
                assert_allclose(make(values[i])(dist[i]).probs, whole[i], rtol=1e-12)
        with pytest.raises(ValueError, match=r"p must fit the batch axes \(3,\)"):
            TopP([0.1, 0.2])(dist)


@pytest.mark.parametrize("shape", [(), (1,), (1, 4), (3, 1), (1, 1)])
def test_rows_that_share_logits(shape):
    """Temperatures may widen the batch; the largest of the logits is known by then."""
    offsets = 300 * np.arange(math.prod(shape)).reshape(shape)
    z = np.random.default_rng(0).normal(offsets[..., None], 2, (*shape, LONG))
    heat = np.random.default_rng(1).uniform(0.5, 2, (3, 4) if len(shape) == 2 else (3,))
    each = np.broadcast_to(z, (*heat.shape, LONG)).reshape(-1, LONG)
    biased = LogitBias({3: 0.0}, on="logits")(Categorical(z))
    for dist in (Categorical(z).tempered(heat), biased.tempered(heat)):
        for stage in (MinP(0.001), TopP(0.99), Typical(0.9), chain(TopK(500), MinP(0.001))):
            found = stage(dist)
            rows = zip(each, heat.ravel(), found.probs.reshape(-1, LONG), strict=True)
            for row, t, p in rows:
                assert_allclose(p, stage(Categorical(row, t)).probs, rtol=1e-12)
            assert_array_equal(stage(dist[1]).probs, found[1].probs)
            assert found.sample(rng=0).shape == heat.shape


def test_float32_of_200_000():
    z = np.random.default_rng(0).normal(0, 1, 200_000).astype(np.float32)
    for stage in STAGES:
        found = stage(Categorical(z))
        p = found.probs
        assert p.dtype == np.float32
        assert p.max() > 0
        assert p.sum(dtype=np.float64) == pytest.approx(1, abs=1e-5)
    kept = TopP(0.9)(Categorical(z)).probs > 0
    mass = Categorical(z.astype(float)).probs
    assert mass[kept].sum() == pytest.approx(0.9, abs=1e-4)
    assert z[kept].min() > z[~kept].max()


# ---------------------------------------------------------------------------- compact objects


@pytest.fixture
def compact():
    z = np.random.default_rng(1).normal(0, 2, (3, LONG))
    dist = Categorical(z, [0.5, 1.0, 2.0], prior=np.arange(LONG) % 4 > 0)
    return chain(TopK(40), TopP(0.95))(dist)


def test_compact_is_a_categorical(compact):
    dense = Categorical(compact.logits, compact.temperature, prior=compact.prior)
    fresh = chain(TopK(40), TopP(0.95))(
        Categorical(compact.logits, compact.temperature, prior=np.arange(LONG) % 4 > 0)
    )
    assert_allclose(fresh.log_probs, dense.log_probs, rtol=1e-12)
    assert_allclose(fresh.probs, dense.probs, rtol=1e-12)
    assert_allclose(fresh.entropy(), dense.entropy(), rtol=1e-12)
    assert_allclose(fresh.perplexity(), dense.perplexity(), rtol=1e-12)
    assert_array_equal(fresh.mode(), dense.mode())
    x = np.arange(LONG)[:, None].repeat(3, axis=1)
    assert_allclose(fresh.log_prob(x), dense.log_prob(x), rtol=1e-12)
    assert_allclose(fresh.prob(x), dense.prob(x), rtol=1e-12)
    drawn, log_p = fresh.sample_and_log_prob(1000, rng=0)
    assert drawn.shape == (1000, 3)
    assert drawn.dtype == np.int64
    assert np.isfinite(log_p).all()
    assert_array_equal(log_p, fresh.log_prob(drawn))
    with pytest.raises(AttributeError):  # none of these asks for the dense prior
        State.prior.__get__(state_of(fresh))
    assert_array_equal(fresh.top(3)[0], dense.top(3)[0])
    assert repr(fresh) == repr(dense)
    for other in (pickle.loads(pickle.dumps(fresh)), copy.deepcopy(fresh), copy.copy(fresh)):
        assert_allclose(other.probs, dense.probs, rtol=1e-12)
    assert_allclose(fresh[1].probs, dense.probs[1], rtol=1e-12)
    assert_allclose(fresh.tempered(5.0).probs, dense.tempered(5.0).probs, rtol=1e-12)
    assert_allclose(fresh.masked(x[:, 0] % 2 == 0).probs, dense.masked(x[:, 0] % 2 == 0).probs)
    assert (fresh.batch_shape, fresh.num_categories, fresh.dtype) == ((3,), LONG, np.float64)
    assert_allclose(fresh.kl_divergence(dense), 0, atol=1e-12)
    assert fresh.sample(5, rng=0, method="gumbel").shape == (5, 3)
    assert fresh.log_prob(np.empty((0, 3), int)).shape == (0, 3)
    assert fresh.sample_and_log_prob(0, rng=0)[1].shape == (0, 3)
    with np.errstate(all="raise"):
        again = TopK(40)(Categorical(np.linspace(0, 80, LONG, dtype=np.float32), 0.01))
        assert again.perplexity() >= 1
        assert again.probs.sum() == pytest.approx(1)
    tied = TopK(7)(Categorical(np.repeat([1.0, 0.0], [7, LONG])))
    assert tied.prob(0) == tied.probs[0] == 1 / 7
    with pytest.raises(AttributeError):
        fresh.other  # noqa: B018
    with pytest.raises(AttributeError, match="immutable"):
        fresh.temperature = 3


def test_compact_with_weights_as_prior():
    rng = np.random.default_rng(2)
    weights = rng.random(LONG) * (rng.random(LONG) < 0.8)
    dist = Categorical(rng.normal(size=LONG), 0.7, prior=weights)
    fresh = TopP(0.7)(dist)
    kept = fresh.probs > 0
    assert_array_equal(fresh.prior, np.where(kept, weights, 0))
    assert_allclose(fresh.probs, dist.masked(kept).probs, rtol=1e-12)
    assert_allclose(fresh.tempered(3.0).probs, dist.masked(kept).tempered(3.0).probs, rtol=1e-12)


def test_compact_keeps_digits_next_to_certainty():
    z = np.full(LONG, -inf)
    z[[3, 9]] = [-40.0, 0.0]
    left = TopK(2)(Categorical(z))
    assert left.log_prob(9) == pytest.approx(-4.248354255291589e-18, rel=1e-14, abs=0)
    assert left.entropy() == pytest.approx(1.7418252446695514e-16, rel=1e-13, abs=0)


def test_subnormal_probabilities_are_not_drawn():
    for dtype, gap in ((np.float32, 100.0), (np.float64, 740.0)):
        z = np.array([-gap, 0], dtype)
        assert 0 < RowScores(z).weights[0] < 1e-37
        row = Sparse([law_of(z, WARM, None)], [np.array([4, 7])], 9, dtype, ())
        assert row.draw(0.0) == 7
        assert row.draw_few(np.zeros((1, 1))) == 7


def test_compact_draws(compact):
    draws = compact.sample(100_000, rng=0)
    check_draws(draws, compact.probs, detects=0.02)
    assert_array_equal(compact.sample(7, rng=5), compact.sample(7, rng=5))
    rows = compact.sample(4, rng=[1, 2, 3])
    assert_array_equal(rows[:, 1], compact[1:2].sample(4, rng=[2])[:, 0])
    flat = TopP(0.999)(Categorical(np.random.default_rng(0).normal(size=5000)))
    check_draws(
        [flat.sample(rng=i) // 1000 for i in range(4000)],
        flat.probs.reshape(5, 1000).sum(-1),
        detects=0.1,
    )


def test_rows_that_take_turns_share_no_values():
    dist = Categorical(np.random.default_rng(1).normal(0, 2, (2, LONG)))
    with RowScores(dist.logits[0]) as a, RowScores(dist.logits[1]) as b:
        first = a.weights.copy()
        assert b.entropy == pytest.approx(dist.entropy()[1])
        assert_array_equal(a.weights, first)
        assert a.entropy == pytest.approx(dist.entropy()[0])


def test_draws_of_chosen_uniforms(compact):
    drawn = state_of(compact).law.draw_few(np.array([[0.0] * 3, [np.nextafter(1, 0)] * 3]))
    assert (compact.prob(drawn) > 0).all()


# ---------------------------------------------------------------------------- chains and objects


@pytest.mark.parametrize("batch", [(), (3,)])
@pytest.mark.parametrize("width", [40, 3000])
def test_a_chain_is_its_stages_one_after_another(width, batch):
    """Truncations that follow each other make no distribution between them."""
    rng = np.random.default_rng(0)
    z = rng.normal(0, 3, (*batch, width))
    weights = rng.random((*batch, width)) * (rng.random((*batch, width)) < 0.8)
    each = np.array([0.7, 0.9, 0.95]) if batch else 0.9
    stages = Typical(each), TopK(9), LogitBias({3: 0.5}), TopP(each, min_keep=2), MinP(0.02)
    for dist in (Categorical(z, 0.8), Categorical(z, 0.8, prior=weights)):
        expected = dist
        for stage in stages:
            expected = stage(expected)
        found = chain(*stages)(dist)
        assert_array_equal(found.probs > 0, expected.probs > 0)
        assert_allclose(found.log_probs, expected.log_probs, rtol=1e-13)


def test_chain():
    a, b = TopK(5), TopP(0.9)
    both = chain(a, b)
    assert isinstance(both, Chain)
    assert isinstance(both, Stage)
    dist = Categorical(np.arange(9.0))
    assert_array_equal(both(dist).probs, b(a(dist)).probs)
    assert_array_equal(chain(chain(a), chain(b))(dist).probs, both(dist).probs)
    assert chain()(dist) is dist
    assert chain(a, b) == both != chain(b, a)
    assert eval(repr(both)) == both
    assert hash(both) == hash(chain(a, b))
    assert pickle.loads(pickle.dumps(both)) == both
    assert TopP(np.array([0.1, 0.2])) == TopP([0.1, 0.2]) != TopP([0.1, 0.3])
    assert TopP(0.5) != TopP(np.array([0.5, 0.5])) != TopP(0.5)
    for one, same in (
        (TopP(1), TopP(1.0)),
        (TopP([0.1, 0.2]), TopP(np.array([0.1, 0.2]))),
        (LogitBias({1: 1, 2: 2}), LogitBias({2: 2.0, 1: 1.0})),
    ):
        assert one == same
        assert hash(one) == hash(same)
    with pytest.raises(TypeError, match="stages must be a Stage, got function"):
        chain(a, lambda d: d)


def test_retempering_the_survivors():
    done = TopK(2)(Categorical([0.0, 1.0, 2.0], 0.5))
    assert_allclose(done.tempered(inf).probs, [0, 0.5, 0.5])


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: TopK(0), ValueError, "k must be 1 or more"),
        (lambda: TopK(-1), ValueError, "k must be 1 or more"),
        (lambda: TopK(2.5), TypeError, "k must be an integer"),
        (lambda: TopK([1.5]), TypeError, "k must be integers"),
        (lambda: TopK([0]), ValueError, r"k must be in \[1, inf\)"),
        (lambda: TopP(1.5), ValueError, r"p must be in \[0, 1\], got 1.5"),
        (lambda: TopP(-0.1), ValueError, r"p must be in \[0, 1\], got -0.1"),
        (lambda: TopP(math.nan), ValueError, r"p must be in \[0, 1\], got nan"),
        (lambda: TopP([0.5, 2]), ValueError, r"p must be in \[0, 1\], got 2"),
        (lambda: TopP("a"), TypeError, "p must be a number, got 'a'"),
        (lambda: MinP(2), ValueError, r"p must be in \[0, 1\], got 2"),
        (lambda: Typical(2), ValueError, r"mass must be in \[0, 1\], got 2"),
        (lambda: TopNSigma(-1), ValueError, r"n must be in \[0, inf\), got -1"),
        (lambda: TopP(0.5, min_keep=0), ValueError, "min_keep must be 1 or more"),
        (lambda: TopP(0.5)(np.zeros(3)), TypeError, "dist must be a Categorical, got ndarray"),
    ],
)
def test_bad_input(make, error, message):
    with pytest.raises(error, match=message):
        make()


# ---------------------------------------------------------------------------- other namespaces


@pytest.mark.frameworks
def test_torch_tensors():
    torch = pytest.importorskip("torch")
    z = np.random.default_rng(0).normal(0, 2, (3, 40))
    for stage in STAGES:
        found = stage(Categorical(torch.tensor(z), 0.8)).probs
        assert_allclose(found, stage(Categorical(z, 0.8)).probs, rtol=1e-10)
    compact = TopK(5)(Categorical(np.zeros(LONG)))
    assert compact.tempered(torch.tensor(2.0)).probs.shape == (LONG,)
    assert compact.masked(torch.arange(LONG) < 9).sample(rng=0) < 9
    leaf = torch.tensor(z, requires_grad=True)
    TopP(0.5)(Categorical(leaf)).entropy().sum().backward()
    assert torch.isfinite(leaf.grad).all()


@pytest.mark.frameworks
def test_jax_arrays_under_jit():
    jax = pytest.importorskip("jax")
    z = np.random.default_rng(0).normal(0, 2, (3, 40)).astype(np.float32)
    each = [TopK(np.array([1, 5, 9])), TopP(np.array([0.1, 0.5, 0.9]))]
    for stage in [*STAGES, *each]:
        found = jax.jit(lambda x, s=stage: s(Categorical(x, 0.8)).probs)(z * jax.numpy.ones(()))
        assert_allclose(found, stage(Categorical(z, 0.8)).probs, rtol=1e-4, atol=1e-6)


WARPERS = {
    "TopK": (lambda w: w.TopKLogitsWarper(50), TopK(50)),
    "TopP": (lambda w: w.TopPLogitsWarper(0.9), TopP(0.9)),
    "MinP": (lambda w: w.MinPLogitsWarper(0.05), MinP(0.05)),
    "Typical": (lambda w: w.TypicalLogitsWarper(0.8), Typical(0.8)),
    "Epsilon": (lambda w: w.EpsilonLogitsWarper(0.002), EpsilonCutoff(0.002)),
    "Eta": (lambda w: w.EtaLogitsWarper(0.002), EtaCutoff(0.002)),
}


@pytest.mark.frameworks
@pytest.mark.parametrize("names", [*([n] for n in WARPERS), ["TopK", "TopP", "MinP"]], ids=str)
def test_transformers(names):
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    z = np.random.default_rng(4).normal(0, 2.5, (10_000, 200))
    dist = chain(*(WARPERS[n][1] for n in names))(Categorical(z))
    theirs = torch.tensor(z)
    for name in names:
        theirs = WARPERS[name][0](transformers.generation.logits_process)(None, theirs)
    p = torch.softmax(theirs, -1).numpy()
    assert_array_equal(dist.probs > 0, p > 0)
    assert_allclose(dist.probs, p, rtol=0, atol=1e-6)


SAMPLERS = {
    "top_k": (TopK(40), (40,)),
    "top_p": (TopP(0.9), (0.9, 1)),
    "min_p": (MinP(0.05), (0.05, 1)),
    "typical": (Typical(0.8), (0.8, 1)),
    "top_n_sigma": (TopNSigma(1.0), (1.0,)),
}


@pytest.mark.frameworks
@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("scale", [0.5, 2.5])
def test_llama_cpp(name, scale):
    ctypes, lib = pytest.importorskip("ctypes"), pytest.importorskip("llama_cpp")
    stage, arguments = SAMPLERS[name]
    sampler = getattr(lib, f"llama_sampler_init_{name}")(*arguments)
    rng, width = np.random.default_rng(5), 2000
    for _ in range(200):
        z = rng.normal(0, scale, width).astype(np.float32)
        table = np.zeros(width, [("id", np.int32), ("logit", np.float32), ("p", np.float32)])
        table["id"], table["logit"] = np.arange(width), z
        pointer = table.ctypes.data_as(ctypes.POINTER(lib.llama_token_data))
        candidates = lib.llama_token_data_array(pointer, width, -1, False)
        lib.llama_sampler_apply(sampler, ctypes.byref(candidates))
        left = table[: candidates.size]
        theirs = np.zeros(width, bool)  # top_n_sigma leaves all, some of them at -inf
        theirs[left["id"][np.isfinite(left["logit"])]] = True
        exact = Categorical(z.astype(float))
        ours = stage(Categorical(z)).probs > 0
        reference = stage(exact).probs > 0
        assert exact.probs[ours != theirs].sum() < 1e-3
        assert exact.probs[ours != reference].sum() < 1e-3


@pytest.mark.parametrize("width", [2, 3000])
def test_top_h_where_the_entropy_is_next_to_0(width):
    z = np.full(width, -inf)
    z[:2] = 0, -38
    assert TopH(0.5)(Categorical(z)).probs[1] == 0


@dataclass(frozen=True, eq=False, repr=False)
class Share(Truncation):
    p: Any
    q: Any = 0.5
    _intervals: ClassVar = {"p": "[0, 1]", "q": "[0, 1]"}

    def _bound(self, scores, parameter):
        return scores.xp.log(parameter * self.q)


def test_a_stage_of_ones_own_with_two_numbers_is_copied_and_not_kept_alive():
    dist = Categorical(np.log(np.arange(1.0, 2001.0)))
    stage = Share(1.0)
    assert np.count_nonzero(stage(dist).probs) == 1001
    for same in (pickle.loads(pickle.dumps(stage)), copy.copy(stage)):
        assert same == stage
        assert_array_equal(same(dist).probs, stage(dist).probs)
    gone = weakref.ref(stage)
    del stage, same
    gc.collect()
    assert gone() is None


def test_an_array_of_a_stage_goes_with_it():
    dist = Categorical(np.zeros((2, 2000)))
    gc.disable()  # no circle that only the collector would find
    try:
        for make in (Typical, lambda mass: chain(TopK(3), Typical(mass))):
            stage = make(np.array([0.5, 0.9]))
            stage(dist)
            gone = weakref.ref(stage.mass if hasattr(stage, "mass") else stage.stages[1].mass)
            del stage
            assert gone() is None
    finally:
        gc.enable()


def test_a_subclass_that_does_more_does_it_in_chains_too():
    class Flat(TopK):
        def __call__(self, dist, history=None):
            return super().__call__(dist, history).tempered(math.inf)

    dist = Categorical.from_weights(np.arange(1.0, 2000.0))
    for stage in (Flat(4), chain(Flat(4)), chain(TopP(0.9), Flat(4))):
        assert_array_equal(stage(dist).probs[-5:], [0, 0.25, 0.25, 0.25, 0.25])
