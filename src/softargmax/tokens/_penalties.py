"""Penalties: edits that depend on the tokens so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from softargmax._arrays.checks import count
from softargmax._arrays.types import ArrayLike
from softargmax._core.renewal import Change
from softargmax.tokens._edits import banned
from softargmax.tokens._history import ids_of
from softargmax.tokens._reader import Part, Reader, Seen


@dataclass(frozen=True, eq=False, repr=False)
class Penalty(Reader):
    """An edit that depends on the history, or on its latest ``last`` tokens."""

    last: int | None = field(default=None, kw_only=True)
    _parts: ClassVar[tuple[str, ...]] = ("all", "output", "prompt")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.last is not None:
            self._set("last", count(self.last, "last", 0, 2**62))

    def _window(self, tokens: Any) -> Any:
        return tokens if self.last is None else tokens[max(0, len(tokens) - self.last) :]


@dataclass(frozen=True, eq=False, repr=False)
class RepetitionPenalty(Penalty):
    r"""Multiply the log-probabilities of tokens in the history by θ.

    .. math:: \log p_i \leftarrow \theta \log p_i \quad \text{for the tokens } i \text{ read}

    With ``on="logits"`` it acts on the logits z instead, as in other projects, where θ multiplies
    what is negative and divides what is positive:

    .. math:: z_i \leftarrow \theta z_i \text{ if } z_i \le 0, \text{ else } z_i / \theta

    The choice matters. Log-probabilities are never positive, so that they are multiplied, not
    divided, and the offset of the logits does not matter; likely tokens hardly change (1.2·log 0.9
    is close to log 0.9), for which :class:`FrequencyPenalty` or :class:`PresencePenalty` serve. On
    logits, 1.2 takes 3.3 nats from a token whose logit is 20, and none once 20 is subtracted from
    all of them.

    Parameters
    ----------
    theta : float or array
        In (0, inf); 1 is no penalty.
    of : {"all", "output", "prompt"} or ids
        Which tokens count: the whole history, the output after the prompt, or the prompt; or ids
        outside the history, such as an encoder's input, the same for all rows or a sequence of ids
        for each row of a 1-d batch.
    prompt_length : int or array, optional
        How many of the first tokens are the prompt; 0 by default; required for ``of="prompt"``.
    last : int, optional
        How many of the latest of these tokens count; all by default.
    on : {"log_probs", "logits"}
        What θ acts on; "logits" are ``dist.logits``: before the temperature of the distribution,
        which stays, as do its mask and prior. A token that a truncation dropped stays dropped.
        Log-probabilities are those after the temperature, and become the logits, at temperature 1;
        bans and what changes nothing leave logits and temperature as they are.

    Raises
    ------
    ValueError, TypeError
        For a parameter outside its range or of another type.

    References
    ----------
    Keskar et al. (2019), https://arxiv.org/abs/1909.05858, on logits, which it always divides.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.tokens import RepetitionPenalty
    >>> RepetitionPenalty(2.0)(Categorical.from_weights([1, 1, 2]), [0, 0]).probs.round(4)
    array([0.0769, 0.3077, 0.6154])
    """

    theta: ArrayLike
    _intervals: ClassVar[dict[str, str]] = {"theta": "(0, inf)"}

    def _change(self, seen: Seen, *, theta: float) -> Change:  # type: ignore[override]
        return Change(seen.counted, theta, None, above=1 / theta)


@dataclass(frozen=True, eq=False, repr=False)
class FrequencyPenalty(Penalty):
    r"""Subtract ``alpha`` from a token's log-probability for each time it occurs in the output.

    .. math:: \log p_i \leftarrow \log p_i - \alpha n_i

    :math:`n_i` counts token i in the output (in the whole history without a prompt_length).

    Parameters
    ----------
    alpha : float or array
        Any real number of nats.
    of, prompt_length, last, on
        As for :class:`RepetitionPenalty`, except that the output alone counts by default.

    Raises
    ------
    ValueError, TypeError
        For a parameter outside its range or of another type.

    Notes
    -----
    OpenAI's and vLLM's rule; llama.cpp's is that of ``of="all"``.

    Examples
    --------
    >>> import numpy as np
    >>> from softargmax import Categorical
    >>> from softargmax.tokens import FrequencyPenalty
    >>> FrequencyPenalty(np.log(2))(Categorical.from_weights([4, 1, 1]), [0, 0]).probs.round(4)
    array([0.3333, 0.3333, 0.3333])
    """

    alpha: ArrayLike
    of: Part = field(default="output", kw_only=True)
    _intervals: ClassVar[dict[str, str]] = {"alpha": "(-inf, inf)"}

    def _change(self, seen: Seen, *, alpha: float) -> Change:  # type: ignore[override]
        ids, times = np.unique(seen.counted, return_counts=True)
        return Change(ids, None, -alpha * times)


@dataclass(frozen=True, eq=False, repr=False)
class PresencePenalty(Penalty):
    r"""Subtract ``alpha`` from the log-probability of every token in the output.

    .. math:: \log p_i \leftarrow \log p_i - \alpha\, [n_i > 0]

    :math:`n_i` counts token i in the output (in the whole history without a prompt_length).

    Parameters
    ----------
    alpha : float or array
        Any real number of nats.
    of, prompt_length, last, on
        As for :class:`RepetitionPenalty`, except that the output alone counts by default.

    Raises
    ------
    ValueError, TypeError
        For a parameter outside its range or of another type.

    Notes
    -----
    OpenAI's and vLLM's rule; llama.cpp's is that of ``of="all"``.

    Examples
    --------
    >>> import numpy as np
    >>> from softargmax import Categorical
    >>> from softargmax.tokens import PresencePenalty
    >>> PresencePenalty(np.log(2))(Categorical.from_weights([2, 1, 1]), [0, 0]).probs.round(4)
    array([0.3333, 0.3333, 0.3333])
    """

    alpha: ArrayLike
    of: Part = field(default="output", kw_only=True)
    _intervals: ClassVar[dict[str, str]] = {"alpha": "(-inf, inf)"}

    def _change(self, seen: Seen, *, alpha: float) -> Change:  # type: ignore[override]
        return Change(seen.counted, None, -alpha)


@dataclass(frozen=True, eq=False, repr=False)
class NoRepeatNgram(Penalty):
    """Ban tokens that would repeat an n-gram of the history.

    Parameters
    ----------
    n : int
        At least 1.
    of, prompt_length, last, on
        As for :class:`RepetitionPenalty`.

    Raises
    ------
    ValueError, TypeError
        For a parameter outside its range or of another type.

    Notes
    -----
    With ``of="prompt"`` or ids no n-gram of theirs is repeated: transformers'
    ``encoder_no_repeat_ngram_size``.

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
        self._set("n", count(self.n, "n", 1, 2**62))

    def _change(self, seen: Seen) -> Change:  # type: ignore[override]
        tokens = seen.counted
        if self.n == 1:
            return banned(tokens)
        copied = common_suffixes(seen.latest, tokens)[:-1] >= self.n - 1
        return banned(tokens[1:][copied])


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
        At least 0; shorter repetitions are not penalised. With 0, every token that followed another
        is.
    breakers : sequence of ids
        Tokens that end a repeated sequence, such as line breaks.
    of, prompt_length, last, on
        As for :class:`RepetitionPenalty`.

    Raises
    ------
    ValueError, TypeError
        For a parameter outside its range or of another type.

    Notes
    -----
    The rule of p-e-w's DRY sampler, which llama.cpp implements too.

    Examples
    --------
    >>> import numpy as np
    >>> from softargmax import Categorical
    >>> from softargmax.tokens import DRY
    >>> DRY(np.log(2), 2.0, 2)(Categorical.from_weights([1, 1, 2]), [0, 1, 2, 0, 1]).probs.round(4)
    array([0.3333, 0.3333, 0.3333])
    """

    multiplier: ArrayLike
    base: ArrayLike = 1.75
    allowed_length: int = 2
    breakers: Any = ()
    _intervals: ClassVar[dict[str, str]] = {"multiplier": "[0, inf)", "base": "[1, inf)"}

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set("allowed_length", count(self.allowed_length, "allowed_length", 0, 2**62))
        self._set("breakers", tuple(ids_of(self.breakers, "breakers").tolist()))

    def _change(self, seen: Seen, *, multiplier: float, base: float) -> Change:  # type: ignore[override]
        ids, length = self._longest(seen)
        # Capped to stay finite; a loss of 1e30 nats is a ban in effect.
        with np.errstate(over="ignore"):
            loss = multiplier * np.minimum(base ** (length - self.allowed_length), 1e30)
        return Change(ids, None, -np.minimum(loss, 1e30))

    def _longest(self, seen: Seen) -> tuple[Any, Any]:
        """Tokens, and the length of the longest sequence each would repeat, if long enough."""
        follower = seen.counted[1:]
        length = common_suffixes(seen.latest, seen.counted)[:-1]
        stops = np.flatnonzero(np.isin(seen.latest, self.breakers))
        if stops.size:  # a copy ends at the latest breaker
            length = np.minimum(length, len(seen.latest) - 1 - stops[-1])
        hit = (length >= self.allowed_length) & ~np.isin(follower, self.breakers)
        ids, place = np.unique(follower[hit], return_inverse=True)
        longest = np.zeros(len(ids))
        np.maximum.at(longest, place, length[hit])
        return ids, longest


def common_suffixes(latest: Any, source: Any) -> Any:
    """How many of the latest tokens end at each place of the source, where a copy of them ends.

    Linear time, however repetitive the tokens: the Z-function of both, read backwards, which is 0
    but where the last token stands. Gusfield (1997), *Algorithms on Strings, Trees and Sequences*,
    §1.4.
    """
    whole = latest if source is latest else np.concatenate([source, [-1], latest])
    if not len(latest):
        return np.zeros(len(source), np.int64)
    back = whole[::-1]
    places = np.flatnonzero(back == back[0])[1:].tolist()
    text, n = back.tolist(), len(back)
    runs, left, right = [0] * n, 0, 0
    for i in places:
        m = min(runs[i - left], right - i) if i < right else 0
        while i + m < n and text[m] == text[i + m]:
            m += 1
        runs[i] = m
        if i + m > right:
            left, right = i, i + m
    found = np.zeros(n, np.int64)
    found[places] = [runs[i] for i in places]
    return found[::-1][: len(source)]
