"""What was meant by a keyword or an attribute that is not there."""

from collections.abc import Callable
from difflib import get_close_matches
from functools import update_wrapper
from inspect import signature
from typing import Any, TypeVar

_MISSING: Any = object()
F = TypeVar("F", bound=Callable[..., Any])

# Ours, and what it is called elsewhere.
_OTHER_WORDS = {
    "rng": "seed key generator random_state prng rng_key random",
    "temperature": "temp T tau t temperatures",
    "coldness": "beta inverse_temperature inv_temp",
    "shape": "num_samples size n n_samples sample_shape num samples num_draws draws",
    "n": "num_samples size n_samples num total total_count num_draws draws shape",
    "k": "num_samples size n n_samples num top_k",
    "mask": "where legal legal_mask action_mask allowed valid legal_actions keep",
    "prior": "weights prior_weights base_measure",
    "axis": "dim",
    "workers": "num_workers threads n_jobs num_threads",
    "labels": "names categories classes words",
    "logits": "z scores x input log_probs values",
    "values": "q_values q qvalues logits scores",
    "epsilon": "eps",
    "degeneracies": "g prior weights",
}
_OTHER_CALLS = {  # of what takes logits
    "Categorical.from_weights": "probs p probabilities pvals weights",
    "Categorical.from_energies": "energies E energy",
}
_OTHER_ATTRIBUTES = {
    "from_weights": "from_probs from_probabilities from_counts from_p",
    "from_energies": "from_energy",
    "probs": "p probabilities pmf weights softmax",
    "prob": "pdf exp_prob likelihood",
    "log_prob": "logpmf log_pmf logp logpdf lpmf",
    "log_probs": "log_probabilities log_p logprobs",
    "sample": "rvs draw draws choice rsample multinomial random",
    "mode": "argmax greedy",
    "quantile": "ppf icdf",
    "expectation": "mean average expected_value expect",
    "variance": "var std stddev",
    "kl_divergence": "kl kl_div",
    "num_categories": "K n event_size num_events",
    "tempered": "with_temperature set_temperature temper",
    "masked": "with_mask mask apply_mask",
    "labelled": "labeled with_labels set_labels",
    "relaxed": "gumbel_softmax",
    "coldness": "beta inverse_temperature",
    "temperature": "T temp",
}


def explained(function: F) -> F:
    """The function, whose error for an unknown keyword says which one was meant.

    What is called has its parameters and one more, a dict that is empty for a correct call, and
    passes on what it got. Its signature, documentation and types are the function's.
    """
    plain: Any = function
    code, known = plain.__code__, plain.__kwdefaults__ or {}
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    placed, named = names[: code.co_argcount], names[code.co_argcount :]
    optional = len(placed) - len(plain.__defaults__ or ())
    required = [*placed[:optional], *(name for name in named if name not in known)]
    missing = [f"{name} is MISSING" for name in required if name not in ("self", "cls")]
    given = [f"{name}=None" for name in names]
    passed = [*placed, *(f"{name}={name}" for name in named)]
    if named:
        given.insert(len(placed), "*")
    above = "\n" * (code.co_firstlineno - 1)  # a traceback shows the function that was called
    text = (
        f"{above}def make(function, explain, MISSING):\n"
        f" def call({', '.join(given)}, **unknown):\n"
        f"  if {' or '.join(['unknown', *missing])}:"
        f" explain(function, {{{', '.join(f'{name!r}: {name}' for name in names)}}}, unknown)\n"
        f"  return function({', '.join(passed)})\n"
        " return call"
    )
    made: dict[str, Any] = {}
    exec(compile(text, code.co_filename, "exec"), plain.__globals__, made)
    call: Any = update_wrapper(made["make"](function, _explain, _MISSING), function)
    call.__defaults__ = (_MISSING,) * optional + (plain.__defaults__ or ())
    call.__kwdefaults__ = {name: known.get(name, _MISSING) for name in named}
    return call


def _explain(function: Callable[..., Any], given: dict[str, Any], unknown: dict[str, Any]) -> None:
    """Raise what Python would for such a call, an unknown keyword with the one that was meant."""
    for name in unknown:
        call = function.__qualname__.removesuffix(".__init__")
        raise TypeError(
            f"{call}() got an unexpected keyword argument {name!r}: {_meant(function, name)}"
        )
    function(**{name: x for name, x in given.items() if x is not _MISSING})


def _meant(function: Callable[..., Any], name: str) -> str:
    """What to write instead."""
    own = [word for word in signature(function).parameters if word not in ("self", "cls")]
    if "logits" in own:
        for call, words in _OTHER_CALLS.items():
            if name in words.split():
                return f"did you mean {call}({name})?"
    ours = {other: word for word in reversed(own) for other in _OTHER_WORDS.get(word, "").split()}
    ours |= {word: word for word in own}
    near = [name] if name in ours else get_close_matches(name, ours, 1)
    return f"did you mean {ours[near[0]]}=?" if near else f"it takes {', '.join(own)}"


def no_attribute(owner: object, who: str, name: str) -> AttributeError:
    """The error for an attribute that is not there; with it Python suggests what is spelled alike.

    ``owner`` is an object or a class, whose attribute of another name may be meant.
    """
    ours = (word for word, others in _OTHER_ATTRIBUTES.items() if name in others.split())
    right = next((word for word in ours if word in dir(owner)), None)
    hint = "" if right is None else f": did you mean {right}?"
    return AttributeError(f"{who} has no attribute {name!r}{hint}", name=name, obj=owner)
