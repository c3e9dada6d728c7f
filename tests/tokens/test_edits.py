"""Edits of tokens: temperatures, biases, bans, penalties of the history, XTC."""

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from softargmax import Categorical
from softargmax.categorical import state_of
from softargmax.tokens import (
    DRY,
    XTC,
    Allow,
    Ban,
    BanSequences,
    DynamicTemperature,
    Force,
    FrequencyPenalty,
    LengthDecay,
    LogitBias,
    MinLength,
    MinP,
    NoRepeatNgram,
    PresencePenalty,
    RepetitionPenalty,
    SequenceBias,
    Temperature,
    TopK,
    TopP,
    chain,
)

inf = math.inf
LONG = 1500
Z = np.random.default_rng(0).normal(0, 2, (3, LONG))
HISTORY = np.random.default_rng(1).integers(0, 12, (3, 40))
EDITS = [
    Temperature(0),
    Temperature(0.7),
    Temperature(inf),
    DynamicTemperature(0.5, 1.5),
    LogitBias({3: 2.5, 7: -1.0, 9: -inf}),
    Allow([1, 5, 9, 11, 17]),
    Allow(np.arange(20) % 3 == 0),
    Ban([0, 1, 2]),
    Ban(np.arange(20) % 3 == 0),
    SequenceBias({(3,): 2.5, (*HISTORY[1, -2:], 4): -inf, (9, 9): 1.0}),
    BanSequences([[3], [*HISTORY[1, -2:], 4], [9, 9]]),
    MinLength(41, [2, 5]),
    MinLength(11, 3, of="output", prompt_length=30),
    Force([4, 7], 40),
    LengthDecay(38, math.sqrt(2), 3, of="all"),
    RepetitionPenalty(1.3),
    RepetitionPenalty(1.3, of="prompt", prompt_length=5),
    RepetitionPenalty(0.7, of=[2, 3, 5]),
    FrequencyPenalty(0.2),
    FrequencyPenalty(0.2, last=10),
    FrequencyPenalty(0.2, prompt_length=30),
    PresencePenalty(-0.5),
    NoRepeatNgram(2),
    NoRepeatNgram(1, last=5),
    NoRepeatNgram(2, of="prompt", prompt_length=20),
    DRY(0.8, 1.75, 1),
    DRY(0.8, 1.75, 0),
    DRY(0.8, 1.75, 1, breakers=[3]),
    XTC(0.05, 0.5),
    chain(TopK(15), Temperature(2.0), FrequencyPenalty(0.1), TopP(0.9)),
]
# With something of its own for each of the three rows.
OF_EACH = [
    Temperature([0.0, 0.5, 3.0]),
    DynamicTemperature([0.0, 0.1, 0.5], 2.0, 3.0),
    LogitBias([{3: 2.5}, {}, {7: -1.0, 9: -inf}]),
    Allow([[0, 1, 2], range(20), [5]]),
    Ban([[0, 1, 2], [], [5]]),
    Ban(np.arange(20) % 3 == np.arange(3)[:, None]),
    SequenceBias([{(i,): 1.5, (t, 4): -2.0} for i, t in enumerate(HISTORY[[0, 1, 0], -1])]),
    BanSequences([[], [[3], [HISTORY[1, -1], 4]], [[HISTORY[1, -1], 5]]]),
    MinLength(np.array([39, 40, 41]), [2, 5]),
    MinLength(11, 3, of="output", prompt_length=[29, 30, 31]),
    Force([4, 7], [39, 40, 41]),
    LengthDecay([20, 39, 40], 1.3, [2, 5]),
    RepetitionPenalty([0.8, 1.0, 2.0]),
    RepetitionPenalty(1.3, of="prompt", prompt_length=[1, 4, 9]),
    NoRepeatNgram(2, of="output", prompt_length=[1, 20, 30]),
    NoRepeatNgram(2, of=HISTORY[::-1]),
    XTC([0.0, 0.1, 1.0], [0.2, 1.0, 0.5], then=TopK(5)),
]

BANS = (Allow, Ban, BanSequences, MinLength, NoRepeatNgram)
HEATS = (Temperature, DynamicTemperature)


def widened(x):
    """The same rows of 20 categories within rows that are kept compactly."""
    return np.concatenate([x, np.full((*x.shape[:-1], LONG - x.shape[-1]), -inf)], axis=-1)


@pytest.mark.parametrize("stage", EDITS + OF_EACH, ids=repr)
def test_long_rows_as_short_ones(stage):
    z = Z[:, :20]
    short = stage(Categorical(z, 0.8), HISTORY)
    if isinstance(stage, Allow | Ban) and not isinstance(stage.ids, tuple):
        more = np.zeros((*stage.ids.shape[:-1], LONG - 20), bool)
        stage = type(stage)(np.append(stage.ids, more, axis=-1))
    long = stage(Categorical(widened(z), 0.8), HISTORY)
    assert state_of(long).kept is not None or isinstance(stage, BANS + HEATS)
    assert_allclose(long.probs[:, :20], short.probs, rtol=1e-11, atol=1e-300)
    assert (long.probs[:, 20:] == 0).all()
    assert_allclose(short.probs.sum(-1), 1, rtol=1e-13)
    for i in range(3 if stage in EDITS else 0):  # row by row
        one = stage(Categorical(widened(z)[i], 0.8), HISTORY[i])
        assert_allclose(one.probs, long.probs[i], rtol=1e-11, atol=1e-300)
    drawn, log_p = long.sample_and_log_prob(50, rng=0)
    assert np.isfinite(log_p).all()
    assert (drawn < 20).all()


@pytest.mark.parametrize("stage", EDITS[:-1] + OF_EACH, ids=repr)
def test_an_edit_gives_its_log_probabilities_as_logits(stage):
    given = Categorical(Z[:, :20], 0.8)
    done = stage(given, HISTORY)
    if isinstance(stage, BANS):  # only bans: what is left keeps its logits and its temperature
        left = done.probs > 0
        assert (done.logits[left] == given.logits[left]).all()
        assert done.temperature == 0.8
        return
    if isinstance(stage, HEATS):
        assert done.logits is given.logits
        return
    assert_allclose(done.logits, done.log_probs, rtol=1e-12, atol=1e-15)
    assert done.prior is None
    assert done.temperature == 1


@pytest.mark.parametrize("width", [6, LONG])
@pytest.mark.parametrize(
    "stage",
    [
        Ban([0]),
        Ban(np.arange(6) == 0),
        Allow([1, 2, 4]),
        Allow(np.arange(6) > 0),
        NoRepeatNgram(1),
        BanSequences([[0]]),
        MinLength(9, 0),
        LogitBias({0: -inf, 3: 0.5}),
        SequenceBias({(0,): -inf, (3, 2): 1.0}),
    ],
    ids=repr,
)
def test_at_temperature_0_the_next_best_is_left(stage, width):
    z = np.full((2, width), -inf)
    z[0, :6], z[1, :6] = [3.0, 2.5, 0.0, -1.0, 2.0, -inf], [3.0, 1.0, 1.0, 1.0, 1.0, 0.5]
    if isinstance(stage, Allow | Ban) and not isinstance(stage.ids, tuple):
        stage = type(stage)(np.append(stage.ids, np.zeros(width - 6, bool)))
    greedy = Categorical(z, [0.0, 1.0])
    left = stage(greedy, [[0], [0]]).probs
    assert_array_equal(left[0, :6], [0, 1, 0, 0, 0, 0])
    assert left[1, 0] == 0
    assert_allclose(left[1], stage(greedy[1], [0]).probs, rtol=1e-14)
    last = TopK(1)(greedy)  # and whatever has been dropped stays so
    if not isinstance(stage, LogitBias | SequenceBias | Allow):
        with pytest.raises(ValueError, match="must leave a token, got none in row 0"):
            stage(last, [[0], [0]])


def test_what_changes_nothing_gives_back_what_it_got():
    dist = Categorical(Z[:, :20], 0.8)
    for stage in (Ban([]), LogitBias({}), RepetitionPenalty(1.3), MinLength(1, 0)):
        done = stage(dist, [[]] * 3) if not isinstance(stage, MinLength) else stage(dist, HISTORY)
        assert (done.logits is dist.logits, done.temperature) == (True, 0.8)


# ---------------------------------------------------------------------------- each of them


@pytest.mark.parametrize("heat", [0.0, 0.5, 1.0, inf, np.array([0.0, 0.8, inf])])
def test_temperature_multiplies_what_is_there(heat):
    for first in (0.0, 0.25, inf, np.array([0.0, 0.5, inf]), np.array([2.0, 2.0, 2.0])):
        dist = Categorical(Z[:, :20], first)
        done, both = Temperature(heat)(dist), np.broadcast_arrays(np.float64(first), heat)
        for i in range(3):
            was, factor = (np.broadcast_to(x, 3)[i] for x in both)
            now = was if was in (0, inf) else was * factor
            assert np.broadcast_to(done.temperature, 3)[i] == now
            assert_allclose(done.probs[i], Categorical(Z[i, :20], now).probs, rtol=1e-13)
        assert done.logits is dist.logits
        assert_array_equal(done.tempered(0.8).probs, dist.tempered(0.8).probs)
    for cold in (-2.0, 0.0, -inf, np.array([-1.0, 2.0, inf])):
        done = Temperature(heat)(Categorical(Z[:, :20], coldness=cold))
        for i in range(3):
            was, by = np.broadcast_to(cold, 3)[i], np.broadcast_to(heat, 3)[i]
            now = was if was == 0 or abs(was) == inf else was * (1 / by if by else inf)
            assert np.broadcast_to(done.coldness, 3)[i] == now


@pytest.mark.parametrize("width", [20, LONG])
def test_temperature_of_a_weighted_prior_takes_it_along(width):
    z, prior = Z[:, :width], np.arange(width) % 4
    done = Temperature(0.5)(Categorical(z, 2.0, prior=prior))
    weights = prior**2.0 * np.exp(z)
    assert_allclose(done.probs, weights / weights.sum(-1, keepdims=True), rtol=1e-11)


def test_temperature_rescales_what_it_gets():
    dist = Categorical(Z[0, :20], 0.8)
    assert_allclose(Temperature(0.5)(dist).probs, dist.tempered(0.4).probs, rtol=1e-12)
    assert_allclose(Temperature(0)(dist).probs, dist.tempered(0).probs)
    cut = TopK(3)(dist)
    assert_allclose(Temperature(inf)(cut).probs, cut.masked(cut.probs > 0).tempered(inf).probs)
    after = chain(Temperature(2.0), Temperature(0.5))(dist)
    assert_allclose(after.probs, dist.probs, rtol=1e-12)
    # tokens whose probability is gone stay away
    assert Temperature(inf)(Categorical([0.0, 1.0], 0)).probs.tolist() == [0, 1]


def test_dynamic_temperature():
    dist = Categorical(Z[0, :20], 0.8)
    share = dist.entropy() / math.log(20)
    expected = Temperature(0.5 + 1.0 * share**2)(dist)
    assert_allclose(DynamicTemperature(0.5, 1.5, 2.0)(dist).probs, expected.probs, rtol=1e-12)
    assert DynamicTemperature(0.5, 1.5)(Categorical([1.0, -inf])).probs.tolist() == [1, 0]
    uniform = Categorical(np.zeros(4))
    assert_allclose(DynamicTemperature(0.5, 1.5)(uniform).probs, [0.25] * 4)


def test_bias_bans_and_allowed():
    dist = Categorical.from_weights([4.0, 2.0, 1.0, 1.0])
    assert_allclose(LogitBias({2: math.log(9)})(dist).probs, np.array([4, 2, 9, 1]) / 16)
    assert_allclose(LogitBias({0: -inf})(dist).probs, [0, 0.5, 0.25, 0.25])
    assert_allclose(LogitBias({})(dist).probs, dist.probs, rtol=1e-14)
    assert_allclose(Ban([0, 0, 3])(dist).probs, [0, 2 / 3, 1 / 3, 0])
    assert_allclose(Allow([0, 3])(dist).probs, [0.8, 0, 0, 0.2])
    mask = np.array([[1, 0, 0, 1], [0, 1, 1, 0]], bool)
    both = Allow(mask)(Categorical.from_weights([[4.0, 2.0, 1.0, 1.0]] * 2))
    assert_allclose(both.probs, [[0.8, 0, 0, 0.2], [0, 2 / 3, 1 / 3, 0]])


def test_penalties_against_loops():
    dist = Categorical(Z[:, :20], 0.8)
    for stage, factor, loss in (
        (RepetitionPenalty(1.7), 1.7, lambda n: 0),
        (FrequencyPenalty(0.3), 1.0, lambda n: 0.3 * n),
        (PresencePenalty(0.3), 1.0, lambda n: 0.3 * (n > 0)),
    ):
        for last in (None, 0, 7, 1000):
            stage = type(stage)(*(getattr(stage, n) for n in stage._intervals), last=last)
            scores = dist.log_probs.copy()
            for row, tokens in zip(scores, HISTORY, strict=True):
                seen = tokens if last is None else tokens[len(tokens) - min(last, 40) :]
                for i in range(20):
                    n = int((seen == i).sum())
                    row[i] = row[i] * (factor if n else 1) - loss(n)
            assert_allclose(stage(dist, HISTORY).probs, Categorical(scores).probs, rtol=1e-12)


def test_repetition_does_not_depend_on_the_offset():
    a = RepetitionPenalty(1.5)(Categorical(Z[0, :20]), HISTORY[0]).probs
    b = RepetitionPenalty(1.5)(Categorical(Z[0, :20] + 100), HISTORY[0]).probs
    assert_allclose(a, b, rtol=1e-10)


@given(st.lists(st.integers(0, 3), max_size=15), st.integers(1, 4))
def test_no_repeat_ngram_by_brute_force(tokens, n):
    def repeats(x):
        runs = [tuple((*tokens, x)[i : i + n]) for i in range(len(tokens) - n + 2)]
        return len(tokens) >= n and runs[-1] in runs[:-1]

    expected = [not repeats(x) for x in range(6)]
    found = NoRepeatNgram(n)(Categorical(np.zeros(6)), np.array(tokens, np.int64)).probs > 0
    assert found.tolist() == expected


@given(
    st.lists(st.integers(0, 3), max_size=18),
    st.integers(0, 3),
    st.sampled_from([(), (0,), (1, 3)]),
)
def test_dry_by_brute_force(tokens, allowed, breakers):
    def run(x):
        """The longest suffix of the tokens that an earlier copy, followed by x, repeats.

        It is empty for what only followed another token, and -1 long for what did not.
        """
        best = 0 if x in tokens[1:] and x not in breakers else -1
        for m in range(1, len(tokens)):
            suffix = tokens[-m:]
            if any(t in breakers for t in suffix) or x in breakers:
                break
            for start in range(len(tokens) - m):
                if tokens[start : start + m] == suffix and tokens[start + m] == x:
                    best = m
        return best

    loss = [0.5 * 1.5 ** (run(x) - allowed) if run(x) >= allowed else 0 for x in range(5)]
    stage = DRY(0.5, 1.5, allowed, breakers)
    found = stage(Categorical(np.zeros(5)), np.array(tokens, np.int64))
    assert_allclose(found.probs, Categorical(-np.array(loss)).probs, rtol=1e-12)


def test_n_grams_cost_as_much_as_the_history():
    """Whatever n is: their windows, all at once, would be 100 MB."""
    dist = Categorical(np.zeros(3))
    tokens, stage = np.array([1, 2] * 25_000), NoRepeatNgram(2000)
    tracemalloc.start()
    try:
        left = stage(dist, tokens).probs
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert left.tolist() == [0.5, 0, 0.5]
    assert peak < 10e6


def test_histories_of_every_kind():
    dist, stage = Categorical(Z[:, :20]), FrequencyPenalty(0.5)
    expected = stage(dist, HISTORY).probs
    for history in (HISTORY.tolist(), list(HISTORY), HISTORY.astype(np.int32)):
        assert_array_equal(stage(dist, history).probs, expected)
    ragged = [HISTORY[0], HISTORY[1, :3], []]
    padded = np.full((3, 45), -1)
    padded[0, 5:], padded[1, 42:] = HISTORY[0], HISTORY[1, :3]
    assert_array_equal(stage(dist, ragged).probs, stage(dist, padded).probs)
    assert_allclose(stage(dist, ragged).probs[2], dist.probs[2], rtol=1e-13)
    assert_allclose(stage(dist[0], HISTORY[0]).probs, expected[0], rtol=1e-13)
    before = HISTORY.copy()
    stage(dist, HISTORY)
    assert_array_equal(HISTORY, before)


def test_temperatures_act_on_scores_before_they_are_rounded():
    for width in (1000, 2000):
        z = np.zeros(width, np.float32)
        z[3], z[4] = 1e-7, 2e-7
        assert np.flatnonzero(Temperature(0)(Categorical(z)).probs).tolist() == [4]
        for t in (1e-310, 5e-324, 1e300, inf):
            assert_allclose(
                Temperature(t)(Categorical(z)).probs, Categorical(z, t).probs, rtol=1e-5
            )
        flat = DynamicTemperature(1.0, 0.0)(Categorical(np.zeros(width)))
        assert_allclose(flat.probs, 1 / width)


def test_changes_beyond_the_dtype():
    for width in (1, 100, 5000):
        zeros = Categorical(np.zeros((2, width), np.float32))
        for on in ("log_probs", "logits"):
            p = RepetitionPenalty(1e300, on=on)(zeros, [[0], [0]]).probs  # a logit of 0 stays
            expected = 0 if width > 1 and on == "log_probs" else 1 / width
            assert_allclose(p[:, 0], expected, rtol=1e-6)
        sure = LogitBias({0: 1e300})(Categorical(np.zeros(width, np.float32)))
        assert sure.mode() == 0
        assert sure.probs[0] == 1


def test_dry_of_repetitive_text_is_quick():
    dist, stage = Categorical(np.zeros(4)), DRY(0.01, 1.0001, 2)
    for tokens in ([1] * 20_000, [1, 2] * 10_000):
        left = stage(dist, np.array(tokens))
        expected = tokens[-1] if tokens[0] == tokens[1] else 1
        assert left.probs.argmin() == expected
        assert DRY(0.0)(dist, np.array(tokens)).probs.tolist() == [0.25] * 4


# ---------------------------------------------------------------------------- XTC


@pytest.mark.parametrize(
    ("threshold", "kept"),
    [
        (0.0, [3, 4]),  # all but the least likely, its ties stay
        (0.0625, [3, 4]),
        (0.07, [2, 3, 4]),
        (0.125, [2, 3, 4]),
        (0.2, [1, 2, 3, 4]),
        (0.25, [1, 2, 3, 4]),
        (0.3, [0, 1, 2, 3, 4]),
        (0.5, [0, 1, 2, 3, 4]),
        (1.0, [0, 1, 2, 3, 4]),
    ],
)
def test_xtc_truth_table(threshold, kept):
    dist = Categorical.from_weights([8, 4, 2, 1, 1])
    sure = XTC(threshold, 1.0)(dist)
    assert np.flatnonzero(sure.probs).tolist() == kept
    assert_allclose(sure.probs, dist.masked(np.isin(np.arange(5), kept)).probs, rtol=1e-13)
    assert_allclose(XTC(threshold, 0.0)(dist).probs, dist.probs, rtol=1e-13)
    mixed = XTC(threshold, 0.3)(dist).probs
    assert_allclose(mixed, 0.7 * dist.probs + 0.3 * sure.probs, rtol=1e-12)


def test_xtc_mixes_what_follows():
    dist = Categorical(Z[:, :30])
    then = chain(MinP(0.2), Temperature(0.7))
    sure = XTC(0.1, 1.0)(dist)
    expected = 0.6 * then(dist).probs + 0.4 * then(sure).probs
    assert_allclose(XTC(0.1, 0.4, then=then)(dist).probs, expected, rtol=1e-10)


def test_xtc_keeps_enough():
    for pad in (0, LONG):
        dist = Categorical.from_weights([8, 4, 2, 1, 1] + [0] * pad)
        assert np.flatnonzero(XTC(0.1, 1.0, min_keep=3)(dist).probs).tolist() == [2, 3, 4]
        assert np.flatnonzero(XTC(0.1, 1.0, min_keep=4)(dist).probs).tolist() == [0, 1, 2, 3, 4]
    dist = Categorical(np.random.default_rng(0).normal(size=9000))  # by whole arrays
    sure = XTC(1e-4, 1.0)(dist).probs
    mixed = XTC(1e-4, 0.25)(dist).probs
    assert_allclose(mixed, 0.75 * dist.probs + 0.25 * sure, rtol=1e-10, atol=1e-300)


def test_nothing_follows_xtc():
    end = chain(TopK(5), XTC(0.1, 0.5, then=TopP(0.9)))
    with pytest.raises(ValueError, match="stages must end with XTC, got TopP after it"):
        chain(XTC(0.1, 0.5), TopP(0.9))
    with pytest.raises(ValueError, match="stages must end with XTC, got TopP after it"):
        chain(end, TopP(0.9))
    assert chain(TopK(9), end).final


# ---------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda d: FrequencyPenalty(0.5)(d), ValueError, "history must be given, FrequencyPenalty"),
        (lambda d: DRY(0.5)(d, [[1], [2]]), ValueError, r"each row of a 1-d batch, \(3,\), got 2"),
        (
            lambda d: DRY(0.5)(d, np.zeros((2, 5), int)),
            ValueError,
            r"history must have shape \(3,\)",
        ),
        (lambda d: DRY(0.5)(d, np.zeros((3, 5))), TypeError, "history must be integers"),
        (lambda d: DRY(0.5)(d, 5), TypeError, "history must be integer ids"),
        (lambda d: DRY(0.5)(d, [[1.5], [1], [1]]), TypeError, "history must be 1-d integer ids"),
        (lambda d: DRY(0.5)(d, [[1], [20], [1]]), ValueError, "ids below 20, got 20 in row 1"),
        (lambda d: Ban([20])(d), ValueError, "ids must be ids in 0 … 19, got 20"),
        (lambda d: Ban([-1])(d), ValueError, "ids must be ids in 0 … 19, got -1"),
        (lambda d: LogitBias({20: 1.0})(d), ValueError, "bias must be ids in 0 … 19, got 20"),
        (lambda d: LogitBias({0: inf}), ValueError, r"bias of 0 must be in \[-inf, inf\), got inf"),
        (lambda d: LogitBias([1]), TypeError, "bias must be a mapping"),
        (lambda d: Ban([1.5]), TypeError, "ids must be a sequence of integer ids"),
        (lambda d: Ban(range(20))(d), ValueError, "Ban must leave a token, got none in row 0"),
        (lambda d: Allow([])(d), ValueError, "Allow must leave a token"),
        (lambda d: Allow(np.ones(7, bool))(d), ValueError, "a mask of 20 tokens"),
        (
            lambda d: Allow(np.arange(3)[:, None] != np.ones((1, 20)))(d),
            ValueError,
            "Allow must leave a token, got none in row 1",
        ),
        (lambda d: Allow(np.ones((2, 20), bool))(d), ValueError, "ids must fit the batch axes"),
        (lambda d: LogitBias({1: "a"}), TypeError, "bias of 1 must be a number"),
        (lambda d: Temperature(-1), ValueError, r"t must be in \[0, inf\], got -1"),
        (lambda d: Temperature([1.0, 2.0])(d), ValueError, "t must fit the batch axes"),
        (lambda d: RepetitionPenalty(0), ValueError, r"theta must be in \(0, inf\), got 0"),
        (lambda d: FrequencyPenalty(1, last=-1), ValueError, "last must be 0 or more"),
        (lambda d: NoRepeatNgram(0), ValueError, "n must be 1 or more"),
        (lambda d: DRY(1, 0.5), ValueError, r"base must be in \[1, inf\), got 0.5"),
        (lambda d: XTC(1.5, 1), ValueError, r"threshold must be in \[0, 1\], got 1.5"),
        (lambda d: XTC(0.5, 2), ValueError, r"probability must be in \[0, 1\], got 2"),
        (lambda d: XTC(0.5, 0.5, then=3), TypeError, "then must be a Stage, got int"),
        (lambda d: Temperature(1)(3), TypeError, "dist must be a Categorical, got int"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call(Categorical(Z[:, :20]))


def test_everything_banned_in_a_long_row_is_named():
    with pytest.raises(ValueError, match="Allow must leave a token, got none in row 1"):
        Allow([5])(Categorical(np.where(np.arange(LONG) == [[5], [6], [5]], 0, -inf)))


@pytest.mark.frameworks
def test_torch_tensors():
    torch = pytest.importorskip("torch")
    for stage in EDITS + OF_EACH:
        found = stage(Categorical(torch.tensor(Z[:, :20]), 0.8), torch.tensor(HISTORY))
        same = stage(Categorical(Z[:, :20], 0.8), HISTORY)
        assert isinstance(found.probs, torch.Tensor)
        assert_allclose(found.probs, same.probs, rtol=1e-10, atol=1e-300)


@pytest.mark.frameworks
def test_jax_arrays():
    jax = pytest.importorskip("jax")
    z = jax.numpy.asarray(Z[:, :20])
    compiled = [
        Temperature([0.0, 0.5, 3.0]),
        DynamicTemperature(0.5, 1.5),
        LogitBias({3: 2.5, 7: -1.0, 9: -inf}),
        SequenceBias([{(i,): 1.5, (t, 4): -2.0} for i, t in enumerate(HISTORY[:, -1])]),
        Force([4, 7], [39, 40, 41]),
        LengthDecay([20, 39, 40], 1.3, [2, 5]),
        RepetitionPenalty([0.8, 1.0, 2.0], of="output", prompt_length=[1, 4, 9]),
        NoRepeatNgram(2, of=HISTORY[::-1]),
        DRY(0.8, 1.75, 0),
        XTC([0.0, 0.1, 1.0], [0.2, 1.0, 0.5], then=TopK(5)),
        chain(TopK(15), Temperature(2.0), FrequencyPenalty(0.1), TopP(0.9)),
    ]
    for stage in compiled:
        same = stage(Categorical(Z[:, :20].astype(np.float32), 0.8), HISTORY).probs
        found = stage(Categorical(z, 0.8), HISTORY).probs
        assert_allclose(found, same, rtol=1e-4, atol=1e-6)
        jitted = jax.jit(lambda x, s=stage: s(Categorical(x, 0.8), HISTORY).probs)(z)
        assert_allclose(jitted, same, rtol=1e-4, atol=1e-6)


@pytest.mark.frameworks
def test_a_temperature_at_a_limit_has_a_slope_of_0():
    jax = pytest.importorskip("jax")
    z = jax.numpy.asarray(Z[:3, :20])
    heats = jax.numpy.asarray([0.0, 0.5, inf])

    def entropy(by, given):
        return Temperature(by)(Categorical(z, **given)).entropy().sum()

    for name, value in (("temperature", 0.7), ("coldness", 0.7), ("coldness", -0.7)):
        rows = jax.numpy.full(3, value)
        slopes = jax.grad(lambda x, name=name: entropy(heats, {name: x}))(rows)
        assert (slopes[0], slopes[2]) == (0, 0)
        assert slopes[1] != 0
        slopes = jax.grad(lambda x, name=name: entropy(0.5, {name: x}))(heats)
        assert np.isfinite(slopes).all()
    assert jax.grad(lambda t: entropy(t, {"temperature": 0.0}))(0.5) == 0
