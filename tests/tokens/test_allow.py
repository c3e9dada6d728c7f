"""Allow by bits and by functions, and generation under a grammar."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from softargmax import Categorical
from softargmax.tokens import Allow, LogitsProcessor, RepetitionPenalty, TopK, chain

WIDE = 3000
GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "tokens.md"


def packed(mask, dtype="<i4"):
    """Words of a mask, lowest bit first, with the bits beyond K set."""
    extra = -mask.shape[-1] % 32
    full = np.concatenate([mask, np.ones((*mask.shape[:-1], extra), bool)], axis=-1)
    return np.packbits(full, axis=-1, bitorder="little").view(dtype)


@given(st.lists(st.integers(0, 69), min_size=1), st.sampled_from([70, 96, 2000]))
def test_bits_are_ids(ids, width):
    mask = np.zeros(width, bool)
    mask[ids] = True
    dist = Categorical(np.linspace(0, 3, width), 0.7)
    for words in (packed(mask), packed(mask, "<u4"), [packed(mask)] * 2):
        words = np.array(words)
        left = Allow(bitmask=words)(dist if words.ndim == 1 else dist[None][[0, 0]])
        assert_allclose(
            left.probs, np.broadcast_to(Allow(ids)(dist).probs, left.probs.shape), rtol=1e-12
        )
        assert left.temperature == 0.7


@pytest.mark.parametrize("width", [70, WIDE])
def test_bits_and_functions_of_every_distribution(width):
    rng = np.random.default_rng(0)
    z, mask = rng.normal(size=(3, width)), rng.random((3, width)) < 0.4
    z[:, ::7] = -np.inf
    words, history = packed(mask), [[], [4], [4, 4]]
    dist = Categorical(z, [0.5, 1.0, 2.0])
    for one in (dist, TopK(width // 3)(dist), dist.masked(rng.random((3, width)) < 0.8)):
        wanted = Allow(mask)(one).probs
        for stage in (
            Allow(bitmask=words),
            Allow(lambda tokens: mask[len(tokens)]),
            Allow(lambda tokens: np.flatnonzero(mask[len(tokens)])),
            Allow(lambda tokens: set(np.flatnonzero(mask[len(tokens)]).tolist())),
            Allow(bitmask=lambda tokens: words[len(tokens)]),
        ):
            found = stage(one, history)
            assert_allclose(found.probs, wanted, rtol=1e-12)
            assert (found.sample(9, rng=0) >= 0).all()
            assert_array_equal(found.logits, dist.logits)  # a mask, which leaves them
    assert_allclose(Allow(bitmask=words[0])(dist).probs, Allow(mask[0])(dist).probs, rtol=1e-12)
    empty = Categorical(np.zeros((0, width)))
    assert Allow(bitmask=words[0])(empty).batch_shape == (0,)
    assert Allow(lambda tokens: [1])(Categorical(z[0])).probs[1] == 1  # no history at all
    cube = Categorical(np.zeros((2, 3, width)))
    assert_array_equal(Allow(bitmask=words)(cube).probs[1] > 0, mask)


@pytest.mark.parametrize("width", [70, WIDE])
def test_words_that_do_not_fit(width):
    z = np.zeros((2, width))
    dist, n = Categorical(z), -(-width // 32)
    ones = np.full((2, n), -1, np.int32)
    for words, error, message in (
        (ones * [[1], [0]], TypeError, "bitmask must be int32 or uint32, got dtype int64"),
        (ones[:, 1:], ValueError, f"bitmask must have {n} words for {width} tokens, got shape"),
        (ones[[0, 0, 0]], ValueError, "bitmask"),
        (np.int32(1), ValueError, "got a single word"),
        (
            ones * np.array([[1], [0]], np.int32),
            ValueError,
            "must leave a token, got none in row 1",
        ),
    ):
        with pytest.raises(error, match=message):
            Allow(bitmask=words)(dist)
    last = ones * 0
    last[:, -1] = np.int32(-(2 ** (width % 32)))  # bits beyond K alone
    with pytest.raises(ValueError, match="Allow must leave a token, got none in row 0"):
        Allow(bitmask=last)(dist)
    with pytest.raises(ValueError, match="Allow must leave a token, got none in row 1"):
        Allow(lambda tokens: [] if len(tokens) else [1])(dist, [[], [2]])
    with pytest.raises(ValueError, match=f"ids must be ids in 0 … {width - 1}, got {width}"):
        Allow(lambda tokens: [width])(dist)
    with pytest.raises(ValueError, match="ids must return a mask"):
        Allow(lambda tokens: np.ones(3, bool))(dist)
    for both in ({}, {"ids": [1], "bitmask": ones}):
        with pytest.raises(TypeError, match="ids or bitmask must be given, and not both"):
            Allow(**both)


@pytest.mark.parametrize("width", [70, WIDE])
def test_bits_come_before_the_temperature(width):
    z = np.arange(width, dtype=float)
    words = packed(z < 50)  # the likeliest token is not allowed
    assert Allow(bitmask=words)(Categorical(z, 0)).probs[49] == 1
    assert Allow(lambda tokens: [3, 7])(Categorical(z, 0)).probs[7] == 1


def test_words_are_a_value():
    words = np.array([5, 1], np.int32)
    stage = Allow(bitmask=words)
    before = stage(Categorical(np.zeros(40))).probs
    words[:] = 2
    assert_array_equal(stage(Categorical(np.zeros(40))).probs, before)
    assert stage == Allow(bitmask=np.array([5, 1], np.int32)) != Allow(bitmask=words)


@pytest.mark.frameworks
@pytest.mark.parametrize("width", [70, WIDE])
def test_words_of_other_libraries(width):
    torch, jax = pytest.importorskip("torch"), pytest.importorskip("jax")
    rng = np.random.default_rng(1)
    z, mask = rng.normal(size=(3, width)).astype(np.float32), rng.random((3, width)) < 0.4
    words, wanted = packed(mask), Allow(mask)(Categorical(z)).probs
    leaf = torch.tensor(z, requires_grad=True)
    for x, bits in (
        (torch.tensor(z), torch.tensor(words)),
        (torch.tensor(z), words),
        (z, torch.tensor(words)),
        (leaf, torch.tensor(words)),
        (jax.numpy.asarray(z), jax.numpy.asarray(words)),
        (torch.tensor(z), words.view(np.uint32)),
        (leaf, torch.tensor(words).view(torch.uint32)),
        (jax.numpy.asarray(z), jax.numpy.asarray(words.view(np.uint32))),
        (leaf, jax.numpy.asarray(words)),
        (jax.numpy.asarray(z), torch.tensor(words)),
    ):
        found = Allow(bitmask=bits)(Categorical(x)).probs
        found = found.detach() if x is leaf else found
        assert_allclose(np.asarray(found), wanted, rtol=1e-5)
        found = Allow(lambda tokens: mask[len(tokens)])(Categorical(x), [[], [1], [1, 1]]).probs
        assert_allclose(np.asarray(found.detach() if x is leaf else found), wanted, rtol=1e-5)
    jitted = jax.jit(lambda x, bits: Allow(bitmask=bits)(Categorical(x)).probs)
    assert_allclose(jitted(z, words), wanted, rtol=1e-5)
    none = jitted(z, words * np.array([[1], [0], [1]], np.int32))
    assert_array_equal(np.isnan(none).all(-1), [False, True, False])


# ---------------------------------------------------------------------------- grammars

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 6},
        "age": {"type": "integer", "minimum": 0, "maximum": 99},
        "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 3},
        "alive": {"type": "boolean"},
    },
    "required": ["name", "age", "tags", "alive"],
    "additionalProperties": False,
}


def test_an_automaton_of_ids():
    """Balanced brackets of depth up to 3, by a function of the history; 2 ends the text."""

    def allowed(tokens):
        depth = int((tokens == 0).sum() - (tokens == 1).sum())
        return [x for x, legal in enumerate((depth < 3, depth > 0, depth == 0)) if legal]

    rng, stage = np.random.default_rng(0), chain(Allow(allowed), RepetitionPenalty(1.1))
    for _ in range(10):
        tokens = []
        while not tokens or tokens[-1] != 2:
            tokens.append(int(stage(Categorical([1.0, 1.2, -1.0]), tokens).sample(rng=rng)))
        text = "".join("[]."[x] for x in tokens)
        while "[]" in text:
            text = text.replace("[]", "")
        assert text == "."


@pytest.mark.frameworks
def test_json_of_a_grammar():
    llguidance = pytest.importorskip("llguidance")
    vocabulary = llguidance.LLTokenizer("byte")
    grammar = llguidance.LLMatcher.grammar_from_json_schema(
        json.dumps(SCHEMA), {"whitespace_flexible": False}
    )
    rng, rows, k = np.random.default_rng(0), 3, vocabulary.vocab_size
    matchers = [llguidance.LLMatcher(vocabulary, grammar) for _ in range(rows)]
    texts = [b""] * rows
    words = np.full((rows, -(-k // 32)), -1, np.int32)
    while not all(matcher.is_stopped() for matcher in matchers):
        for i, matcher in enumerate(matchers):
            words[i] = -1  # for texts that have ended
            if not matcher.is_stopped():
                words[i] = np.frombuffer(matcher.compute_bitmask(), np.int32)
        z = rng.normal(0, 2, (rows, k)).astype(np.float32)
        z[:, 128:256] -= 9  # bytes of longer characters
        stage = chain(Allow(bitmask=words), TopK(20))
        log_p = LogitsProcessor(stage)(np.zeros((rows, 0), int), z)
        for i, token in enumerate(Categorical(log_p).sample(rng=rng).tolist()):
            if not matchers[i].is_stopped():
                assert matchers[i].consume_token(token)
                texts[i] += bytes([token]) if token < 256 else b""
                assert len(texts[i]) < 200
    for one in map(json.loads, texts):
        assert set(one) == set(SCHEMA["required"])
        assert type(one["age"]) is int
        assert len(one["name"]) <= 6
        assert set(one["tags"]) <= {"a", "b"}


@pytest.mark.frameworks
def test_the_guide_under_a_grammar():
    pytest.importorskip("llguidance")
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    (code,) = [block for block in blocks if "import llguidance" in block]
    names = {}
    exec(code, names)
    assert type(json.loads(names["text"])["age"]) is int
