"""What is timed of tokens: one token of a vocabulary after truncations."""

from collections.abc import Callable
from itertools import cycle
from typing import Any

import numpy as np

from jobs import VOCABULARY, Contenders, Job, draws_of, in_llama_cpp, in_transformers, logits
from softargmax import Categorical
from softargmax.tokens import Chain, MinP, Stage, TopK, TopP, Typical, chain

HEAT = 0.8
_ROWS = 16  # each token has logits of its own: the processor cannot learn which of them are kept


def truncated(
    title: str,
    stage: Stage,
    warpers: Callable[[Any], list[Any]],
    samplers: dict[str, tuple[Any, ...]],
    scale: float,
) -> Job:
    rows, rng = logits(_ROWS, VOCABULARY, scale=scale), np.random.default_rng(1)
    x, turns = rows[0].copy(), cycle(rows)
    with np.errstate(invalid="ignore"):
        check = draws_of(stage(Categorical(x.astype(np.float64), HEAT)).log_probs)

    def by_way_of_the_distribution() -> Any:
        return stage(Categorical(x, HEAT)).sample(rng=rng)

    other = "softargmax, by way of the distribution"
    contenders: Contenders = {
        "softargmax": lambda: stage.sample(x, HEAT, rng=rng),
        # Where it tells most.
        **({other: by_way_of_the_distribution} if isinstance(stage, Chain) else {}),
        **in_transformers(
            x, lambda w: [w.TemperatureLogitsWarper(HEAT), *warpers(w)], "transformers"
        ),
        **in_llama_cpp(x, {"temp": (HEAT,), **samplers}, "llama.cpp"),
        "floor: np.exp(x)": lambda: np.exp(x),
    }
    kind = "peaked" if scale > 1 else "flat"
    title = f"one token after {title}, {kind} logits ({scale:g}·N(0, 1))"
    return Job(title, contenders, check, lambda: np.copyto(x, next(turns)))


SETTINGS: dict[str, tuple[Any, ...]] = {
    "chain": (
        "TopK(50) → TopP(0.95) → MinP(0.05)",
        chain(TopK(50), TopP(0.95), MinP(0.05)),
        lambda w: [w.TopKLogitsWarper(50), w.TopPLogitsWarper(0.95), w.MinPLogitsWarper(0.05)],
        {"top_k": (50,), "top_p": (0.95, 1), "min_p": (0.05, 1)},
    ),
    "top-p": (
        "TopP(0.95)",
        TopP(0.95),
        lambda w: [w.TopPLogitsWarper(0.95)],
        {"top_p": (0.95, 1)},
    ),
    "min-p": (
        "MinP(0.05)",
        MinP(0.05),
        lambda w: [w.MinPLogitsWarper(0.05)],
        {"min_p": (0.05, 1)},
    ),
    "typical": (
        "Typical(0.9)",
        Typical(0.9),
        lambda w: [w.TypicalLogitsWarper(0.9)],
        {"typical": (0.9, 1)},
    ),
}


def job(name: str, scale: float) -> Callable[[], Job]:
    return lambda: truncated(*SETTINGS[name], scale)


TRUNCATED: dict[str, Callable[[], Job]] = {
    f"{name}{suffix}": job(name, scale)
    for name in SETTINGS
    for suffix, scale in (("", 3.0), ("-flat", 1.0))
}
