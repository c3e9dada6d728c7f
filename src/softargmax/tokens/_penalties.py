"""Penalties: edits that depend on the tokens so far."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from softargmax._arrays.checks import count
from softargmax._core.renewal import Change
from softargmax._core.state import State
from softargmax.tokens._edits import Edit, banned
from softargmax.tokens._history import ids_of, tokens_of, window
from softargmax.tokens._stage import History


@dataclass(frozen=True, eq=False, repr=False)
class Penalty(Edit):
    """An edit that depends on the history, or on its latest ``last`` tokens."""

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
        """The change for the history of one row."""


@dataclass(frozen=True, eq=False, repr=False)
class RepetitionPenalty(Penalty):
    """Multiply the log-probabilities of tokens in the history by θ.

    It acts on log-probabilities, not on logits, so that the offset of the logits does not matter.
    Likely tokens hardly change (1.2·log 0.9 is close to log 0.9); for them use
    :class:`FrequencyPenalty` or :class:`PresencePenalty`.

    Parameters
    ----------
    theta : float or array
        In (0, inf); 1 is no penalty.
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
    """Subtract ``alpha`` from a token's log-probability for each time it occurs in the history.

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
    """Subtract ``alpha`` from the log-probability of every token in the history.

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
    """Ban tokens that would repeat an n-gram of the history.

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
    r"""Don't repeat yourself: penalise a token by the length of the sequence it would repeat.

    A token that followed an earlier copy of the latest m tokens, m ≥ allowed_length, loses
    :math:`multiplier \cdot base^{m - allowed\_length}` nats; m is the length of the longest such
    copy, and copies do not extend across breakers.

    Parameters
    ----------
    multiplier : float or array
        In [0, inf).
    base : float or array
        In [1, inf).
    allowed_length : int
        At least 1; shorter repetitions are not penalised.
    breakers : sequence of ids
        Tokens that end a repeated sequence, such as line breaks.
    last : int, optional
        How many of the latest tokens count; all by default.

    Notes
    -----
    The rule of p-e-w's DRY sampler, which llama.cpp implements too.

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
        # Capped to stay finite; a loss of 1e30 nats is a ban in effect.
        return Change(ids, None, -np.minimum(loss, 1e30))

    def _longest(self, tokens: Any) -> dict[int, int]:
        """For each token, the length of the longest sequence it would repeat, if long enough."""
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
    """The length of the common suffix of tokens and tokens[:n - i], for each i (Z-function).

    Linear time, however repetitive the tokens. Gusfield (1997), *Algorithms on Strings,
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
