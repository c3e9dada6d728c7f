"""Presets against the projects that they name, on logits that are random, tied, masked or peaked.

No draws here: probabilities are compared, to the rounding of float32, in which the others compute.
"""

import ctypes
import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

from softargmax import Categorical
from softargmax.tokens import (
    Ban,
    DynamicTemperature,
    Force,
    FrequencyPenalty,
    LengthDecay,
    LogitBias,
    MinP,
    Mirostat,
    NoRepeatNgram,
    RepetitionPenalty,
    Temperature,
    TopK,
    TopP,
    chain,
    preset,
)

inf = math.inf
K, PROMPT = 40, 4
HISTORY = [3, 5, 3, 9, 7, 3, 5, 7, 7, 3]


def adversarial():
    """Logits (float32) of many kinds, none of them such that the order of ties decides."""
    rng = np.random.default_rng(0)
    some = rng.normal(0, 3, (6, K))
    shifted = some[:2] + np.array([[12.0], [-25.0]])
    masked = np.where(rng.random((2, K)) < 0.3, -inf, some[2:4])
    peaked = some[4:5].copy()
    peaked[0, 3] += 40  # a repeated token
    tied = np.where(np.arange(K) % 2 == 0, 1.5, some[5:6] - 9)
    flat = np.zeros((1, K))
    return np.concatenate([some, shifted, masked, peaked, tied, flat]).astype(np.float32)


LOGITS = adversarial()
UNTIED = LOGITS[:-2]


def close(ours, theirs):
    assert_allclose(ours, theirs, rtol=2e-4, atol=1e-7)


# ---------------------------------------------------------------------------- edits of logits


def test_a_repetition_penalty_on_logits():
    z = np.array([2.0, -1.0, 0.5, 0.0])
    dist = Categorical(z)
    on_logits = RepetitionPenalty(1.25, on="logits")
    found = on_logits(dist, [0, 1, 1, 3])
    assert_allclose(found.logits, [1.6, -1.25, 0.5, 0.0], rtol=1e-15)
    # below 1 it is a reward
    assert_allclose(RepetitionPenalty(0.5, on="logits")(dist, [0, 1]).logits, [4.0, -0.5, 0.5, 0])
    # the temperature and the mask of the distribution stay
    cold = Categorical(z, 0.5, mask=[True, True, False, True])
    found = on_logits(cold, [0, 1])
    assert found.temperature == 0.5
    assert_allclose(found.probs, Categorical([1.6, -1.25, -inf, 0], 0.5).probs, rtol=1e-14)
    # what a truncation dropped stays dropped
    for width in (4, 2000):
        wide = Categorical(np.concatenate([z, np.full(width - 4, -3.0)]))
        cut = on_logits(TopK(2)(wide), [0, 3])
        assert_allclose(cut.probs[:4], Categorical([1.6, -inf, 0.5, -inf]).probs, rtol=1e-14)
        assert cut.probs[4:].sum() == 0
    with pytest.raises(ValueError, match="on must be one of"):
        RepetitionPenalty(1.2, on="z")


# A likely token whose logit is 24.53, in the history; transformers leaves 0.022 of its 0.573.
LIKELY = np.full((1, K), 24.53 + math.log(0.427 / 0.573 / (K - 1)), np.float32)
LIKELY[0, 3] = 24.53


def test_likely_tokens_fall_on_logits_alone():
    dist, history = Categorical(LIKELY), [HISTORY[:1]]
    made = preset("transformers", repetition_penalty=1.2)
    p = [stage(dist, history).probs[0, 3] for stage in (chain(), RepetitionPenalty(1.2), made)]
    assert_allclose(p, [0.573, 0.5456, 0.022], atol=1e-4)


@pytest.mark.parametrize("width", [6, 1200])
@pytest.mark.parametrize(
    ("stage", "expected"),
    [
        (LogitBias({1: 2.0, 0: -inf}, on="logits"), lambda z: [-inf, z[1] + 2, *z[2:]]),
        (Ban([2, 5], on="logits"), lambda z: [*z[:2], -inf, *z[3:5], -inf, *z[6:]]),
        (FrequencyPenalty(0.5, on="logits"), lambda z: [z[0] - 1, z[1] - 0.5, *z[2:]]),
        (NoRepeatNgram(1, on="logits"), lambda z: [-inf, -inf, *z[2:]]),
        (Force([3, 4], 3, on="logits"), lambda z: [-inf] * 3 + [0.0, 0.0] + [-inf] * (len(z) - 5)),
        (
            LengthDecay(1, 1.5, [0, 1], on="logits"),  # 2 tokens beyond
            lambda z: [z[0] + 1.25 * abs(z[0]), z[1] + 1.25 * abs(z[1]), *z[2:]],
        ),
    ],
    ids=lambda x: type(x).__name__,
)
def test_every_edit_has_its_logits(stage, expected, width):
    z = np.random.default_rng(1).normal(0, 2, (2, width))
    z[0, :2] = 3.0, -2.0
    z[1, 3] = -inf
    dist = Categorical(z)
    found = stage(dist, [[0, 1, 0]] * 2)
    assert_allclose(found.logits, [expected(row) for row in z.tolist()], rtol=1e-14)
    assert_allclose(dist.logits, z)  # untouched
    one = stage(dist[1], [0, 1, 0])
    assert_allclose(one.logits, found.logits[1])


def test_a_row_must_keep_a_token_on_logits():
    with pytest.raises(ValueError, match="Ban must leave a token, got none in row 1"):
        Ban([0, 1], on="logits")(Categorical([[0.0, 0, 1], [0.0, 0, -inf]]))
    with pytest.raises(ValueError, match="Ban must leave a token, got none"):
        Ban([0, 1], on="logits")(Categorical(np.zeros(3), mask=[True, True, False]))
    empty = Categorical(np.zeros((0, 3)))
    assert Ban([0], on="logits")(empty).batch_shape == (0,)


@pytest.mark.frameworks
@pytest.mark.parametrize("width", [6, 1200])
def test_edits_of_logits_elsewhere(width):
    torch, jax = pytest.importorskip("torch"), pytest.importorskip("jax")
    z = np.random.default_rng(2).normal(0, 2, (3, width)).astype(np.float32)
    z[1, 3], z[1, 4] = 2.0, -inf  # forced alike all the same
    history = [[0, 1, 0], [2], []]
    stages = [
        RepetitionPenalty(1.3, on="logits"),
        LengthDecay(1, 1.5, 0, on="logits"),
        LogitBias({2: 1.0, 1: -inf}, on="logits"),
        Force([3, 4], 1, on="logits"),
    ]
    for stage in (*stages, chain(*stages[:3])):
        expected = stage(Categorical(z), history)
        leaf = torch.tensor(z, requires_grad=True)
        for x in (torch.tensor(z), leaf, jax.numpy.asarray(z)):
            found = stage(Categorical(x), history)
            assert type(found.logits) is type(x) or isinstance(x, jax.Array)
            assert_allclose(np.asarray(found.log_probs.detach() if x is leaf else found.log_probs),
                            expected.log_probs, rtol=1e-4, atol=1e-5)  # fmt: skip
        stage(Categorical(leaf), history).probs[:, 0].sum().backward()
        assert torch.isfinite(leaf.grad).all()


# ---------------------------------------------------------------------------- what may be passed


def test_defaults_and_spellings():
    assert preset("vllm", defaults=True) == chain()
    assert preset("transformers", defaults=True) == chain(TopK(50))
    assert preset("transformers", defaults=True, top_k=0, top_p=0.9) == chain(TopP(0.9))
    assert preset("transformers", defaults=True, top_k=None) == chain(TopK(50))
    assert preset("transformers", defaults=True, top_k=0, forced_eos_token_id=2) == chain(
        Force(2, 19, on="logits")
    )
    usual = chain(TopK(40), TopP(0.95), MinP(0.05), Temperature(0.8))
    assert preset("llama.cpp", defaults=True) == usual
    assert preset("llama.cpp", defaults=True, temp=0.8, repeat_last_n=64) == usual
    assert preset("llama.cpp", temp=0.5, repeat_last_n=3, penalty_repeat=1.1) == preset(
        "llama.cpp", temperature=0.5, penalty_last_n=3, repeat_penalty=1.1
    )
    assert preset("llama.cpp", temp=0.5, dynatemp_range=0.25, dynatemp_exp=2.0) == chain(
        DynamicTemperature(0.25, 0.75, 2.0)
    )
    with pytest.raises(TypeError, match="temperature must be given once, got it and another"):
        preset("llama.cpp", temperature=0.5, temp=0.5)
    with pytest.raises(TypeError, match="vllm has no parameter 'temp'"):
        preset("vllm", temp=0.5)


def test_one_number_for_each_request():
    heat, k = [0.7, 1.0, 0.0], np.array([0, 5, -1])
    made = preset(
        "vllm", temperature=heat, top_k=k, repetition_penalty=1.3, prompt_length=[2, 0, 1]
    )
    history = [[1, 2, 3], [], [5, 5]]
    dist = Categorical(LOGITS[:3])
    found = made(dist, history).probs
    for i in range(3):
        own = preset(
            "vllm",
            temperature=heat[i],
            top_k=int(k[i]),
            repetition_penalty=1.3,
            prompt_length=[2, 0, 1][i],
        )
        assert_allclose(found[i], own(dist[i], history[i]).probs, rtol=3e-6)
        assert made.stages[0].stages[i] == own
    limits = {"top_h": [0.3, 0.5, 0.9], "max_length": [4, 2, 9]}  # numbers, though None is "off"
    ended = preset("transformers", temperature=[*heat[:2], 2.0], forced_eos_token_id=4, **limits)
    for i, own in enumerate(ended.stages[0].stages):
        one = {name: row[i] for name, row in limits.items()}
        heated = [0.7, 1.0, 2.0][i]
        assert own == preset("transformers", temperature=heated, forced_eos_token_id=4, **one)
    assert preset("vllm", top_k=[2**40, 1]).stages[0].stages == (
        preset("vllm", top_k=2**40),
        preset("vllm", top_k=1),
    )
    for wrong in ("hot", [1.0, None], ["1", "2"], True):
        with pytest.raises(TypeError, match="temperature must be a number, got"):
            preset("vllm", temperature=wrong)
    with pytest.raises(ValueError, match="top_k must have one number for each request, 3 as temp"):
        preset("vllm", temperature=heat, top_k=[1, 2])
    with pytest.raises(ValueError, match="temperature must be a number or a 1-d array, got shape"):
        preset("vllm", temperature=[[1.0]])
    with pytest.raises(ValueError, match="dist must have one row for each of 3 stages"):
        made(dist[:2], [[1], [2]])


def test_mirostat_of_llama_cpp():
    made = preset("llama.cpp", mirostat=2, mirostat_tau=3.0, mirostat_eta=0.2, temp=0.5, top_k=3)
    assert made == chain(Temperature(0.5), Mirostat(3 * math.log(2), 0.2))
    assert preset("llama.cpp", mirostat_mode=1, logit_bias={1: 2.0}) == chain(
        LogitBias({1: 2.0}, on="logits"), Mirostat(5 * math.log(2), 0.1, version=1)
    )
    assert made.adaptive
    with pytest.raises(ValueError, match=r"mirostat of llama\.cpp: version must be"):
        preset("llama.cpp", mirostat=3)


def test_a_value_out_of_range_is_named_as_it_was_given():
    with pytest.raises(ValueError, match=r"^top_p of transformers: p must be in \[0, 1\], got 3"):
        preset("transformers", top_k=5, top_p=3)
    with pytest.raises(ValueError, match="repetition_penalty of vllm: theta must"):
        preset("vllm", repetition_penalty=[1.0, -2.0])
    for style, name, given in (
        ("vllm", "top_p", {"min_tokens": 3, "stop_token_ids": [5], "top_p": 2}),
        ("transformers", "top_p", {"forced_eos_token_id": 3, "max_length": 10, "top_p": 2}),
        ("llama.cpp", "mirostat_tau", {"mirostat": 2, "mirostat_tau": -1}),
        ("llama.cpp", "dynatemp_exponent", {"dynatemp_range": 0.3, "dynatemp_exponent": math.inf}),
        ("llama.cpp", "penalty_last_n", {"penalty_last_n": 1.5, "repeat_penalty": 1.1}),
    ):
        with pytest.raises((TypeError, ValueError), match=f"^{name} of {style}: "):
            preset(style, **given)
    with pytest.raises(TypeError, match=r"^min_tokens needs stop_token_ids"):
        preset("vllm", min_tokens=2)


# ---------------------------------------------------------------------------- transformers

TRANSFORMERS = [
    {"temperature": 0.7, "top_k": 12, "top_p": 0.8},
    {"repetition_penalty": 1.2},
    {"repetition_penalty": 0.8, "temperature": 1.7},
    {"repetition_penalty": 1.3, "encoder_repetition_penalty": 1.25, "top_p": 0.9},
    {"sequence_bias": {(3, 5): 4.0, (7,): -1.5, (7, 3, 11): 2.5}, "repetition_penalty": 1.4},
    {"no_repeat_ngram_size": 2, "encoder_no_repeat_ngram_size": 2, "repetition_penalty": 1.1},
    {"bad_words_ids": [[7, 3, 6], [9], [2]], "repetition_penalty": 1.2, "top_k": 20},
    {"exponential_decay_length_penalty": (2, 1.1), "repetition_penalty": 1.5},
    {"min_new_tokens": 9, "repetition_penalty": 1.2},
    {"min_length": 20, "typical_p": 0.6},
    {"min_length": 5, "exponential_decay_length_penalty": (0, 1.05)},
    {"forced_eos_token_id": 2, "max_length": len(HISTORY) + 1, "temperature": 0.3},
    {"suppress_tokens": [1, 3], "min_p": 0.1, "temperature": 1.3},
    {"top_h": 0.4, "temperature": 1.5},
    {"top_h": 0.9, "repetition_penalty": 1.2, "top_k": 30},
    {"epsilon_cutoff": 0.02, "typical_p": 0.9, "repetition_penalty": 1.2},
    {"eta_cutoff": 0.05, "temperature": 0.9, "min_p": 0.02},
]


@pytest.fixture(scope="module")
def theirs():
    """Probabilities of transformers' own list of processors."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    model = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(
            vocab_size=K,
            n_positions=8,
            n_embd=4,
            n_layer=1,
            n_head=1,
            bos_token_id=0,
            eos_token_id=2,
        )
    )

    def probs(z, params, defaults, history=HISTORY):
        config = transformers.GenerationConfig(do_sample=True, eos_token_id=2, **params)
        off = {"top_k": 0, "max_length": 20}
        unset = model.generation_config._get_default_generation_params()
        for name, value in (unset if defaults else {**unset, **off}).items():
            if getattr(config, name, None) is None:
                setattr(config, name, value)
        config._eos_token_tensor = torch.tensor([2])
        ids = torch.tensor([history] * len(z))
        processors = model._get_logits_processor(
            config,
            input_ids_seq_length=PROMPT,
            encoder_input_ids=ids[:, :PROMPT],
            device="cpu",
            model_kwargs={},
        )
        return processors(ids, torch.tensor(z)).softmax(-1).numpy()

    return probs


@pytest.mark.frameworks
@pytest.mark.parametrize("params", TRANSFORMERS, ids=lambda p: "-".join(p))
@pytest.mark.parametrize("defaults", [False, True])
def test_transformers(theirs, params, defaults):
    # The order of tied tokens decides there what mass and entropy keep.
    by_order = {"top_p", "top_h", "typical_p"} & set(params)
    z = UNTIED if by_order else LOGITS
    made = preset("transformers", eos_token_id=2, prompt_length=PROMPT, defaults=defaults, **params)
    ours = made(Categorical(z), [HISTORY] * len(z)).probs
    close(ours, theirs(z, params, defaults))


@pytest.mark.frameworks
def test_a_likely_token_in_transformers(theirs):
    found = theirs(LIKELY, {"repetition_penalty": 1.2}, defaults=False, history=HISTORY[:1])
    assert found[0, 3] == pytest.approx(0.022, abs=1e-4)


# ---------------------------------------------------------------------------- llama.cpp

# In the order of its common_sampler_init.
LLAMA_CPP = [
    {"top_k": 12, "top_p": 0.8, "temp": 0.7},
    {"repeat_penalty": 1.2, "repeat_last_n": 64},
    {"repeat_penalty": 1.3, "frequency_penalty": 0.4, "presence_penalty": -0.3, "repeat_last_n": 3},
    {"logit_bias": {3: 2.0, 5: -4.0, 7: -inf}, "repeat_penalty": 1.5, "temp": 1.4},
    {"repeat_penalty": 0.8, "repeat_last_n": 0, "min_p": 0.05},
    {"repeat_penalty": 1.1, "min_p": 0.1, "min_keep": 4},
    {"dry_multiplier": 0.8, "dry_allowed_length": 1, "repeat_penalty": 1.2},
    {"dry_multiplier": 0.8, "dry_base": 1.2, "dry_allowed_length": 0, "dry_penalty_last_n": 6},
    {"top_n_sigma": 1.2, "temp": 1.5},
    {"typical_p": 0.5, "repeat_penalty": 1.2},
    {"typical_p": 0.7, "top_p": 0.6, "min_keep": 3, "temp": 0.5},
    {"temp": 0.9, "dynatemp_range": 0.4, "dynatemp_exponent": 1.5, "repeat_penalty": 1.2},
    {"temp": 0.2, "dynatemp_range": 0.4, "top_k": 9},
    {"xtc_probability": 1.0, "xtc_threshold": 0.1, "top_k": 20},
    {"xtc_probability": 1.0, "xtc_threshold": 0.02, "min_keep": 5, "temp": 0.6},
    {"temp": 0.0, "top_k": 4},
]


class LlamaCpp:
    """llama.cpp's own samplers, by name and arguments."""

    def __init__(self, lib, steps):
        self.lib = lib
        self.chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
        for name, *arguments in steps:
            made = getattr(lib, f"llama_sampler_init_{name}")(*arguments)
            lib.llama_sampler_chain_add(self.chain, made)

    def __call__(self, z):
        """Probabilities, and the token that the last sampler drew, if it does."""
        table = np.zeros(len(z), [("id", np.int32), ("logit", np.float32), ("p", np.float32)])
        table["id"], table["logit"] = np.arange(len(z)), z
        pointer = table.ctypes.data_as(ctypes.POINTER(self.lib.llama_token_data))
        left = self.lib.llama_token_data_array(pointer, len(z), -1, False)
        self.lib.llama_sampler_apply(self.chain, ctypes.byref(left))
        logits = np.full(len(z), -inf)
        for i in range(left.size):
            logits[left.data[i].id] = left.data[i].logit
        return Categorical(logits).probs, left.data[max(left.selected, 0)].id


def llama_cpp_steps(lib, v):
    """The samplers that common_sampler_init makes."""
    pairs = (lib.llama_logit_bias * (1 + len(v["logit_bias"])))()
    for pair, (token, bias) in zip(pairs, v["logit_bias"].items(), strict=False):
        pair.token, pair.bias = token, bias
    keep, of_dry = v["min_keep"], ("multiplier", "base", "allowed_length", "penalty_last_n")
    return [
        ("logit_bias", K, len(v["logit_bias"]), pairs),
        ("penalties", K, v["repeat_last_n"],
         v["repeat_penalty"], v["frequency_penalty"], v["presence_penalty"]),
        ("dry", None, *(v[f"dry_{name}"] for name in of_dry), None, 0),
        ("top_n_sigma", v["top_n_sigma"]),
        ("top_k", v["top_k"]),
        ("typical", v["typical_p"], keep),
        ("top_p", v["top_p"], keep),
        ("min_p", v["min_p"], keep),
        ("xtc", v["xtc_probability"], v["xtc_threshold"], keep, 1),
        ("temp_ext", v["temp"], v["dynatemp_range"], v["dynatemp_exponent"]),
    ]  # fmt: skip


OFF = {
    "logit_bias": {}, "repeat_last_n": 64, "repeat_penalty": 1.0, "frequency_penalty": 0.0,
    "presence_penalty": 0.0, "dry_multiplier": 0.0, "dry_base": 1.75, "dry_allowed_length": 2,
    "dry_penalty_last_n": 64, "top_n_sigma": -1.0, "top_k": 0, "typical_p": 1.0, "top_p": 1.0,
    "min_p": 0.0, "xtc_probability": 0.0, "xtc_threshold": 0.1, "temp": 1.0,
    "dynatemp_range": 0.0, "dynatemp_exponent": 1.0, "min_keep": 0,
}  # fmt: skip
COMMON = {"top_k": 40, "top_p": 0.95, "min_p": 0.05, "temp": 0.8}


@pytest.mark.frameworks
@pytest.mark.parametrize("params", LLAMA_CPP, ids=lambda p: "-".join(p))
@pytest.mark.parametrize("defaults", [False, True])
def test_llama_cpp(params, defaults):
    lib = pytest.importorskip("llama_cpp").llama_cpp
    made = preset("llama.cpp", defaults=defaults, **params)
    unset = {**OFF, **COMMON} if defaults else OFF
    by_order = set(params) - {"logit_bias", "temp", "repeat_penalty", "repeat_last_n"} or defaults
    for z in UNTIED if by_order else LOGITS:
        # there the entropy of tokens with p = 0 is NaN, and they count as candidates
        if np.isneginf(z).any() and {"typical_p", "dynatemp_range"} & set(params):
            continue
        engine = LlamaCpp(lib, llama_cpp_steps(lib, {**unset, **params}))
        for token in HISTORY:
            lib.llama_sampler_accept(engine.chain, token)
        close(made(Categorical(z), HISTORY).probs, engine(z)[0])


@pytest.mark.frameworks
@pytest.mark.parametrize("version", [1, 2])
def test_llama_cpp_with_mirostat(version):
    lib = pytest.importorskip("llama_cpp").llama_cpp
    tau, eta = 2.5, 0.3
    last = {1: ("mirostat", K, 1, tau, eta, 100), 2: ("mirostat_v2", 1, tau, eta)}[version]
    engine = LlamaCpp(lib, [("temp", 1.2), last])
    stage = preset("llama.cpp", mirostat=version, mirostat_tau=tau, mirostat_eta=eta, temp=1.2)
    rng, sizes = np.random.default_rng(3), set()
    for _ in range(60):
        z = rng.normal(0, 2, K).astype(np.float32)
        dist, (expected, token) = Categorical(z), engine(z)
        found = stage(dist).probs
        close(found, expected)
        sizes.add(int((found > 0).sum()))
        stage = stage.updated(dist, token)
    assert len(sizes) > 5  # μ moved


# ---------------------------------------------------------------------------- vLLM

VLLM = [
    {"temperature": 0.7, "top_k": 12, "top_p": 0.8},
    {"repetition_penalty": 1.2, "top_k": -1},
    {"repetition_penalty": 1.3, "frequency_penalty": 0.4, "presence_penalty": -0.3},
    {"bad_words": [[7, 3, 6], [9]], "repetition_penalty": 0.8, "temperature": 1.6},
    {"bad_words": [[3, 5], [3, 11]], "top_p": 0.9, "frequency_penalty": 1.0},
    {"temperature": 0.004, "repetition_penalty": 1.1},
    {"min_p": 0.05, "temperature": 1.2, "presence_penalty": 0.5},
]


@pytest.mark.frameworks
@pytest.mark.parametrize("params", VLLM, ids=lambda p: "-".join(p))
def test_vllm(params):
    torch, sample = pytest.importorskip("torch"), pytest.importorskip("vllm.v1.sample.sampler")
    from vllm.model_executor.layers.utils import apply_penalties
    from vllm.v1.sample.ops.bad_words import apply_bad_words
    from vllm.v1.sample.ops.topk_topp_sampler import apply_top_k_top_p_pytorch

    z = UNTIED if "top_p" in params else LOGITS
    rows = len(z)

    def column(name, off):
        return torch.full((rows,), params.get(name, off), dtype=torch.float32)

    logits, output = torch.tensor(z), HISTORY[PROMPT:]
    words = dict.fromkeys(range(rows), params.get("bad_words", []))
    apply_bad_words(logits, words, [output] * rows)
    logits = apply_penalties(
        logits,
        torch.tensor([HISTORY[:PROMPT]] * rows),
        torch.tensor([output] * rows),
        column("presence_penalty", 0),
        column("frequency_penalty", 0),
        column("repetition_penalty", 1),
    )
    logits = sample.Sampler.apply_temperature(
        logits, column("temperature", 1).clip(min=0.01), all_random=True
    )
    p = logits.softmax(-1)
    logits[p < params.get("min_p", 0.0) * p.amax(-1, keepdim=True)] = -inf  # MinPLogitsProcessor
    k = params.get("top_k", 0)
    logits = apply_top_k_top_p_pytorch(
        logits, torch.full((rows,), k if k > 0 else K), column("top_p", 1)
    )
    made = preset("vllm", prompt_length=PROMPT, **params)
    close(made(Categorical(z), [HISTORY] * rows).probs, logits.softmax(-1).numpy())
