"""Exclude top choices (XTC), with its coin marginalised out."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar

from softargmax._arrays.checks import check_instance, count
from softargmax._arrays.types import A, ArrayLike
from softargmax._core import thresholds
from softargmax._core.mixtures import log_sides, mixed
from softargmax._core.thresholds import Rule, Rules, Scores
from softargmax.categorical import Categorical, of_state, state_of
from softargmax.tokens._stage import History, Stage


@dataclass(frozen=True, eq=False, repr=False)
class XTC(Stage):
    """Where two or more tokens reach a threshold, drop all of them but the least likely.

    Other implementations flip a coin whether to do so; here both outcomes are mixed, weighted by
    the coin's probability. So the stage needs no rng, and its log-probabilities are exact.

    Parameters
    ----------
    threshold : float or array
        In [0, 1]; a token reaches it if p ≥ threshold.
    probability : float or array
        In [0, 1]: the probability that the tokens are dropped.
    min_keep : int
        Where fewer tokens would survive, all are kept.
    then : Stage, optional
        The next stage, applied to both outcomes before they are mixed. XTC must end a chain.

    Raises
    ------
    ValueError, TypeError
        For a parameter outside its range or of another type.

    Notes
    -----
    The rule of p-e-w's XTC sampler, as llama.cpp implements it.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.tokens import XTC
    >>> XTC(0.25, 1.0)(Categorical.from_weights([4, 2, 1, 1])).probs
    array([0.  , 0.5 , 0.25, 0.25])
    >>> XTC(0.25, 0.5)(Categorical.from_weights([4, 2, 1, 1])).probs
    array([0.25  , 0.375 , 0.1875, 0.1875])
    """

    threshold: ArrayLike
    probability: ArrayLike
    then: Stage | None = None
    min_keep: int = field(default=1, kw_only=True)
    _intervals: ClassVar[dict[str, str]] = {"threshold": "[0, 1]", "probability": "[0, 1]"}

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set("min_keep", count(self.min_keep, "min_keep", 1, 2**62))
        if self.then is not None:
            check_instance(self.then, Stage, "then")
            if self.then.adaptive:  # the token does not say which of the two outcomes it came from
                raise ValueError(f"then must not be adaptive, got {self.then!r}")

    @property
    def final(self) -> bool:
        """True: no stage may follow the mixture."""
        return True

    def __call__(self, dist: Categorical[A], history: History = None) -> Categorical[A]:
        state = state_of(dist)
        rule = Rule(self._bound, self.threshold, _falling, exact=True, name="threshold")
        rest = of_state(thresholds.truncated(state, Rules([rule])))
        whole = dist
        if self.then is not None:
            whole, rest = self.then(whole, history), self.then(rest, history)
        part = self._fitting("probability", state.batch_shape)
        sides = log_sides(part, state.xp, state.like)
        return of_state(mixed([state_of(whole), state_of(rest)], sides))

    def _bound(self, scores: Scores, parameter: Any) -> Any:
        """The key of the least likely token at the threshold; -inf where too few would be left."""
        least = scores.lowest_from(scores.xp.log(parameter) + scores.log_total)
        few = scores.count_up_to(least) < self.min_keep
        return scores.xp.where(few, -math.inf, 0 - least)


def _falling(scores: Scores) -> Any:
    """The key -d, -inf where p = 0."""
    xp, d = scores.xp, scores.d
    return xp.where(d > -math.inf, 0 - d, xp.full_like(d, -math.inf))
