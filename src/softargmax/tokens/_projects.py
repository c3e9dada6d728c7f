"""What other projects have: their parameters, what those mean, and in which order."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from softargmax.tokens._allow import Allow
from softargmax.tokens._edits import Ban, DynamicTemperature, LogitBias, Temperature
from softargmax.tokens._history import is_sequence
from softargmax.tokens._lengths import Force, LengthDecay, MinLength
from softargmax.tokens._mirostat import Mirostat
from softargmax.tokens._penalties import (
    DRY,
    FrequencyPenalty,
    NoRepeatNgram,
    PresencePenalty,
    RepetitionPenalty,
)
from softargmax.tokens._sequences import BanSequences, SequenceBias
from softargmax.tokens._stage import Stage, chain
from softargmax.tokens._truncations import (
    EpsilonCutoff,
    EtaCutoff,
    MinP,
    TopH,
    TopK,
    TopNSigma,
    TopP,
    Typical,
)
from softargmax.tokens._xtc import XTC


class Project(NamedTuple):
    """What a style has: its parameters by their values for "off", and the chain of them."""

    build: Callable[[dict[str, Any]], list[Stage]]
    off: dict[str, Any]
    defaults: dict[str, Any]  # where they are not off
    spellings: dict[str, str]  # other names of parameters


def _when(wanted: Any, make: Callable[[], Stage]) -> list[Stage]:
    return [make()] if wanted else []


def _temperature(t: float) -> list[Stage]:
    """No stage for 1."""
    return _when(t != 1, lambda: Temperature(t))


_RAW: Any = {"on": "logits"}  # every edit there changes logits, which are nowhere normalised


def _bias(bias: Mapping[Any, float]) -> list[Stage]:
    return _when(bias, lambda: LogitBias({int(i): b for i, b in bias.items()}, **_RAW))


_TRANSFORMERS = {
    "sequence_bias": {},
    "encoder_repetition_penalty": 1.0,
    "repetition_penalty": 1.0,
    "no_repeat_ngram_size": 0,
    "encoder_no_repeat_ngram_size": 0,
    "bad_words_ids": (),
    "min_length": 0,
    "min_new_tokens": 0,
    "forced_bos_token_id": None,
    "forced_eos_token_id": None,
    "exponential_decay_length_penalty": None,
    "suppress_tokens": (),
    "temperature": 1.0,
    "top_h": None,
    "top_k": 0,
    "top_p": 1.0,
    "min_p": 0.0,
    "typical_p": 1.0,
    "epsilon_cutoff": 0.0,
    "eta_cutoff": 0.0,
    "eos_token_id": (),
    "max_length": None,
    "max_new_tokens": None,
    "encoder_input_ids": "prompt",
}


def _transformers(v: dict[str, Any]) -> list[Stage]:
    source = v["encoder_input_ids"]
    bias = v["sequence_bias"]
    if not isinstance(bias, Mapping):
        bias = {tuple(sequence): b for sequence, b in bias}
    return [
        *_when(bias, lambda: SequenceBias(bias, **_RAW)),
        *_when(
            v["encoder_repetition_penalty"] != 1,
            lambda: RepetitionPenalty(1 / v["encoder_repetition_penalty"], of=source, **_RAW),
        ),
        *_when(
            v["repetition_penalty"] != 1,
            lambda: RepetitionPenalty(v["repetition_penalty"], **_RAW),
        ),
        *_when(
            v["no_repeat_ngram_size"] > 0,
            lambda: NoRepeatNgram(v["no_repeat_ngram_size"], **_RAW),
        ),
        *_when(
            v["encoder_no_repeat_ngram_size"] > 0,
            lambda: NoRepeatNgram(v["encoder_no_repeat_ngram_size"], of=source, **_RAW),
        ),
        *_lengths(v),
        *_when(len(v["suppress_tokens"]), lambda: Ban(v["suppress_tokens"], **_RAW)),
        *_temperature(v["temperature"]),
        *_when(v["top_h"] is not None, lambda: chain(TopK(100), TopH(v["top_h"], cumulative=True))),
        *_when(v["top_k"] != 0, lambda: TopK(v["top_k"])),
        *_when(v["top_p"] != 1, lambda: TopP(v["top_p"])),
        *_when(v["min_p"] != 0, lambda: MinP(v["min_p"])),
        *_when(v["typical_p"] != 1, lambda: Typical(v["typical_p"])),
        *_when(v["epsilon_cutoff"] not in (0, 1), lambda: EpsilonCutoff(v["epsilon_cutoff"])),
        *_when(v["eta_cutoff"] not in (0, 1), lambda: EtaCutoff(v["eta_cutoff"])),
    ]


def _lengths(v: dict[str, Any]) -> list[Stage]:
    """What transformers says of the end: bad words, which leave it alone, and rules by length."""
    end = v["eos_token_id"]
    ends = list(end) if is_sequence(end) else [end]
    bad = [list(word) for word in v["bad_words_ids"]]
    bad = [word for word in bad if not (len(word) == 1 and word[0] in ends)]
    first, last = v["forced_bos_token_id"], v["forced_eos_token_id"]
    decay = v["exponential_decay_length_penalty"]
    if last is None:
        forced: list[Stage] = []
    elif v["max_new_tokens"] is not None:
        forced = [Force(last, v["max_new_tokens"] - 1, of="output", **_RAW)]
    elif v["max_length"] is not None:
        forced = [Force(last, v["max_length"] - 1, **_RAW)]
    else:
        raise TypeError("forced_eos_token_id needs max_length or max_new_tokens")
    if decay is not None and not ends:
        raise TypeError("exponential_decay_length_penalty needs eos_token_id")
    return [
        *_when(bad, lambda: BanSequences(bad, **_RAW)),
        *_when(ends and v["min_length"] > 0, lambda: MinLength(v["min_length"], ends, **_RAW)),
        *_when(
            ends and v["min_new_tokens"] > 0,
            lambda: MinLength(v["min_new_tokens"], ends, of="output", **_RAW),
        ),
        *_when(first is not None, lambda: Force(first, 1, **_RAW)),
        *forced,
        *_when(decay is not None, lambda: LengthDecay(decay[0], decay[1], ends, **_RAW)),
    ]


_LLAMA_CPP = {
    "logit_bias": {},
    "repeat_penalty": 1.0,
    "frequency_penalty": 0.0,
    "presence_penalty": 0.0,
    "penalty_last_n": 64,
    "dry_multiplier": 0.0,
    "dry_base": 1.75,
    "dry_allowed_length": 2,
    "dry_penalty_last_n": 64,
    "dry_breakers": (),
    "top_n_sigma": -1.0,
    "top_k": 0,
    "typical_p": 1.0,
    "top_p": 1.0,
    "min_p": 0.0,
    "xtc_probability": 0.0,
    "xtc_threshold": 0.1,
    "temperature": 1.0,
    "dynatemp_range": 0.0,
    "dynatemp_exponent": 1.0,
    "min_keep": 1,
    "mirostat": 0,
    "mirostat_tau": 5.0,
    "mirostat_eta": 0.1,
}


def _llama_cpp(v: dict[str, Any]) -> list[Stage]:
    if v["mirostat"] != 0:
        return [
            *_bias(v["logit_bias"]),
            *_temperature(max(0.0, v["temperature"])),
            Mirostat(v["mirostat_tau"] * math.log(2), v["mirostat_eta"], version=v["mirostat"]),
        ]
    last = None if v["penalty_last_n"] < 0 else v["penalty_last_n"]
    dry_last = None if v["dry_penalty_last_n"] < 0 else v["dry_penalty_last_n"]
    keep = max(1, v["min_keep"])
    t, reach = v["temperature"], v["dynatemp_range"]
    if reach > 0 and t + reach > 0:
        heat: list[Stage] = [
            DynamicTemperature(max(0.0, t - reach), t + reach, v["dynatemp_exponent"])
        ]
    else:
        heat = _temperature(max(0.0, t))
    chance = min(1.0, v["xtc_probability"])
    excluded = chance > 0 and v["xtc_threshold"] <= 0.5
    then = chain(*heat) if heat else None
    end: list[Stage] = (
        [XTC(max(0.0, v["xtc_threshold"]), chance, then, min_keep=keep)] if excluded else heat
    )
    remembers = last != 0
    return [
        *_bias(v["logit_bias"]),
        *_when(
            remembers and v["repeat_penalty"] != 1,
            lambda: RepetitionPenalty(v["repeat_penalty"], last=last, **_RAW),
        ),
        *_when(
            remembers and v["frequency_penalty"] != 0,
            lambda: FrequencyPenalty(v["frequency_penalty"], of="all", last=last, **_RAW),
        ),
        *_when(
            remembers and v["presence_penalty"] != 0,
            lambda: PresencePenalty(v["presence_penalty"], of="all", last=last, **_RAW),
        ),
        *_when(
            v["dry_multiplier"] > 0 and dry_last != 0 and v["dry_base"] >= 1,
            lambda: DRY(
                v["dry_multiplier"],
                v["dry_base"],
                v["dry_allowed_length"],
                v["dry_breakers"],
                last=dry_last,
                **_RAW,
            ),
        ),
        *_when(v["top_n_sigma"] > 0, lambda: TopNSigma(v["top_n_sigma"])),
        *_when(v["top_k"] > 0, lambda: TopK(v["top_k"])),
        # Beyond their ranges they leave the first token.
        *_when(v["typical_p"] < 1, lambda: Typical(max(0.0, v["typical_p"]), min_keep=keep)),
        *_when(v["top_p"] < 1, lambda: TopP(max(0.0, v["top_p"]), min_keep=keep)),
        *_when(v["min_p"] > 0, lambda: MinP(min(1.0, v["min_p"]), min_keep=keep)),
        *end,
    ]


_VLLM = {
    "allowed_token_ids": (),
    "bad_words": (),
    "min_tokens": 0,
    "stop_token_ids": (),
    "logit_bias": {},
    "repetition_penalty": 1.0,
    "frequency_penalty": 0.0,
    "presence_penalty": 0.0,
    "temperature": 1.0,
    "min_p": 0.0,
    "top_k": 0,
    "top_p": 1.0,
}


def _vllm(v: dict[str, Any]) -> list[Stage]:
    ends, heat = v["stop_token_ids"], v["temperature"]
    if v["min_tokens"] > 0 and not len(ends):
        raise TypeError("min_tokens needs stop_token_ids")
    return [
        *_when(len(v["allowed_token_ids"]), lambda: Allow(v["allowed_token_ids"], **_RAW)),
        *_when(len(v["bad_words"]), lambda: BanSequences(v["bad_words"], of="output", **_RAW)),
        *_when(v["min_tokens"] > 0, lambda: MinLength(v["min_tokens"], ends, of="output", **_RAW)),
        *_bias(v["logit_bias"]),
        *_when(
            v["repetition_penalty"] != 1,
            lambda: RepetitionPenalty(v["repetition_penalty"], **_RAW),
        ),
        *_when(
            v["frequency_penalty"] != 0,
            lambda: FrequencyPenalty(v["frequency_penalty"], **_RAW),
        ),
        *_when(v["presence_penalty"] != 0, lambda: PresencePenalty(v["presence_penalty"], **_RAW)),
        *_temperature(max(heat, 0.01) if heat > 0 else heat),
        *_when(v["min_p"] != 0, lambda: MinP(v["min_p"])),
        *_when(v["top_k"] not in (0, -1), lambda: TopK(v["top_k"])),
        *_when(v["top_p"] != 1, lambda: TopP(v["top_p"])),
    ]


STYLES = {
    "transformers": Project(_transformers, _TRANSFORMERS, {"top_k": 50, "max_length": 20}, {}),
    "llama.cpp": Project(
        _llama_cpp,
        _LLAMA_CPP,
        {"top_k": 40, "top_p": 0.95, "min_p": 0.05, "temperature": 0.8},
        {
            "temp": "temperature",
            "repeat_last_n": "penalty_last_n",
            "penalty_repeat": "repeat_penalty",
            "penalty_freq": "frequency_penalty",
            "penalty_present": "presence_penalty",
            "typical": "typical_p",
            "typ_p": "typical_p",
            "top_nsigma": "top_n_sigma",
            "dynatemp_exp": "dynatemp_exponent",
            "mirostat_mode": "mirostat",
            "mirostat_ent": "mirostat_tau",
            "mirostat_lr": "mirostat_eta",
        },
    ),
    "vllm": Project(_vllm, _VLLM, {}, {}),
}
