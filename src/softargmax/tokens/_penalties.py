"""Penalties: edits that look at the tokens so far."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from softargmax._arrays.checks import count
from softargmax._core.renewal import Change
from softargmax._core.state import State
from softargmax.tokens._edits import Edit, banned, ids_of
from softargmax.tokens._history import tokens_of, window
from softargmax.tokens._stage import History


@dataclass(frozen=True, eq=False, repr=False)
class Penalty(Edit):
    """An edit of the tokens that came before, in the last so many of them."""

    last: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.last is not None:
            object.__setattr__(self, "last", count(self.last, "last", 0, 2**62))

    def _changes(self, state: State, history: History) -> list[Change]:
        rows = tokens_of(history, state, type(self).__name__)
        settings: Callable[[int], dict[str, Any]] = self._of_rows(state.batch_shape)
        return [self._change(window(row, self.last), **settings(i)) for i, row in enumerate(rows)]

    @abstractmethod
    def _change(self, tokens: Any, **settings: Any) -> Change:
        """What a row of tokens changes."""


@dataclass(frozen=True, eq=False, repr=False)
class RepetitionPenalty(Penalty):
    """Multiply the log-probabilities of the tokens that came before by θ.

    On log-probabilities, so that it does not depend on the offset of the logits, as it would on
    logits. It hardly touches likely tokens (1.2·log 0.9 is not far from log 0.9); for those there
    are :class:`FrequencyPenalty` and :class:`PresencePenalty`.

    Parameters
    ----------
    theta : float or array
        In (0, inf), 1 being none.
    last : int, optional
        How many of the latest tokens count; all by default.

    References
    ----------
    Keskar et al. (2019), https://arxiv.org/abs/1909.05858, on logits.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.tokens import RepetitionPenalty
    >>> RepetitionPenalty(2.0)(Categorical.from_weights([1, 1, 2]), [0, 0]).probs.round(4)
    array([0.0769, 0.3077, 0.6154])
    """

    theta: Any
    _intervals: ClassVar[dict[str, str]] = {"theta": "(0, inf)"}

    def _change(self, tokens: Any, *, theta: float) -> Change:  # type: ignore[override]
        ids = np.unique(tokens)
        return Change(ids, np.full(len(ids), theta), None)


@dataclass(frozen=True, eq=False, repr=False)
class FrequencyPenalty(Penalty):
    """Subtract ``alpha`` from a token's log-probability for every time that it came before.

    Parameters
    ----------
    alpha : float or array
        Any real number of nats.
    last : int, optional
        How many of the latest tokens count; all by default.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.tokens import FrequencyPenalty
    >>> FrequencyPenalty(np.log(2))(Categorical.from_weights([4, 1, 1]), [0, 0]).probs.round(4)
    array([0.3333, 0.3333, 0.3333])
    """

    alpha: Any
    _intervals: ClassVar[dict[str, str]] = {"alpha": "(-inf, inf)"}

    def _change(self, tokens: Any, *, alpha: float) -> Change:  # type: ignore[override]
        ids, times = np.unique(tokens, return_counts=True)
        return Change(ids, None, -alpha * times)


@dataclass(frozen=True, eq=False, repr=False)
class PresencePenalty(Penalty):
    """Subtract ``alpha`` from the log-probability of every token that came before.

    Parameters
    ----------
    alpha : float or array
        Any real number of nats.
    last : int, optional
        How many of the latest tokens count; all by default.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.tokens import PresencePenalty
    >>> PresencePenalty(np.log(2))(Categorical.from_weights([2, 1, 1]), [0, 0]).probs.round(4)
    array([0.3333, 0.3333, 0.3333])
    """

    alpha: Any
    _intervals: ClassVar[dict[str, str]] = {"alpha": "(-inf, inf)"}

    def _change(self, tokens: Any, *, alpha: float) -> Change:  # type: ignore[override]
        ids = np.unique(tokens)
        return Change(ids, None, np.full(len(ids), -alpha))


@dataclass(frozen=True, eq=False, repr=False)
class NoRepeatNgram(Penalty):
    """No n tokens in a row twice: what would complete such a run again is banned.

    Parameters
    ----------
    n : int
        At least 1.
    last : int, optional
        How many of the latest tokens count; all by default.

    References
    ----------
    Paulus, Xiong & Socher (2017), https://arxiv.org/abs/1705.04304.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.tokens import NoRepeatNgram
    >>> NoRepeatNgram(2)(Categorical.from_weights([1, 1, 2]), [0, 2, 1, 0]).probs
    array([0.5, 0.5, 0. ])
    """

    n: int

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "n", count(self.n, "n", 1, 2**62))

    def _change(self, tokens: Any) -> Change:  # type: ignore[override]
        n = self.n
        if len(tokens) < n:
            return banned(np.empty(0, np.int64))
        runs = np.lib.stride_tricks.sliding_window_view(tokens, n)
        same = (runs[:, : n - 1] == tokens[len(tokens) - n + 1 :]).all(axis=-1)
        return banned(np.unique(runs[same, -1]))


@dataclass(frozen=True, eq=False, repr=False)
class DRY(Penalty):
    r"""Do not repeat yourself: the longer the run that a token would repeat, the less likely it is.

    A token that follows an earlier copy of the latest m tokens, m ≥ allowed_length, loses
    :math:`multiplier \cdot base^{m - allowed\_length}` nats; m is the longest such run, and it ends
    at breakers.

    Parameters
    ----------
    multiplier : float or array
        In [0, inf).
    base : float or array
        In [1, inf).
    allowed_length : int
        At least 1: shorter runs may be repeated.
    breakers : sequence of ids
        Tokens that no run contains, such as line breaks.
    last : int, optional
        How many of the latest tokens count; all by default.

    Notes
    -----
    The rule of p-e-w's DRY sampler, which llama.cpp has too.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.tokens import DRY
    >>> DRY(np.log(2), 2.0, 2)(Categorical.from_weights([1, 1, 2]), [0, 1, 2, 0, 1]).probs.round(4)
    array([0.3333, 0.3333, 0.3333])
    """

    multiplier: Any
    base: Any = 1.75
    allowed_length: int = 2
    breakers: Any = ()
    _intervals: ClassVar[dict[str, str]] = {"multiplier": "[0, inf)", "base": "[1, inf)"}

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(
            self, "allowed_length", count(self.allowed_length, "allowed_length", 1, 2**62)
        )
        object.__setattr__(self, "breakers", tuple(ids_of(self.breakers, "breakers").tolist()))

    def _change(self, tokens: Any, *, multiplier: float, base: float) -> Change:  # type: ignore[override]
        longest = self._longest(tokens)
        ids = np.array(sorted(longest), np.int64)
        length = np.array([longest[int(i)] for i in ids], np.float64)
        with np.errstate(over="ignore"):
            loss = multiplier * base ** (length - self.allowed_length)
        # The largest finite loss is a ban in all but name.
        return Change(ids, None, -np.minimum(loss, 1e30))

    def _longest(self, tokens: Any) -> dict[int, int]:
        """The longest run that each token would repeat, where it is long enough."""
        n = len(tokens)
        stops = np.isin(tokens, self.breakers)
        found: dict[int, int] = {}
        if n < 2 or stops[-1]:
            return found
        usable = int(stops[::-1].argmax()) if stops.any() else n
        runs = _common_suffixes(tokens.tolist())
        for end in np.flatnonzero(tokens[:-1] == tokens[-1]):  # where an earlier copy may end
            m = min(runs[n - 1 - end], usable)
            after = int(tokens[end + 1])
            if m >= self.allowed_length and not stops[end + 1]:
                found[after] = max(found.get(after, 0), m)
        return found


def _common_suffixes(tokens: list[int]) -> list[int]:
    """How many of the last tokens are also the last of all but i of them (the Z-function).

    Linear, however often the tokens repeat themselves. Gusfield (1997), *Algorithms on Strings,
    Trees and Sequences*, §1.4.
    """
    back, n = tokens[::-1], len(tokens)
    found, left, right = [n] + [0] * (n - 1), 0, 0
    for i in range(1, n):
        m = min(found[i - left], right - i) if i < right else 0
        while i + m < n and back[m] == back[i + m]:
            m += 1
        found[i] = m
        if i + m > right:
            left, right = i, i + m
    return found
