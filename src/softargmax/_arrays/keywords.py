"""What was meant by a keyword or an attribute that is not there."""

from __future__ import annotations

from abc import ABCMeta
from collections.abc import Callable, Mapping
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import TYPE_CHECKING, Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

# Ours, and what it is called elsewhere.
_OTHER_WORDS = {
    "rng": "seed key generator random_state prng rng_key random",
    "seed": "rng key random_state",
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
    # Of stages of tokens.
    "t": "temperature temp T tau",
    "p": "top_p min_p probability nucleus threshold",
    "mass": "p typical_p typical",
    "eps": "epsilon epsilon_cutoff eta_cutoff cutoff",
    "fraction": "top_h",
    "theta": "penalty repetition_penalty repeat_penalty factor",
    "alpha": "penalty frequency_penalty presence_penalty",
    "bias": "logit_bias biases",
    "ids": "tokens allowed_token_ids token_ids bad_words_ids suppress_tokens",
    "end": "eos_token_id eos stop_token_ids",
    "last": "window penalty_last_n repeat_last_n",
    "target": "tau mirostat_tau",
    "rate": "eta mirostat_eta learning_rate",
    # Of schedules.
    "start": "initial init begin initial_temperature t0 T0 max high",
    "stop": "end final final_temperature min low",
    "steps": "num_steps n_steps total_steps total n T duration",
    "decay": "rate gamma factor decay_rate",
}
_OTHER_CALLS = {  # of what takes logits
    "Categorical.from_weights": "probs p probabilities pvals weights",
    "Categorical.from_energies": "energies E energy",
}
_OTHER_ATTRIBUTES = {
    "from_weights": "from_probs from_probabilities from_counts from_p",
    "from_energies": "from_energy",
    "probs": "p probabilities weights softmax",
    "prob": "pmf pdf exp_prob likelihood",
    "log_prob": "logprob logpmf log_pmf logp logpdf lpmf",
    "log_probs": "log_probabilities log_p logprobs",
    "sample": "rvs draw draws choice multinomial random",
    "mode": "argmax greedy",
    "quantile": "ppf icdf",
    "expectation": "mean average expected_value expect",
    "variance": "var std stddev",
    "kl_divergence": "kl kl_div",
    "num_categories": "K n event_size num_events",
    "tempered": "with_temperature set_temperature temper",
    "masked": "with_mask mask apply_mask",
    "labelled": "labeled with_labels set_labels",
    "relaxed": "gumbel_softmax rsample",
    "coldness": "beta inverse_temperature",
    "temperature": "T temp",
}


class _Missing:
    """Stands for an argument that is required and not given; a class, which PyTorch can trace."""


def explained(function: F) -> F:
    """The function, whose errors for its arguments name the public call and the keyword meant.

    A wrapper with its parameters is written for it, as a constructor is for a dataclass: one that
    took ``*args`` and ``**named`` would add three times as much to a call.
    """
    known = signature(function).parameters.values()
    kinds = {one.name: one.kind for one in known}
    defaults = {
        one.name: _Missing if one.default is one.empty else one.default
        for one in known
        if one.kind is not Parameter.VAR_POSITIONAL
    }
    shown = [one.replace(default=one.empty, annotation=one.empty) for one in known]
    takes = Signature([*shown, Parameter("_other", Parameter.VAR_KEYWORD)])
    unless = ["_other", *(f"{name} is _Missing" for name, x in defaults.items() if x is _Missing)]
    ways: dict[Any, str] = {Parameter.VAR_POSITIONAL: "*{0}", Parameter.KEYWORD_ONLY: "{0}={0}"}
    gives = [ways.get(kind, "{0}").format(name) for name, kind in kinds.items()]
    source = f"""
def call{takes}:
    if {" or ".join(unless)}:
        _refuse(_function, locals())
    return _function({", ".join(gives)})
"""
    made: dict[str, Any] = {"_function": function, "_Missing": _Missing, "_refuse": _refuse}
    exec(source, made)
    call: Any = wraps(function)(made["call"])
    only = [name for name, kind in kinds.items() if kind is Parameter.KEYWORD_ONLY]
    call.__kwdefaults__ = {name: defaults.pop(name) for name in only}
    call.__defaults__ = tuple(defaults.values())
    # torch.compile traces the function in its place, but looks for the defaults here.
    call._torchdynamo_inline = function
    return call


def _refuse(function: Callable[..., Any], found: dict[str, Any]) -> None:
    """Raise what is wrong: an argument is not known, or one that is required is not there."""
    known, other = signature(function).parameters, found.pop("_other")
    given = {
        name: x for name, x in found.items() if x is not _Missing and x is not known[name].default
    }
    named = given | other
    try:
        function(**named)
    except TypeError as error:
        _explain(error, function, (), named, function.__qualname__.removesuffix(".__init__"))
        raise


class Explained(ABCMeta):
    """The type of dataclasses whose errors for their arguments are those of ``explained``."""

    if not TYPE_CHECKING:

        def __call__(cls, *args: Any, **named: Any) -> Any:
            try:
                return super().__call__(*args, **named)
            except TypeError as error:
                _explain(error, cls.__init__, (cls, *args), named, cls.__name__)
                raise

    @property
    def __signature__(cls) -> Signature:
        """That of the class's own ``__init__``, which help and editors show."""
        found = signature(cls.__init__)  # type: ignore[misc]
        return found.replace(parameters=list(found.parameters.values())[1:])


def _explain(
    error: TypeError,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    named: Mapping[str, Any],
    call: str,
) -> None:
    """If the error is Python's about the arguments, raise it under the name of the public call.

    For an unknown keyword it says what was meant.
    """
    known, own = signature(function).parameters, f"{function.__qualname__}()"
    if not any(one.kind is one.VAR_KEYWORD for one in known.values()):
        for name in named:
            if name not in known:
                meant = _meant(function, name, {*[*known][: len(args)], *named})
                raise TypeError(
                    f"{call}() got an unexpected keyword argument {name!r}: {meant}"
                ) from None
    outside = error.__traceback__ is not None and error.__traceback__.tb_next is None
    if outside and str(error).startswith(f"{own} missing"):
        raise TypeError(f"{call}(){str(error).removeprefix(own)}") from None


def _meant(function: Callable[..., Any], name: str, given: set[str]) -> str:
    """What to write instead: of several words that may be meant the first that is not given yet."""
    from difflib import get_close_matches  # slow to load

    own = [word for word in signature(function).parameters if word not in ("self", "cls")]
    if "logits" in own:
        for call, words in _OTHER_CALLS.items():
            if name in words.split():
                return f"did you mean {call}({name})?"
    likely = own[::-1]  # the last of them counts
    likely.sort(key=lambda word: word not in given)
    ours = {other: word for word in likely for other in _OTHER_WORDS.get(word, "").split()}
    ours |= {word: word for word in own}
    near = [name] if name in ours else get_close_matches(name, ours, 1)
    return f"did you mean {ours[near[0]]}=?" if near else f"it takes {', '.join(own)}"


class Meant:
    """A name that an attribute has elsewhere: its error says what it is called here."""

    def __init__(self, name: str, ours: str) -> None:
        self.name, self.ours = name, ours

    def __get__(self, instance: object, owner: type) -> Any:
        bases = iter(owner.__mro__)
        next(base for base in bases if vars(base).get(self.name) is self)
        for base in bases:  # a class further on may have it
            if self.name in vars(base):
                found = vars(base)[self.name]
                return found.__get__(instance, owner) if hasattr(found, "__get__") else found
        one = instance is not None
        who = f"{owner.__name__!r} object" if one else f"type object {owner.__name__!r}"
        raise AttributeError(
            f"{who} has no attribute {self.name!r}: did you mean {self.ours}?",
            name=self.name,
            obj=instance if one else owner,
        )


class Spoken(type):
    """The type of classes that answer to the names that their attributes have elsewhere.

    A ``__getattr__`` would do it too, but with one every attribute takes 40 ns more.
    """

    def __init__(cls, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        there = {name for base in cls.__mro__ for name in vars(base)}
        for ours in there & _OTHER_ATTRIBUTES.keys():
            for name in {*_OTHER_ATTRIBUTES[ours].split()} - there:
                setattr(cls, name, Meant(name, ours))

    def __dir__(cls) -> list[str]:
        others = {*" ".join(_OTHER_ATTRIBUTES.values()).split()}
        return [name for name in super().__dir__() if name not in others or hasattr(cls, name)]
