"""Chains with the order and the parameters of other projects."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np

from softargmax._arrays.checks import number, one_of
from softargmax._arrays.namespaces import is_foreign, to_numpy
from softargmax.tokens._history import is_sequence
from softargmax.tokens._per_row import per_row
from softargmax.tokens._projects import STYLES, Project
from softargmax.tokens._stage import Chain, chain

Style: TypeAlias = Literal["transformers", "llama.cpp", "vllm"]
_ANY = "[-inf, inf]"  # the stages say what is in their range
_NUMBERS = ("top_h", "max_length", "max_new_tokens")  # though None stands for "off"


def preset(
    style: Style, *, prompt_length: Any = None, defaults: bool = False, **params: Any
) -> Chain:
    """The chain that gives another project's probabilities for its sampling parameters.

    Parameters
    ----------
    style : {"transformers", "llama.cpp", "vllm"}
    prompt_length : int or array, optional
        How many of the first tokens are the prompt, as for :meth:`Stage.with_prompt`. Stages that
        read the prompt (the encoder's penalties without encoder_input_ids) need it: without it the
        call is a ValueError.
    defaults : bool
        Whether parameters not given have that project's own defaults, as far as they shape
        probabilities: top_k=50 and max_length=20 in transformers (with do_sample=True); top_k=40,
        top_p=0.95, min_p=0.05 and temperature=0.8 in llama.cpp; none in vllm. Else they are off.
    **params
        With that project's names and meanings, including its values for "off". A number may be a
        1-d array or list with one for each request: the chain then holds one :func:`per_row`, and
        takes a batch of so many rows; any other value is shared by all of them. In the order of the
        chain,

        transformers: sequence_bias, encoder_repetition_penalty, repetition_penalty,
        no_repeat_ngram_size, encoder_no_repeat_ngram_size, bad_words_ids, min_length,
        min_new_tokens, forced_bos_token_id, forced_eos_token_id,
        exponential_decay_length_penalty, suppress_tokens, temperature, top_h, top_k, top_p, min_p,
        typical_p, epsilon_cutoff, eta_cutoff; and what these refer to: eos_token_id, max_length,
        max_new_tokens, encoder_input_ids (the prompt where they are not given);

        llama.cpp: logit_bias, repeat_penalty, frequency_penalty, presence_penalty, penalty_last_n,
        dry_multiplier, dry_base, dry_allowed_length, dry_penalty_last_n, dry_breakers (ids),
        top_n_sigma, top_k, typical_p, top_p, min_p, xtc_probability, xtc_threshold, temperature,
        dynatemp_range, dynatemp_exponent, min_keep; or with mirostat (1 or 2) logit_bias,
        temperature, mirostat_tau (in bits) and mirostat_eta alone, since the others are without
        effect there. A window of -1 is the whole history. Other spellings: temp, repeat_last_n,
        penalty_repeat, penalty_freq, penalty_present, typical, typ_p, top_nsigma, dynatemp_exp,
        mirostat_mode, mirostat_ent, mirostat_lr;

        vllm: allowed_token_ids, bad_words (sequences of ids), min_tokens with stop_token_ids
        (include the id of the end-of-text token, which vLLM adds itself), logit_bias,
        repetition_penalty, frequency_penalty, presence_penalty, temperature, min_p, top_k, top_p.

    Returns
    -------
    Chain

    Raises
    ------
    ValueError
        For an unknown style, or a value outside its range.
    TypeError
        For a parameter that the style does not have.

    Notes
    -----
    Compared with transformers 5.24 (its logits processors), llama-cpp-python 0.3.36 (llama.cpp's
    samplers; order and defaults from ``common_params_sampling``) and, for penalties, temperature,
    top_k and top_p, the functions of vLLM 0.33; its other parameters follow its documentation.
    Biases, bans and penalties act on the raw logits, as there; give the chain distributions at
    temperature 1.

    What remains different: rounding; tied tokens are kept or dropped together; XTC's coin is
    marginalised out; a temperature of 0 is arg max, with ties sharing the probability. llama.cpp
    counts tokens of probability 0 in the largest entropy of its dynamic temperature and in the
    first Mirostat, where they occur. Without a prompt_length, penalties that count the output alone
    count the whole history.

    Examples
    --------
    >>> from softargmax.tokens import preset
    >>> preset("transformers", temperature=0.7, top_k=50, top_p=0.9)
    Chain(stages=(Temperature(t=0.7), TopK(k=50), TopP(p=0.9)))
    >>> preset("llama.cpp", top_k=40, min_p=0.05, temperature=0.8)
    Chain(stages=(TopK(k=40), MinP(p=0.05), Temperature(t=0.8)))
    >>> preset("vllm", temperature=0.0, top_k=-1)
    Chain(stages=(Temperature(t=0.0),))
    >>> preset("llama.cpp", defaults=True, temp=0.6)
    Chain(stages=(TopK(k=40), TopP(p=0.95), MinP(p=0.05), Temperature(t=0.6)))
    >>> preset("vllm", top_k=[0, 20])
    Chain(stages=(PerRow(stages=(Chain(stages=()), Chain(stages=(TopK(k=20),)))),))
    """
    one_of(style, "style", tuple(STYLES))
    project = STYLES[style]
    known = {**project.off, **(project.defaults if defaults else {})}
    given = _named(params, project, style)
    values = {name: known[name] if given.get(name) is None else given[name] for name in known}
    requests = _requests(values, project.off)
    made = [_built(own, project, style) for own in ([values] if requests is None else requests)]
    whole = made[0] if requests is None else chain(per_row(made))
    return whole if prompt_length is None else whole.with_prompt(prompt_length)


def _built(values: dict[str, Any], project: Project, style: str) -> Chain:
    """The chain of one request; where a stage refuses a parameter, under the name given here."""
    try:
        return chain(*project.build(values))
    except (TypeError, ValueError) as error:

        def passes_without(name: str) -> bool:
            try:
                project.build({**values, name: project.off[name]})
            except (TypeError, ValueError):
                return False
            return True

        # What turns a stage on stands before what that stage takes beside it.
        name = next(filter(passes_without, reversed(values)), None)
        if name is None or str(error).startswith(name):
            raise
        raise type(error)(f"{name} of {style}: {error}") from None


def _named(params: dict[str, Any], project: Project, style: str) -> dict[str, Any]:
    """Parameters under their first names."""
    unknown = sorted(set(params) - set(project.off) - set(project.spellings))
    if unknown:
        raise TypeError(
            f"{style} has no parameter {', '.join(map(repr, unknown))}; "
            f"it has {', '.join(project.off)}"
        )
    found: dict[str, Any] = {}
    for name, value in params.items():
        first = project.spellings.get(name, name)
        if first in found:
            raise TypeError(f"{first} must be given once, got it and another spelling, {name}")
        found[first] = value
    return found


def _requests(values: dict[str, Any], off: dict[str, Any]) -> list[dict[str, Any]] | None:
    """The parameters of each request, or None where no number is an array."""
    rows: dict[str, list[Any]] = {}
    for name, value in values.items():
        if not isinstance(off[name], int | float) and name not in _NUMBERS:
            continue
        if is_sequence(value):
            rows[name] = _row(value, name)
        elif value is not off[name]:
            number(value, name, _ANY)
    if not rows:
        return None
    first = next(iter(rows))
    for name, row in rows.items():
        if len(row) != len(rows[first]):
            raise ValueError(
                f"{name} must have one number for each request, {len(rows[first])} as {first}, "
                f"got {len(row)}"
            )
    return [
        {**values, **{name: row[i] for name, row in rows.items()}} for i in range(len(rows[first]))
    ]


def _row(x: Any, name: str) -> list[Any]:
    x = np.asarray(to_numpy(x) if is_foreign(x) else x)
    if x.ndim != 1:
        raise ValueError(f"{name} must be a number or a 1-d array, got shape {x.shape}")
    found: list[Any] = x.tolist()
    for value in found:
        number(value, name, _ANY)
    return found
