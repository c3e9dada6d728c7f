"""Mirostat, speculative decoding, presets and the plugs for other libraries."""

import math
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from softargmax import Categorical
from softargmax.tokens import (
    DRY,
    XTC,
    Allow,
    Ban,
    BanSequences,
    Chain,
    DynamicTemperature,
    EpsilonCutoff,
    EtaCutoff,
    Force,
    FrequencyPenalty,
    LengthDecay,
    LogitBias,
    LogitsProcessor,
    MinLength,
    MinP,
    Mirostat,
    NoRepeatNgram,
    PresencePenalty,
    RepetitionPenalty,
    SequenceBias,
    Temperature,
    TopH,
    TopK,
    TopNSigma,
    TopP,
    Typical,
    chain,
    preset,
    verify,
)
from statistical import check_draws

inf = math.inf
LONG = 1500


# ---------------------------------------------------------------------------- speculative decoding


def batched(p, batch, n):
    """The same n distributions in every row."""
    z = np.broadcast_to(np.stack([d.log_probs for d in p])[:n], (batch, n, p[0].num_categories))
    return Categorical(z)


P = [Categorical([0.0, 1.0, -1.0, 0.5]), Categorical([0.0, 0.0, 0.0, 2.0])]
Q = [
    Categorical([1.0, 0.0, 0.0, -1.0]),
    Categorical([0.0, 2.0, 0.0, 1.0]),
    Categorical([0.5, 0.0, -2.0, 0.0]),
]


@pytest.mark.parametrize("n", [0, 1, 2])
def test_every_token_has_its_targets_distribution(n):
    batch = 400_000
    draft, target = batched(P, batch, n), batched(Q, batch, n + 1)
    x = draft.sample(rng=1)
    accepted, following = verify(x, draft, target, rng=2)
    assert accepted.shape == following.shape == (batch,)
    assert accepted.dtype == following.dtype == np.int64
    for place in range(n + 1):
        # the token at this place, in the rows that have come so far
        here = accepted >= place
        drafted = x[:, place] if place < n else following
        token = np.where(accepted > place, drafted, following)[here]
        check_draws(token, Q[place].probs, detects=0.02)
    for place in range(n):
        came = accepted >= place
        rate = 1 - np.abs(P[place].probs - Q[place].probs).sum() / 2
        kept = (accepted > place)[came]
        check_draws(kept.astype(int), [1 - rate, rate], detects=0.02)


def test_greedy_drafts_and_targets():
    cold = [d.tempered(0) for d in P], [d.tempered(0) for d in Q]
    draft, target = batched(cold[0], 50, 2), batched(cold[1], 50, 3)
    x = draft.sample(rng=0)
    assert (x == [1, 3]).all()
    accepted, following = verify(x, draft, target, rng=0)
    assert (accepted == 0).all()  # the target's arg max is 0 there
    assert (following == 0).all()
    agree = verify(
        np.array([0, 1]),
        Categorical([[9.0, 0, 0, 0], [0, 9.0, 0, 0]], 0),
        Categorical([[1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 1.0, 0]], 0),
        rng=0,
    )
    assert agree == (2, 2)


def test_equal_distributions_accept_everything():
    same = batched(Q, 2000, 3)
    x = same[:, :2].sample(rng=0)
    accepted, following = verify(x, same[:, :2], same, rng=1)
    assert (accepted == 2).all()
    check_draws(following, Q[2].probs, detects=0.2)


def test_an_equal_seed_shares_no_noise():
    batch = 200_000
    draft, target = batched(P, batch, 1), batched(Q, batch, 2)
    x = draft.sample(rng=7)
    accepted, following = verify(x, draft, target, rng=7)
    token = np.where(accepted > 0, x[:, 0], following)
    check_draws(token, Q[0].probs, detects=0.02)


def test_shapes_and_rows():
    draft, target = batched(P, 3, 2), batched(Q, 3, 3)
    x = draft.sample(rng=0)
    whole = verify(x, draft, target, rng=[1, 2, 3])
    again = verify(x[[2, 0]], draft[[2, 0]], target[[2, 0]], rng=[3, 1])
    for a, b in zip(whole, again, strict=True):
        assert_array_equal(a[[2, 0]], b)
    one = verify(x[0], draft[0], target[0], rng=1)
    assert np.ndim(one[0]) == np.ndim(one[1]) == 0
    none = verify(np.empty((3, 0), int), batched(P, 3, 2)[:, :0], target[:, :1], rng=0)
    assert_array_equal(none[0], [0, 0, 0])
    cube = verify(x[None], draft[None], target[None], rng=0)
    assert cube[0].shape == (1, 3)
    cut = TopK(2)  # truncated distributions go in as they are
    assert verify(cut(draft).sample(rng=0), cut(draft), cut(target), rng=0)[1].shape == (3,)


def test_drafts_of_ragged_length():
    rng = np.random.default_rng(0)
    draft, target = (Categorical(rng.normal(size=(60, m, 5))) for m in (4, 5))
    x, lengths = draft.sample(rng=1), np.arange(60) % 5
    padded = np.where(np.arange(4) < lengths[:, None], x, 99)  # no token, and never read
    seeds = list(range(60))
    found = verify(padded, draft, target, lengths=lengths, rng=seeds)
    for i, n in enumerate(lengths):  # each as it is alone
        own = verify(x[i : i + 1, :n], draft[i : i + 1, :n], target[i : i + 1, : n + 1], rng=[i])
        assert (found[0][i], found[1][i]) == (own[0][0], own[1][0])
    assert set(found[0] - lengths) >= {0, -1}
    for all_of_them in (4, np.full(60, 4)):
        same = verify(x, draft, target, lengths=all_of_them, rng=seeds)
        assert_array_equal(same, verify(x, draft, target, rng=seeds))
    # what stands beyond a draft may be impossible under its distribution
    sure = draft.masked(np.arange(5) > 1)
    end = verify(np.zeros((60, 4), int) + 1, sure, target, lengths=0, rng=0)
    assert (end[0] == 0).all()
    none = verify(np.empty((3, 0), int), batched(P, 3, 0), batched(Q, 3, 1), lengths=[0, 0, 0])
    assert_array_equal(none[0], [0, 0, 0])
    for wrong, error, message in (
        (5, ValueError, "lengths must be in 0 … 4, got 5"),
        (-1, ValueError, "lengths must be in 0 … 4, got -1"),
        (2.0, TypeError, "lengths must be integers"),
        ([1, 2], ValueError, r"lengths must fit the batch axes \(60,\)"),
    ):
        with pytest.raises(error, match=message):
            verify(x, draft, target, lengths=wrong)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([0, 1], P[0], Q[0]), ValueError, r"target must have batch \(..., n \+ 1\)"),
        (([0, 1], P, Q[0]), TypeError, "draft must be a Categorical"),
        (
            ([[0]] * 3, batched(P, 3, 2), batched(Q, 3, 3)),
            ValueError,
            "draft_tokens must have shape",
        ),
        (
            ([[0, 0]] * 3, batched(P, 3, 2), batched(Q, 3, 2)),
            ValueError,
            r"draft must have batch \(3, 1\)",
        ),
        (
            ([[0, 4]] * 3, batched(P, 3, 2), batched(Q, 3, 3)),
            ValueError,
            "draft_tokens must be in 0 … 3",
        ),
        (
            ([[0.0, 1]] * 3, batched(P, 3, 2), batched(Q, 3, 3)),
            TypeError,
            "draft_tokens must be integers",
        ),
        (
            ([[0, 0]], Categorical([[[0.0, 1.0], [-inf, 0.0]]]), Categorical(np.zeros((1, 3, 2)))),
            ValueError,
            r"draft_tokens must have a probability above 0 under draft, .* in row \(0, 1\)",
        ),
        (
            ([[0, 0]], Categorical(np.zeros((1, 2, 3))), Categorical(np.zeros((1, 3, 2)))),
            ValueError,
            "draft must have 2 categories, got 3",
        ),
    ],
)
def test_drafts_that_do_not_fit(arguments, error, message):
    with pytest.raises(error, match=message):
        verify(*arguments, rng=0)


# ---------------------------------------------------------------------------- mirostat


@pytest.mark.parametrize("width", [200, LONG])
def test_mirostat_holds_its_surprise(width):
    dist = Categorical(np.random.default_rng(0).normal(0, 2, width))
    sampler = Mirostat(target=1.6, rate=0.1)
    state, rng, surprises = sampler.init(), np.random.default_rng(1), []
    for _ in range(3000):
        before = state
        token, state = sampler.step(dist, state, rng=rng)
        level = min(1.0, math.exp(-before))
        own = EpsilonCutoff(level)(dist)
        surprises.append(-own.log_prob(token))
        assert state == pytest.approx(before - 0.1 * (surprises[-1] - 1.6), rel=1e-9)
    assert np.mean(surprises) == pytest.approx(1.6, rel=0.05)


def test_mirostat_rows():
    dist = Categorical(np.random.default_rng(0).normal(0, 2, (3, 50)))
    sampler = Mirostat(2.0)
    assert sampler.init() == 4.0
    assert pickle.loads(pickle.dumps(sampler)) == sampler == Mirostat(target=2.0, rate=0.1)
    tokens, states = sampler.step(dist, sampler.init(), rng=[1, 2, 3])
    assert tokens.shape == states.shape == (3,)
    for i in range(3):
        token, state = sampler.step(dist[i : i + 1], np.array([4.0]), rng=[i + 1])
        assert token == tokens[i]
        assert state == pytest.approx(states[i], rel=1e-14)
    tokens, states = sampler.step(dist, states, rng=0)
    assert states.shape == (3,)
    assert sampler.step(dist, -5.0, rng=0)[0].tolist() == dist.mode().tolist()
    assert Mirostat(1.0, 1000.0).step(dist, -9000.0, rng=0)[0].shape == (3,)
    for state, message in ((math.nan, "state must be in"), ([1.0, 2.0], "state must fit")):
        with pytest.raises(ValueError, match=message):
            sampler.step(dist, state, rng=0)
    each = Mirostat([1.0, 2.0, 3.0], np.array([0.1, 0.5, 0.0625]))
    assert each.init().tolist() == [2, 4, 6]
    tokens, states = each.step(dist, each.init(), rng=[1, 2, 3])
    for i, own in enumerate([Mirostat(1.0), Mirostat(2.0, 0.5), Mirostat(3.0, 0.0625)]):
        token, state = own.step(dist[i : i + 1], own.init(), rng=[i + 1])
        assert (token[0], state[0]) == (tokens[i], states[i])
        surprise = -EpsilonCutoff(math.exp(-own.init()))(dist[i]).log_prob(tokens[i])
        assert state[0] == pytest.approx(own.init() - own.rate * (surprise - own.target), rel=1e-9)
    with pytest.raises(ValueError, match=r"target must fit the batch axes \(2,\)"):
        each.step(dist[:2], 1.0, rng=0)
    with pytest.raises(ValueError, match=r"rate must be in \(0, inf\), got 0"):
        Mirostat(1.0, [0.5, 0.0])
    with pytest.raises(ValueError, match=r"target must be in \(0, inf\), got 0"):
        Mirostat(0)
    with pytest.raises(ValueError, match=r"rate must be in \(0, inf\), got -1"):
        Mirostat(1, -1)


# ---------------------------------------------------------------------------- plugs

STAGE = chain(FrequencyPenalty(0.5), TopK(20), Temperature(0.7), TopP(0.9))


@pytest.mark.parametrize("width", [50, LONG])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_processor_on_numpy(width, dtype):
    rng = np.random.default_rng(0)
    z = rng.normal(0, 3, (3, width)).astype(dtype)
    ids = rng.integers(0, width, (3, 9))
    out = LogitsProcessor(STAGE)(ids, z)
    assert out.dtype == dtype
    assert out.shape == z.shape
    expected = STAGE(Categorical(z), ids).log_probs
    assert_allclose(out, expected.astype(dtype), rtol=2e-3 if dtype == np.float16 else 1e-6)
    one = LogitsProcessor(STAGE)(ids[0], z[0])
    assert_allclose(one, out[0], rtol=2e-3 if dtype == np.float16 else 1e-6)
    # a strided view, as llama-cpp-python hands it over
    wide = np.zeros((width, 2), dtype)
    wide[:, 0] = z[0]
    assert_allclose(LogitsProcessor(STAGE)(ids[0].astype(np.intc), wide[:, 0]), one, rtol=1e-6)
    assert np.isneginf(out).any()
    assert_allclose(np.exp(out.astype(float)).sum(-1), 1, rtol=1e-2)


def test_processor_is_a_value():
    made = LogitsProcessor(TopK(3))
    assert made == pickle.loads(pickle.dumps(made)) != LogitsProcessor(TopK(4))
    with pytest.raises(TypeError, match="scores must be floating, got dtype int64"):
        made([1], np.array([1, 2, 3]))
    with pytest.raises(TypeError, match="stage must be a Stage"):
        LogitsProcessor(lambda d: d)


@pytest.mark.frameworks
def test_processor_on_torch():
    torch = pytest.importorskip("torch")
    z = torch.tensor(np.random.default_rng(0).normal(0, 3, (2, LONG)), dtype=torch.float32)
    ids = torch.tensor([[1, 2, 2], [4, 4, 5]])
    out = LogitsProcessor(STAGE)(ids, z)
    assert out.dtype == torch.float32
    assert_allclose(out, STAGE(Categorical(z.numpy()), ids.numpy()).log_probs, rtol=1e-6)
    out[:] = 0  # the host may write into it
    narrow = LogitsProcessor(STAGE)(ids, z.to(torch.bfloat16))
    assert narrow.dtype == torch.bfloat16
    assert LogitsProcessor(STAGE)(ids[0], z[0]).shape == (LONG,)


@pytest.mark.frameworks
def test_transformers_generate():
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=1200,
        n_positions=64,
        n_embd=32,
        n_layer=2,
        n_head=2,
        bos_token_id=0,
        eos_token_id=None,
        pad_token_id=0,
    )
    model = transformers.GPT2LMHeadModel(config).eval()
    for weight in model.parameters():
        weight.data *= 8  # logits with something to truncate
    seen = []

    class Watched(LogitsProcessor):
        def __call__(self, input_ids, scores):
            out = super().__call__(input_ids, scores)
            seen.append(torch.isfinite(out))
            return out

    prompt = torch.tensor([[5, 6, 7], [8, 9, 10]])
    stage = chain(FrequencyPenalty(1.0), TopK(7), TopP(0.95))
    done = model.generate(
        prompt,
        attention_mask=torch.ones_like(prompt),
        logits_processor=transformers.LogitsProcessorList([Watched(stage)]),
        do_sample=True,
        temperature=1.0,
        top_k=0,
        top_p=1.0,
        max_new_tokens=20,
    )
    assert done.shape == (2, 23)
    assert len(seen) == 20
    for step, support in enumerate(seen):
        assert (support.sum(-1) <= 7).all()
        assert support.gather(1, done[:, 3 + step, None]).all()


# ---------------------------------------------------------------------------- presets


RAW = {"on": "logits"}


def test_presets_in_order():
    made = preset(
        "transformers",
        eta_cutoff=0.001,
        epsilon_cutoff=0.002,
        typical_p=0.9,
        min_p=0.05,
        top_p=0.95,
        top_k=40,
        top_h=0.5,
        temperature=0.7,
        suppress_tokens=[17, 18],
        exponential_decay_length_penalty=(5, 1.1),
        forced_eos_token_id=2,
        forced_bos_token_id=1,
        max_length=20,
        eos_token_id=[2, 3],
        min_new_tokens=4,
        min_length=7,
        bad_words_ids=[[9, 8], [3], [4]],
        encoder_no_repeat_ngram_size=4,
        no_repeat_ngram_size=3,
        repetition_penalty=1.2,
        encoder_repetition_penalty=1.25,
        sequence_bias=[[[5, 6], -2.0], [[7], 1.5]],
    )
    assert made == chain(
        SequenceBias({(5, 6): -2.0, (7,): 1.5}, **RAW),
        RepetitionPenalty(0.8, of="prompt", **RAW),
        RepetitionPenalty(1.2, **RAW),
        NoRepeatNgram(3, **RAW),
        NoRepeatNgram(4, of="prompt", **RAW),
        BanSequences([[9, 8], [4]], **RAW),  # the end alone is no bad word
        MinLength(7, [2, 3], **RAW),
        MinLength(4, [2, 3], of="output", **RAW),
        Force(1, 1, **RAW),
        Force(2, 19, **RAW),
        LengthDecay(5, 1.1, [2, 3], **RAW),
        Ban([17, 18], **RAW),
        Temperature(0.7),
        chain(TopK(100), TopH(0.5, cumulative=True)),
        TopK(40),
        TopP(0.95),
        MinP(0.05),
        Typical(0.9),
        EpsilonCutoff(0.002),
        EtaCutoff(0.001),
    )
    made = preset(
        "vllm",
        top_p=0.9,
        top_k=50,
        min_p=0.1,
        temperature=0.5,
        presence_penalty=0.1,
        frequency_penalty=0.2,
        repetition_penalty=1.1,
        logit_bias={3: 1.0},
        bad_words=[[4], [5, 6]],
        min_tokens=2,
        stop_token_ids=[0],
        allowed_token_ids=[1, 3],
    )
    assert made == chain(
        Allow([1, 3], **RAW),
        BanSequences([[4], [5, 6]], of="output", **RAW),
        MinLength(2, 0, of="output", **RAW),
        LogitBias({3: 1.0}, **RAW),
        RepetitionPenalty(1.1, **RAW),
        FrequencyPenalty(0.2, **RAW),
        PresencePenalty(0.1, **RAW),
        Temperature(0.5),
        MinP(0.1),
        TopK(50),
        TopP(0.9),
    )
    made = preset(
        "llama.cpp",
        temperature=0.8,
        xtc_probability=0.5,
        xtc_threshold=0.1,
        min_p=0.05,
        top_p=0.95,
        typical_p=0.9,
        top_k=40,
        top_n_sigma=1.5,
        dry_multiplier=0.8,
        dry_breakers=[13],
        repeat_penalty=1.1,
        frequency_penalty=0.1,
        presence_penalty=0.2,
        logit_bias={7: -1.0},
        min_keep=2,
    )
    assert made == chain(
        LogitBias({7: -1.0}, **RAW),
        RepetitionPenalty(1.1, last=64, **RAW),
        FrequencyPenalty(0.1, of="all", last=64, **RAW),
        PresencePenalty(0.2, of="all", last=64, **RAW),
        DRY(0.8, 1.75, 2, [13], last=64, **RAW),
        TopNSigma(1.5),
        TopK(40),
        Typical(0.9, min_keep=2),
        TopP(0.95, min_keep=2),
        MinP(0.05, min_keep=2),
        XTC(0.1, 0.5, then=chain(Temperature(0.8)), min_keep=2),
    )
    assert made(Categorical(np.arange(20.0)), [1, 2, 7]).probs.sum() == pytest.approx(1)


def test_presets_that_are_off_or_greedy():
    assert preset("transformers", temperature=1.0, top_k=0, top_p=1.0, min_p=None) == Chain(())
    assert preset("vllm", top_k=-1, top_p=1.0, temperature=1.0) == Chain(())
    assert preset("vllm", temperature=0) == chain(Temperature(0))
    assert preset("vllm", temperature=1e-6) == chain(Temperature(0.01))  # as low as it goes
    assert preset("llama.cpp", temperature=0.0) == chain(Temperature(0))
    assert preset("llama.cpp", temperature=-1.0) == chain(Temperature(0))
    assert preset(
        "llama.cpp",
        top_k=0,
        top_n_sigma=-1,
        typical_p=1.0,
        xtc_threshold=0.9,
        xtc_probability=0.5,
        penalty_last_n=0,
        repeat_penalty=1.5,
    ) == Chain(())
    assert preset("llama.cpp", temperature=1.0, dynatemp_range=0.5, dynatemp_exponent=2.0) == chain(
        DynamicTemperature(0.5, 1.5, 2.0)
    )
    assert preset("llama.cpp", penalty_last_n=-1, repeat_penalty=1.5) == chain(
        RepetitionPenalty(1.5, **RAW)
    )
    assert preset("transformers", epsilon_cutoff=1.0, eta_cutoff=1.0) == Chain(())
    warm = preset("llama.cpp", temperature=0.0, dynatemp_range=0.5)
    assert warm == chain(DynamicTemperature(0.0, 0.5, 1.0))
    assert preset("llama.cpp", top_p=1.5, min_p=-1, typical_p=2) == Chain(())  # off, there
    assert preset("llama.cpp", min_p=1.05, top_p=-1.0, typical_p=-1.0) == chain(
        Typical(0.0), TopP(0.0), MinP(1.0)
    )
    assert preset("llama.cpp", xtc_probability=2.0, xtc_threshold=-1.0) == chain(XTC(0.0, 1.0))
    assert preset("llama.cpp", dry_multiplier=0.8, dry_allowed_length=0) == chain(
        DRY(0.8, 1.75, 0, last=64, **RAW)
    )
    assert preset("transformers", min_length=3, forced_bos_token_id=0, eos_token_id=None) == chain(
        Force(0, 1, **RAW)  # without an end no text is too short
    )
    assert preset(
        "transformers", forced_eos_token_id=2, max_new_tokens=5, encoder_no_repeat_ngram_size=2,
        encoder_input_ids=[3, 4], prompt_length=7,
    ) == chain(
        NoRepeatNgram(2, of=[3, 4], prompt_length=7, **RAW),
        Force(2, 4, of="output", prompt_length=7, **RAW),
    )  # fmt: skip
    for style, bad in (
        ("transformers", {"top_p": 1.5}),
        ("transformers", {"top_p": math.nan}),
        ("transformers", {"temperature": -1.0}),
        ("transformers", {"min_p": -0.5}),
        ("transformers", {"top_h": 2}),
        ("vllm", {"temperature": -1.0}),
        ("vllm", {"min_p": -1.0}),
    ):
        with pytest.raises(ValueError, match="must be in"):
            preset(style, **bad)
    with pytest.raises(ValueError, match="style must be one of"):
        preset("gemini")
    with pytest.raises(TypeError, match="vllm has no parameter 'typical_p'"):
        preset("vllm", typical_p=0.5)
    with pytest.raises(ValueError, match=r"p must be in \[0, 1\], got -1"):
        preset("vllm", top_p=-1)


# ---------------------------------------------------------------------------- other namespaces


@pytest.mark.frameworks
def test_torch_tensors():
    torch = pytest.importorskip("torch")
    draft = Categorical(torch.tensor(batched(P, 5, 2).logits))
    target = Categorical(torch.tensor(batched(Q, 5, 3).logits))
    x = draft.sample(rng=0)
    accepted, following = verify(x, draft, target, rng=1)
    same = verify(x.numpy(), batched(P, 5, 2), batched(Q, 5, 3), rng=1)
    assert_array_equal(accepted, same[0])
    assert_array_equal(following, same[1])
    token, state = Mirostat(1.0).step(draft[:, 0], torch.full((5,), 2.0), rng=0)
    assert isinstance(token, torch.Tensor)
    assert isinstance(state, torch.Tensor)
    token, state = Mirostat(1.0).step(draft[:, 0], 2.0, rng=0)
    assert isinstance(state, torch.Tensor)
    assert state.dtype == torch.float64
    for logits in (torch.randn(3, 5, requires_grad=True), torch.tensor([[0.0, -900, -900]])):
        leaf = logits.detach().double().requires_grad_()
        warm = DynamicTemperature(0.5, 1.0, 0.5)(Categorical(leaf))
        warm.probs[:, 0].sum().backward()
        assert torch.isfinite(leaf.grad).all()
    heat = torch.tensor([0.1, 0.5, 0.9], requires_grad=True)
    assert Temperature(heat)(Categorical(np.zeros((3, 2000)))).batch_shape == (3,)


@pytest.mark.frameworks
def test_jax_arrays():
    jax = pytest.importorskip("jax")
    draft = Categorical(jax.numpy.asarray(batched(P, 50_000, 2).logits))
    target = Categorical(jax.numpy.asarray(batched(Q, 50_000, 3).logits))
    key = jax.random.key(0)
    x = draft.sample(rng=key)

    sampler = Mirostat(2.0)
    small = Categorical(jax.numpy.zeros((2, 9)))
    for step in (sampler.step, jax.jit(lambda d, s, rng: sampler.step(d, s, rng=rng))):
        token, state = step(small, np.array([2.0, 3.0]), rng=key)
        assert token.shape == state.shape == (2,)
        token, state = step(small[0], 4.0, rng=key)
        assert state == pytest.approx(4 - 0.1 * (math.log(9) - 2), rel=1e-5)

    @jax.jit
    def run(x, draft, target):
        return verify(x, draft, target, rng=key)

    for accepted, following in (verify(x, draft, target, rng=key), run(x, draft, target)):
        token = np.where(np.asarray(accepted) > 0, np.asarray(x)[:, 0], np.asarray(following))
        check_draws(token, Q[0].probs, detects=0.05)


@pytest.mark.frameworks
def test_llama_cpp_python():
    llama_cpp = pytest.importorskip("llama_cpp")
    table = np.zeros(LONG, [("id", np.intc), ("logit", np.single), ("p", np.single)])
    table["logit"] = np.random.default_rng(0).normal(0, 3, LONG)
    ids = np.array([5, 6, 5], np.intc)
    both = llama_cpp.LogitsProcessorList([LogitsProcessor(STAGE), LogitsProcessor(TopK(3))])
    out = both(ids, table["logit"])
    assert out.dtype == np.single
    assert np.isfinite(out).sum() == 3
    expected = TopK(3)(STAGE(Categorical(table["logit"]), ids)).log_probs
    assert_allclose(out, expected, rtol=1e-5)
