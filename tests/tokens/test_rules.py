"""Sequences, rules by length, and the prompt apart from the output."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from softargmax import Categorical
from softargmax.tokens import (
    DRY,
    XTC,
    Allow,
    Ban,
    BanSequences,
    Force,
    FrequencyPenalty,
    LengthDecay,
    LogitBias,
    LogitsProcessor,
    MinLength,
    NoRepeatNgram,
    PresencePenalty,
    RepetitionPenalty,
    SequenceBias,
    TopK,
    chain,
    preset,
)

inf = math.inf
FLAT = Categorical(np.zeros(6))


def left(stage, *history):
    """The tokens that a stage leaves after a history."""
    return np.flatnonzero(stage(FLAT, list(history)).probs).tolist()


def shift(stage, *history):
    """What a stage adds to log-probabilities that were all equal, up to a constant of token 0."""
    log_p = stage(FLAT, list(history)).log_probs
    return (log_p - log_p[0]).round(12).tolist()


# ---------------------------------------------------------------------------- sequences


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ((), [0, 1.0, 0, 0, 0, 0]),
        ((4,), [0, 1.0, 0.5, 0, 0, 0]),
        ((3, 4), [0, 1.0, -1.5, 0, 0, 0]),  # both end with 2
        ((3, 4, 2), [0, 1.0, 0, 0, 0, 0]),
        ((1, 1), [0, 4.0, 0, 0, 0, -inf]),
        ((1,), [0, 4.0, 0, 0, 0, 0]),
    ],
)
def test_biases_of_sequences(history, expected):
    bias = {(1,): 1.0, (4, 2): 0.5, (3, 4, 2): -2.0, (1, 1): 3.0, (1, 1, 5): -inf}
    assert shift(SequenceBias(bias), *history) == expected


@given(
    st.dictionaries(st.lists(st.integers(0, 2), min_size=1, max_size=3).map(tuple), st.just(1.0)),
    st.lists(st.integers(0, 2), max_size=6),
)
def test_sequences_by_brute_force(bias, tokens):
    found = SequenceBias(bias)(FLAT, np.array(tokens, np.int64))
    ends = [
        [s for s in bias if len(s) <= len(tokens) + 1 and s == tuple((*tokens, x)[-len(s) :])]
        for x in range(6)
    ]
    assert_allclose(found.probs, Categorical([float(len(e)) for e in ends]).probs, rtol=1e-12)
    banned = BanSequences(list(bias))(FLAT, np.array(tokens, np.int64))
    assert_array_equal(banned.probs > 0, [not e for e in ends])


def test_sequences_of_each_row():
    dist = Categorical(np.zeros((3, 4)))
    stage = BanSequences([[[1, 2], [3]], [], [[2, 2, 0]]])
    found = stage(dist, [[1], [1], [2, 2]]).probs > 0
    assert_array_equal(found, [[1, 1, 0, 0], [1, 1, 1, 1], [0, 1, 1, 1]])
    same = SequenceBias([{(1, 2): -inf, 3: -inf}, {}, {(2, 2, 0): -inf}])
    assert_array_equal(same(dist, [[1], [1], [2, 2]]).probs > 0, found)
    assert BanSequences([[], []])(dist[:2], [[1], [2]]).probs.min() == 0.25
    with pytest.raises(ValueError, match=r"sequences must be .* got an empty one"):
        BanSequences([[]])
    with pytest.raises(TypeError, match="min_tokens needs stop_token_ids"):
        preset("vllm", min_tokens=3)
    # what looks back at nothing needs no history
    assert_array_equal(BanSequences([[2], [3]])(FLAT).probs > 0, [1, 1, 0, 0, 1, 1])
    # a sequence may begin in the prompt, or not
    assert left(BanSequences([[1, 2]]), 0, 1) == [0, 1, 3, 4, 5]
    assert left(BanSequences([[1, 2]], of="output", prompt_length=2), 0, 1) == [0, 1, 2, 3, 4, 5]
    assert left(BanSequences([[1, 2]], of="output", prompt_length=1), 0, 1) == [0, 1, 3, 4, 5]


# ---------------------------------------------------------------------------- lengths


@pytest.mark.parametrize(
    ("stage", "by_length"),
    [
        (MinLength(2, 0), [[1, 2, 3, 4, 5]] * 2 + [[0, 1, 2, 3, 4, 5]] * 2),
        (MinLength(0, 0), [[0, 1, 2, 3, 4, 5]] * 4),
        (MinLength(1, [0, 5]), [[1, 2, 3, 4]] + [[0, 1, 2, 3, 4, 5]] * 3),
        (
            MinLength(1, 0, of="output", prompt_length=2),
            [[1, 2, 3, 4, 5]] * 3 + [[0, 1, 2, 3, 4, 5]],
        ),
        (MinLength(3, 0, prompt_length=2), [[1, 2, 3, 4, 5]] * 3 + [[0, 1, 2, 3, 4, 5]]),
        (Force(4, 0), [[4]] + [[0, 1, 2, 3, 4, 5]] * 3),
        (Force([5, 4], 2), [[0, 1, 2, 3, 4, 5]] * 2 + [[4, 5]] + [[0, 1, 2, 3, 4, 5]]),
        (
            Force(4, 0, of="output", prompt_length=3),
            [[4]] * 4,  # as long as there is no output
        ),
        (Force(4, 1, of="output", prompt_length=2), [[0, 1, 2, 3, 4, 5]] * 3 + [[4]]),
    ],
    ids=repr,
)
def test_rules_by_length(stage, by_length):
    assert [left(stage, *[1] * n) for n in range(4)] == by_length


def test_what_is_forced_comes_whatever_it_was():
    for width in (6, 2000):
        banned = Ban([2, 3])(Categorical(np.arange(width) / width))
        found = Force([3, 5], 1)(banned, [0]).probs
        assert np.flatnonzero(found).tolist() == [3, 5]
        assert found[3] == found[5] == 0.5
    rows = Force([3, 5], [0, 1, 2])(Categorical(np.zeros((3, 6))), [[1], [1], [1]])
    assert_array_equal((rows.probs > 0).sum(-1), [6, 2, 6])


def test_length_decay():
    weights = np.array([1.0, 4.0, 3.0])
    p = weights / weights.sum()
    for n, start, factor in [(2, 2, 1.5), (3, 2, 1.5), (7, 2, 1.5), (5, 3, 0.8), (3, 1, 2**0.5)]:
        found = LengthDecay(start, factor, 0)(Categorical.from_weights(weights), [1] * n)
        scores = np.log(p)
        scores[0] += (factor ** max(0, n - start) - 1) * abs(scores[0])
        assert_allclose(found.probs, Categorical(scores).probs, rtol=1e-12)
    far = LengthDecay(0, 9.0, 0)(Categorical.from_weights(weights), [1] * 5000)
    assert far.probs.tolist() == [1, 0, 0]
    for width in (3, 2000):  # what was impossible stays so, whatever the factor is
        dist = Categorical.from_weights(np.append([0.0, 4.0], np.ones(width - 2)))
        for factor in (0.5, 2.0, 3.0):
            assert LengthDecay(0, factor, 0)(dist, [1]).probs[0] == 0
    counted = LengthDecay(1, 2.0, 0, prompt_length=3)(FLAT, [1] * 5)
    assert_allclose(counted.probs, LengthDecay(1, 2.0, 0)(FLAT, [1] * 2).probs, rtol=1e-14)


# ---------------------------------------------------------------------------- prompt and output

HISTORY = [1, 2, 1, 3, 1, 4]  # the prompt is 1 2 1


@pytest.mark.parametrize(
    ("stage", "expected"),
    [
        (FrequencyPenalty(1.0), [0, -3, -1, -1, -1, 0]),
        (FrequencyPenalty(1.0, prompt_length=3), [0, -1, 0, -1, -1, 0]),
        (FrequencyPenalty(1.0, prompt_length=9), [0, 0, 0, 0, 0, 0]),
        (FrequencyPenalty(1.0, of="all", prompt_length=3), [0, -3, -1, -1, -1, 0]),
        (FrequencyPenalty(1.0, of="prompt", prompt_length=3), [0, -2, -1, 0, 0, 0]),
        (FrequencyPenalty(1.0, of="prompt", prompt_length=3, last=1), [0, -1, 0, 0, 0, 0]),
        (FrequencyPenalty(1.0, prompt_length=3, last=2), [0, -1, 0, 0, -1, 0]),
        (FrequencyPenalty(1.0, of=[5, 5, 2]), [0, 0, -1, 0, 0, -2]),
        (PresencePenalty(1.0), [0, -1, -1, -1, -1, 0]),
        (PresencePenalty(1.0, prompt_length=3), [0, -1, 0, -1, -1, 0]),
        (PresencePenalty(1.0, prompt_length=3, of="prompt"), [0, -1, -1, 0, 0, 0]),
    ],
    ids=repr,
)
def test_parts_of_the_history(stage, expected):
    assert shift(stage, *HISTORY) == expected


def test_repetition_of_parts():
    log_p = FLAT.log_probs
    for stage, ids in (
        (RepetitionPenalty(1.5), [1, 2, 3, 4]),
        (RepetitionPenalty(1.5, prompt_length=3), [1, 2, 3, 4]),
        (RepetitionPenalty(1.5, of="output", prompt_length=3), [1, 3, 4]),
        (RepetitionPenalty(1.5, of="prompt", prompt_length=3), [1, 2]),
        (RepetitionPenalty(1.5, of=np.array([5, 0])), [0, 5]),
    ):
        scores = np.where(np.isin(np.arange(6), ids), 1.5 * log_p, log_p)
        assert_allclose(stage(FLAT, HISTORY).probs, Categorical(scores).probs, rtol=1e-13)


def test_n_grams_of_parts():
    # the prompt is 1 2 1 3, the output 1 2
    history = [1, 2, 1, 3, 1, 2]
    assert left(NoRepeatNgram(2), *history) == [0, 2, 3, 4, 5]
    assert left(NoRepeatNgram(2, of="prompt", prompt_length=4), *history) == [0, 2, 3, 4, 5]
    assert left(NoRepeatNgram(2, of="output", prompt_length=4), *history) == [0, 1, 2, 3, 4, 5]
    assert left(NoRepeatNgram(2, of=[2, 5, 2, 4]), *history) == [0, 1, 2, 3]
    assert left(NoRepeatNgram(3, of=[1, 2, 4, 2, 5]), *history) == [0, 1, 2, 3, 5]
    assert left(NoRepeatNgram(1, of=[2, 5]), *history) == [0, 1, 3, 4]
    assert left(NoRepeatNgram(4, of=[2, 5]), *history) == [0, 1, 2, 3, 4, 5]
    assert left(NoRepeatNgram(3, of=[2, 1, 5, 2]), 1) == [0, 1, 2, 3, 4, 5]  # too short for one
    each = NoRepeatNgram(2, of=[[2, 5], [], [2, 0, 2, 1]])
    found = each(Categorical(np.zeros((3, 6))), [history] * 3).probs > 0
    assert_array_equal(found, [[1, 1, 1, 1, 1, 0], [1] * 6, [0, 0, 1, 1, 1, 1]])
    # a token that went on a copy of "1 2" elsewhere
    loss = shift(DRY(1.0, 2.0, 1, of=[5, 1, 2, 4, 2, 5]), *history)
    assert loss == [0, 0, 0, 0, -2, -1]


@given(st.lists(st.integers(0, 2), max_size=9), st.lists(st.integers(0, 2), max_size=9),
       st.integers(1, 4))  # fmt: skip
def test_n_grams_of_another_text_by_brute_force(source, tokens, n):
    banned = {
        source[i + n - 1]
        for i in range(len(source) - n + 1)
        if len(tokens) >= n - 1 and source[i : i + n - 1] == tokens[len(tokens) - n + 1 :]
    }
    stage = NoRepeatNgram(n, of=np.array(source, np.int64))
    assert left(stage, *tokens) == sorted(set(range(6)) - banned)


def test_a_stage_is_told_of_the_prompt():
    stage = chain(RepetitionPenalty(1.2), FrequencyPenalty(0.5), TopK(4))
    told = stage.with_prompt([3, 1])
    assert stage == chain(RepetitionPenalty(1.2), FrequencyPenalty(0.5), TopK(4))
    assert told == chain(
        RepetitionPenalty(1.2, prompt_length=[3, 1]),
        FrequencyPenalty(0.5, prompt_length=[3, 1]),
        TopK(4),
    )
    assert told.with_prompt(2) == stage.with_prompt(2)
    assert TopK(4).with_prompt(2) == TopK(4)
    mixed = XTC(0.1, 0.5, then=FrequencyPenalty(0.5))
    assert chain(mixed).with_prompt(2).stages[0].then == FrequencyPenalty(0.5, prompt_length=2)
    dist = Categorical(np.random.default_rng(0).normal(size=(2, 6)))
    rows = told(dist, [[1, 2, 1, 3], [4, 4]])
    for i, (history, n) in enumerate([([1, 2, 1, 3], 3), ([4, 4], 1)]):
        assert_allclose(stage.with_prompt(n)(dist[i], history).probs, rows[i].probs, rtol=1e-13)
    # padding counts nowhere
    padded = np.array([[-1, 1, 2, 1, 3], [-1, -1, -1, 4, 4]])
    assert_array_equal(told(dist, padded).probs, rows.probs)
    scores = dist.log_probs[:1]
    processor = LogitsProcessor(stage, prompt_length=3)
    assert processor == LogitsProcessor(stage.with_prompt(3)) != LogitsProcessor(stage)
    assert_allclose(processor([[1, 2, 1, 3]], scores), rows[:1].log_probs, rtol=1e-9)
    assert preset("vllm", frequency_penalty=0.5, prompt_length=3) == chain(
        FrequencyPenalty(0.5, prompt_length=3, on="logits")
    )


# ---------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda d: SequenceBias([1, 2]), TypeError, "bias must be a mapping of sequences of ids"),
        (lambda d: SequenceBias({(): 1.0}), ValueError, "bias must be sequences of one or more"),
        (lambda d: SequenceBias({(1, 2): inf}), ValueError, r"bias of \(1, 2\) must be in"),
        (lambda d: SequenceBias({(1.5,): 1}), TypeError, "bias must be sequences of integer ids"),
        (lambda d: SequenceBias({(1, 6): 1})(d, [[1]] * 3), ValueError, "bias must be ids in 0"),
        (lambda d: SequenceBias({(1, 2): 1})(d), ValueError, "history must be given, SequenceBias"),
        (
            lambda d: SequenceBias([{(1, 2): 1}] * 2)(d, [[1]] * 3),
            ValueError,
            r"bias must have one item for each row of a 1-d batch, \(3,\), got 2",
        ),
        (lambda d: BanSequences(5), TypeError, "sequences must be sequences of integer ids, got 5"),
        (lambda d: BanSequences([[1], 2.5]), TypeError, "sequences must be sequences of integer"),
        (lambda d: BanSequences([[-1, 2]])(d, [[1]] * 3), ValueError, "sequences must be ids in 0"),
        (lambda d: BanSequences([[1]], of="prompt"), ValueError, "of must be one of"),
        (lambda d: BanSequences([[1]], of=[1, 2]), TypeError, "of must be 'all' or 'output', got"),
        (lambda d: LogitBias([{1: 1.0}])(d), ValueError, "bias must have one item for each row"),
        (lambda d: Ban([[1], [2]])(d), ValueError, "ids must have one item for each row"),
        (lambda d: Ban([[1], [2], [6]])(d), ValueError, "ids must be ids in 0 … 5, got 6"),
        (lambda d: Ban([[1], [2], [[3]]]), TypeError, "ids must be a sequence of integer ids, or"),
        (lambda d: Allow([[1], [2], []])(d), ValueError, "Allow must leave a token, .* in row 2"),
        (lambda d: Ban([True, False])(d), ValueError, "ids must be a mask of 6 tokens, got shape"),
        (lambda d: MinLength(-1, 0), ValueError, "n must be 0 or more, got -1"),
        (lambda d: MinLength(1.5, 0), TypeError, "n must be an integer, got 1.5"),
        (lambda d: MinLength(1, "a"), TypeError, "end must be an id, or some, got"),
        (lambda d: MinLength(1, 6)(d, [[1]] * 3), ValueError, "end must be ids in 0 … 5, got 6"),
        (lambda d: MinLength([1, 2], 0)(d, [[1]] * 3), ValueError, "n must fit the batch axes"),
        (lambda d: MinLength(1, 0)(d), ValueError, "history must be given, MinLength"),
        (lambda d: Force(1, [0.5]), TypeError, "at must be integers, got dtype float64"),
        (lambda d: LengthDecay(1, 0.0, 0), ValueError, r"factor must be in \(0, inf\), got 0"),
        (
            lambda d: FrequencyPenalty(1, prompt_length=-1),
            ValueError,
            "prompt_length must be 0 or more, got -1",
        ),
        (
            lambda d: FrequencyPenalty(1, prompt_length=[1, 2])(d, [[1]] * 3),
            ValueError,
            "prompt_length must fit the batch axes",
        ),
        (lambda d: FrequencyPenalty(1, of="input"), ValueError, "of must be one of"),
        (lambda d: FrequencyPenalty(1, of=3), TypeError, "of must be 'all', 'output', 'p"),
        (lambda d: FrequencyPenalty(1, of=[0.5]), TypeError, "of must be 'all', 'output', 'p"),
        (lambda d: FrequencyPenalty(1, of=[6])(d, [[1]] * 3), ValueError, "of must be ids in 0"),
        (
            lambda d: RepetitionPenalty(1, of="prompt")(d, [[1]] * 3),
            ValueError,
            "prompt_length must be given, RepetitionPenalty looks at the prompt",
        ),
        (
            lambda d: preset("transformers", forced_eos_token_id=1),
            TypeError,
            "forced_eos_token_id needs max_length",
        ),
        (
            lambda d: preset("transformers", exponential_decay_length_penalty=(1, 1.1)),
            TypeError,
            "exponential_decay_length_penalty needs eos_token_id",
        ),
    ],
)
def test_bad_input(call, error, message):
    dist = Categorical(np.zeros((3, 6)))
    with pytest.raises(error, match=message):
        call(dist)


# ---------------------------------------------------------------------------- transformers

PROMPT, LONGER = 5, 4  # lengths of the prompt and of the output so far
IDS = np.random.default_rng(3).integers(0, 9, (40, PROMPT + LONGER))
SOURCE = np.random.default_rng(4).integers(0, 9, (40, 12))
LAST = tuple(IDS[0, -2:].tolist())
PEERS = {
    "sequence_bias": (
        lambda w, t: w.SequenceBiasLogitsProcessor(
            [[[3], 1.5], [[*LAST, 4], -2.0], [[1, 4], -9.0]]
        ),
        SequenceBias({(3,): 1.5, (*LAST, 4): -2.0, (1, 4): -9.0}),
    ),
    "bad_words": (
        lambda w, t: w.NoBadWordsLogitsProcessor([[3], [*LAST, 4], [1, 4], [2, 2], [7]], 7),
        BanSequences([[3], [*LAST, 4], [1, 4], [2, 2]]),
    ),
    "min_length": (lambda w, t: w.MinLengthLogitsProcessor(10, [2, 3]), MinLength(10, [2, 3])),
    "min_length_reached": (lambda w, t: w.MinLengthLogitsProcessor(9, 2), MinLength(9, 2)),
    "min_new_tokens": (
        lambda w, t: w.MinNewTokensLengthLogitsProcessor(PROMPT, 5, 2),
        MinLength(5, 2, of="output", prompt_length=PROMPT),
    ),
    "min_new_tokens_reached": (
        lambda w, t: w.MinNewTokensLengthLogitsProcessor(PROMPT, 4, 2),
        MinLength(4, 2, of="output", prompt_length=PROMPT),
    ),
    "forced_eos": (lambda w, t: w.ForcedEOSTokenLogitsProcessor(10, [2, 5]), Force([2, 5], 9)),
    "not_forced": (lambda w, t: w.ForcedEOSTokenLogitsProcessor(11, 2), Force(2, 10)),
    "decay": (
        lambda w, t: w.ExponentialDecayLengthPenalty((1, 1.3), [2, 3], PROMPT),
        LengthDecay(1, 1.3, [2, 3], prompt_length=PROMPT),
    ),
    "no_decay": (
        lambda w, t: w.ExponentialDecayLengthPenalty((4, 1.3), 2, PROMPT),
        LengthDecay(4, 1.3, 2, prompt_length=PROMPT),
    ),
    "repetition": (lambda w, t: w.RepetitionPenaltyLogitsProcessor(1.3), RepetitionPenalty(1.3)),
    "repetition_of_the_output": (
        lambda w, t: w.RepetitionPenaltyLogitsProcessor(1.3, prompt_ignore_length=PROMPT),
        RepetitionPenalty(1.3, of="output", prompt_length=PROMPT),
    ),
    "repetition_of_the_prompt": (
        lambda w, t: w.EncoderRepetitionPenaltyLogitsProcessor(1.25, t.tensor(IDS[:, :PROMPT])),
        RepetitionPenalty(1 / 1.25, of="prompt", prompt_length=PROMPT),
    ),
    "repetition_of_another_text": (
        lambda w, t: w.EncoderRepetitionPenaltyLogitsProcessor(1.25, t.tensor(SOURCE)),
        RepetitionPenalty(1 / 1.25, of=SOURCE),
    ),
    "n_grams": (lambda w, t: w.NoRepeatNGramLogitsProcessor(2), NoRepeatNgram(2)),
    "n_grams_of_the_prompt": (
        lambda w, t: w.EncoderNoRepeatNGramLogitsProcessor(2, t.tensor(IDS[:, :PROMPT])),
        NoRepeatNgram(2, of="prompt", prompt_length=PROMPT),
    ),
    "n_grams_of_another_text": (
        lambda w, t: w.EncoderNoRepeatNGramLogitsProcessor(3, t.tensor(SOURCE)),
        NoRepeatNgram(3, of=SOURCE),
    ),
    "single_tokens": (
        lambda w, t: w.EncoderNoRepeatNGramLogitsProcessor(1, t.tensor(SOURCE[:, :4])),
        NoRepeatNgram(1, of=SOURCE[:, :4]),
    ),
    "suppressed": (lambda w, t: w.SuppressTokensLogitsProcessor([3, 5]), Ban([3, 5])),
}


@pytest.mark.frameworks
@pytest.mark.parametrize("name", PEERS)
def test_transformers(name):
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    make, stage = PEERS[name]
    dist = Categorical(np.random.default_rng(5).normal(0, 2, (40, 30)))
    # their penalties scale logits; ours scale log-probabilities
    processor = make(transformers.generation.logits_process, torch)
    theirs = torch.softmax(processor(torch.tensor(IDS), torch.tensor(dist.log_probs)), -1).numpy()
    ours = stage(dist, IDS)
    assert_array_equal(ours.probs > 0, theirs > 0)
    assert_allclose(ours.probs, theirs, rtol=1e-6)


@pytest.mark.frameworks
def test_the_first_token_of_transformers():
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    processor = transformers.ForcedBOSTokenLogitsProcessor(4)
    for ids in ([[7]], [[7, 3]]):
        theirs = torch.softmax(processor(torch.tensor(ids), torch.zeros(1, 9)), -1)
        assert_allclose(Force(4, 1)(Categorical(np.zeros((1, 9))), ids).probs, theirs, rtol=1e-6)
