import itertools
import math
import pickle

import mpmath
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import stats

from softargmax import Categorical
from softargmax._random.keyed import word_gumbels, words_at, words_of_key
from softargmax.temperatures import temperature_for_entropy
from softargmax.tokens import TopK, TopP, Watermark
from softargmax.tokens._watermark import _tails
from statistical import check_counts

MARK = Watermark(key=2**100 + 12345, window=2)
TEXT = [5, 3, 9, 1]


def by_definition(mark, dist, history):
    """The arg max over all tokens, by all the noise."""
    words = words_of_key(mark._key_after(np.array(history)))(dist.num_categories)
    return int((dist.log_probs.astype(float) + word_gumbels(words)).argmax())


def by_many_keys(log_probs, histories):
    """The definition for a row of log-probabilities and a history a key: the keys are 0, 1, …"""
    n, width = log_probs.shape
    marks = [
        Watermark(key=key, window=2)._key_after(np.array(h)) for key, h in enumerate(histories)
    ]
    keys = [key for key in marks for _ in range(width)]
    words = words_at(keys, np.tile(np.arange(width), n)).reshape(n, width)
    return (log_probs + word_gumbels(words)).argmax(axis=1)


def written(mark, laws, n, start=()):
    """A text of n more tokens, each drawn from one of some distributions in turn."""
    text = list(start)
    for dist in itertools.islice(itertools.cycle(laws), n):
        text.append(int(mark.sample(dist, text)))
    return text


def laws_of_entropy(entropy, rng, count=12, width=1000):
    """Distributions over random tokens, of a given entropy in nats."""
    z = rng.normal(size=(count, width))
    return [Categorical(row, temperature_for_entropy(row, entropy)) for row in z]


# ---------------------------------------------------------------------------- noise


def test_words_by_number_are_numpys_stream():
    keys = [np.random.default_rng(i).bytes(16) for i in range(9)]
    for key in keys:
        assert_array_equal(words_at([key], np.arange(103)), words_of_key(key)(103))
    far = np.arange(9) * 777
    want = [int(words_of_key(key)(7000)[i]) for key, i in zip(keys, far, strict=True)]
    assert words_at(keys, far).tolist() == want


def test_uniforms_depend_on_key_context_and_token_alone():
    same = MARK._key_after(np.array(TEXT))
    assert MARK._key_after(np.array([7, 7, 7, *TEXT[-2:]])) == same
    assert MARK._key_after(np.array(TEXT, np.int32)) == same
    others = [
        MARK._key_after(np.array(TEXT[::-1])),
        MARK._key_after(np.array(TEXT[-1:])),  # too short
        MARK._key_after(np.array([9, 1])),
        MARK._key_after(np.array([9, 1, 9, 1])),  # has come before
        MARK._key_after(np.array([9, 1, 7, 9, 1])),
        Watermark(key=MARK.key + 1, window=2)._key_after(np.array(TEXT)),
        Watermark(key=MARK.key, window=3)._key_after(np.array(TEXT)),
    ]
    assert others[2] == same
    assert len({same, *others}) == len(others)


@pytest.mark.parametrize("width", [1, 2, 7, 1000, 30_000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_draw_is_the_arg_max(width, dtype):
    rng = np.random.default_rng(width)
    for heat in (0.0, 0.2, 1.0, 50.0, math.inf):
        z = rng.normal(0, 3, width).astype(dtype)
        z[::3] = -math.inf
        z[0] = 1
        dist = Categorical(z, heat)
        for history in ([], [1], TEXT, TEXT * 3):
            drawn = MARK.sample(dist, [i % width for i in history])
            assert drawn == by_definition(MARK, dist, [i % width for i in history])
            assert dist.probs[drawn] > 0
            assert type(drawn) is np.int64


def test_batches_k_and_truncations_share_the_noise():
    z = np.random.default_rng(0).normal(0, 2, (3, 4000))
    dist, rows = Categorical(z), [[1, 2], [3, 4, 5], []]
    padded = np.array([[-1, 1, 2], [3, 4, 5], [-1, -1, -1]])
    drawn = MARK.sample(dist, rows)
    assert_array_equal(MARK.sample(dist, padded), drawn)
    assert drawn.dtype == np.int64
    for i in range(3):
        assert MARK.sample(dist[i], rows[i]) == drawn[i]
    wide = np.pad(z, ((0, 0), (0, 999)), constant_values=-math.inf)
    assert_array_equal(MARK.sample(Categorical(wide), rows), drawn)
    assert_array_equal(MARK.sample(dist.tempered(0), rows), dist.mode())
    for stage in (TopK(5), TopP(0.95)):  # few survivors, and many
        cut = stage(dist)
        assert_array_equal(
            MARK.sample(cut, rows),
            [by_definition(MARK, cut[i], rows[i]) for i in range(3)],
        )
    assert MARK.sample(Categorical(np.zeros((0, 3))), []).shape == (0,)
    assert MARK.sample(Categorical(np.zeros((2, 1, 3))), np.zeros((2, 1, 0), int)).shape == (2, 1)


# ---------------------------------------------------------------------------- laws


def test_a_draw_is_unbiased_over_keys():
    """Finds an error of a probability of 0.08 with 99 %."""
    dist, n = Categorical.from_weights([5, 0, 1, 3, 1e-30]), 5_000
    for history in ([4, 1], [1], [3, 1, 3, 1]):  # one with a mark, two without
        drawn = by_many_keys(np.tile(dist.log_probs, (n, 1)), [history] * n)
        check_counts(np.bincount(drawn, minlength=5), dist.probs, detects=0.08)
        for key in range(100):
            assert Watermark(key=key, window=2).sample(dist, history) == drawn[key]


def test_a_text_is_unbiased_over_keys():
    """All of it: contexts that repeat, as they do among two tokens, share no noise.

    Finds an error of the probability of a text of 0.08 with 99 %.
    """
    law, n = Categorical.from_weights([[1, 2], [3, 1]]), 4_000  # by the token before
    texts = np.ones((n, 2), int)
    for _ in range(4):
        drawn = by_many_keys(law.log_probs[texts[:, -1]], texts)
        texts = np.concatenate([texts, drawn[:, None]], axis=1)
    probs = np.array(
        [
            math.prod(law.probs[a, b] for a, b in itertools.pairwise((1, *text)))
            for text in np.ndindex(2, 2, 2, 2)
        ]
    )
    check_counts(np.bincount(texts[:, 2:] @ [8, 4, 2, 1], minlength=16), probs, detects=0.08)


def test_texts_without_a_mark_have_uniform_p_values():
    """Finds a distance of 0.17 between the laws, at a false-fail rate of 1e-6."""
    rng = np.random.default_rng(3)
    texts = rng.zipf(1.5, (700, 60)) % 50  # with many contexts that repeat
    for given in (texts, np.tile(texts[:, :6], 10)):  # a period of six is no evidence
        found = [Watermark(key=i, window=2).detect(text) for i, text in enumerate(given)]
        assert {x.scored for x in found} > ({*range(40, 50)} if given is texts else {5, 6})
        assert stats.kstest([x.p_value for x in found], "uniform").pvalue > 1e-6


def test_the_power_is_what_entropy_gives():
    rng = np.random.default_rng(0)
    laws = laws_of_entropy(3.0, rng)
    for key in range(4):
        mark = Watermark(key=key, window=3)
        text = written(mark, laws, 50, [1, 2, 3])
        assert mark.detect(text).p_value < 1e-6
        assert Watermark(key=key + 1, window=3).detect(text).p_value > 1e-6
        sure = written(mark, [d.tempered(0) for d in laws], 50, [1, 2, 3])
        assert mark.detect(sure).p_value > 1e-6  # no entropy, no mark


@pytest.mark.slow
def test_power_and_false_alarms_by_entropy_and_length():
    """The tables of the guide: 200 texts a row, each with a key of its own."""
    lengths, level = (50, 100, 200, 400), 1e-6
    print("\nnats  " + "  ".join(f"{n:5d}" for n in lengths) + "  edited: " + str(lengths))
    for entropy in (0.1, 0.25, 0.5, 1.0, 2.0):
        rng = np.random.default_rng(0)
        laws, found, edited, other = laws_of_entropy(entropy, rng, 400), [], [], []
        for key in range(200):
            mark, order = Watermark(key=key, window=4), rng.permutation(400)
            text = written(mark, [laws[i] for i in order], 400, rng.integers(0, 1000, 4))
            new = np.where(rng.random(404) < 0.1, rng.integers(0, 1000, 404), text)
            found.append([mark.detect(text[: n + 4]).p_value for n in lengths])
            edited.append([mark.detect(new[: n + 4]).p_value for n in lengths])
            wrong = Watermark(key=key + 1000, window=4)
            other.append([wrong.detect(text[: n + 4]).p_value for n in lengths])
        rows = [(np.array(x) < level).mean(axis=0) for x in (found, edited)]
        print(
            f"{entropy:4.2f}  " + "    ".join("  ".join(f"{x:5.3f}" for x in row) for row in rows)
        )
        print("      below 0.01 with another key: ", (np.array(other) < 0.01).mean(axis=0))
        assert (np.diff(rows[0]) >= 0).all()
        # at 1 %, 200 texts a length; by chance in less than one run of 10⁶
        assert stats.binom.sf((np.array(other) < 0.01).sum(axis=0) - 1, 200, 0.01).min() > 2e-7


def test_an_edit_costs_a_window_of_marks():
    laws = laws_of_entropy(3.0, np.random.default_rng(1))
    mark = Watermark(key=8, window=3)
    text = written(mark, laws, 200, [1, 2, 3])
    whole = mark.detect(text)
    assert 180 < whole.scored <= 200

    def marks(tokens):
        """The scores, by place, as differences of the statistic of growing texts."""
        ends = range(3, len(tokens) + 1)
        return np.diff([mark.detect(tokens[:n]).statistic for n in ends]).round(9)

    own = marks(text)
    for place, edited in (
        (100, [*text[:100], 999, *text[100:]]),  # an insertion
        (100, [*text[:100], *text[101:]]),  # a deletion
        (100, [*text[:100], 999, *text[101:]]),  # another token
    ):
        assert set(own) - set(marks(edited)) <= set(own[place - 3 : place + 4 - 3])
    cut = mark.detect(text[60:])  # what begins anywhere is found
    assert 120 < cut.scored <= 137
    assert cut.p_value < 1e-9


# ---------------------------------------------------------------------------- tests


def test_the_tail_of_the_gamma_law():
    for n, scale in ((1, 0.1), (1, 800), (7, 1), (300, 1.1), (300, 9), (2000, 0.9)):
        s = n * scale
        p, log_p = _tails(np.float64(s), np.float64(n))
        with mpmath.workdps(40):
            exact = mpmath.gammainc(n, s, regularized=True)
            assert abs(p - exact) <= 1e-12 * exact + 1e-300
            assert abs(log_p - mpmath.log(exact)) <= 1e-12 * max(1, abs(mpmath.log(exact)))


def test_shapes_of_tests():
    rng = np.random.default_rng(0)
    texts = rng.integers(0, 9, (2, 3, 30))
    found = MARK.detect(texts)
    assert [x.shape for x in found] == [(2, 3)] * 4
    one = MARK.detect(texts[1, 2])
    assert [x[1, 2] for x in found] == list(one)
    assert type(one.p_value) is np.float64
    padded = np.concatenate([np.full((2, 3, 4), -1), texts], axis=-1)
    assert_array_equal(MARK.detect(padded).p_value, found.p_value)
    ragged = MARK.detect([[1, 2], texts[0, 0], [], (4, 5, 6)])
    assert ragged.scored[[0, 2, 3]].tolist() == [0, 0, 1]
    assert ragged.p_value[[0, 2]].tolist() == [1, 1]
    assert ragged.log_p_value[1] == found.log_p_value[0, 0]
    assert MARK.detect([]).p_value == 1
    assert MARK.detect(np.empty((0, 5), int)).scored.shape == (0,)


def test_what_is_refused_and_what_is_shown():
    assert repr(MARK) == "Watermark(window=2)"  # no secret
    assert pickle.loads(pickle.dumps(MARK)) == MARK != Watermark(key=1, window=2)
    assert hash(MARK) == hash(Watermark(key=MARK.key, window=2))
    for given, error, message in (
        ({"key": -1, "window": 2}, ValueError, "key must be 0 or more"),
        ({"key": 1.5, "window": 2}, TypeError, "key must be an integer"),
        ({"key": 1, "window": 0}, ValueError, "window must be 1 or more, got 0"),
        ({"key": 1, "window": True}, TypeError, "window must be an integer"),
    ):
        with pytest.raises(error, match=message):
            Watermark(**given)
    dist = Categorical([0.0, 1.0])
    for history, error, message in (
        (None, ValueError, "history must be given, Watermark looks"),
        ([[0]], TypeError, "history must be 1-d integer ids per row"),
        ([2], ValueError, "history must be ids below 2, got 2"),
    ):
        with pytest.raises(error, match=message):
            MARK.sample(dist, history)
    for tokens, error, message in (
        (3, TypeError, "tokens must be integer ids, or one sequence of them a text, got 3"),
        ([0.5], TypeError, "tokens must be integer ids"),
        (np.zeros(3), TypeError, "tokens must be integers, got dtype float64"),
        (np.array(3), ValueError, r"tokens must have a last axis of ids, got shape \(\)"),
        ([[1], 2], TypeError, "tokens must be"),
    ):
        with pytest.raises(error, match=message):
            MARK.detect(tokens)


@pytest.mark.frameworks
def test_the_same_in_other_libraries():
    torch, jax = pytest.importorskip("torch"), pytest.importorskip("jax")
    z = np.random.default_rng(0).normal(0, 2, (20, 300)).astype(np.float32)
    history = np.arange(60).reshape(20, 3)
    want = MARK.sample(Categorical(z), history)
    key = jax.jit(lambda z: MARK.sample(Categorical(z), history))
    for z_of, array in ((torch.tensor, torch.tensor), (jax.numpy.asarray, jax.numpy.asarray)):
        dist = Categorical(z_of(z))
        drawn = MARK.sample(dist, array(history))
        assert type(drawn) is type(array(history))
        assert_array_equal(np.asarray(drawn), want)
        assert MARK.sample(dist[3], list(history[3])) == want[3]
        assert_array_equal(MARK.detect(array(history)).p_value, MARK.detect(history).p_value)
    assert jax.jit(lambda z: MARK.sample(Categorical(z), history[:0]))(z[:0]).shape == (0,)
    double = Categorical(torch.tensor(z.astype(np.float64), requires_grad=True))
    assert_array_equal(MARK.sample(double, history).numpy(), want)
    assert_array_equal(
        MARK.sample(TopK(9)(Categorical(torch.tensor(z))), history),
        MARK.sample(TopK(9)(Categorical(z)), history),
    )
    assert_array_equal(key(z), want)  # hidden values, and a history that is known
    bad = key(np.where(np.arange(20)[:, None] == 4, np.nan, z))
    assert bad[4] == -1
    assert_array_equal(np.delete(bad, 4), np.delete(want, 4))
    with pytest.raises(TypeError, match="history must be known, got a traced array"):
        jax.jit(lambda h: MARK.sample(Categorical(z), h))(history)
    with pytest.raises(TypeError, match="tokens must be known, got a traced array"):
        jax.jit(MARK.detect)(history)
