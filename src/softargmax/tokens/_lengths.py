"""Rules by length: when a text may end, when it must, and what has to stand first or last."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from softargmax._arrays.types import ArrayLike
from softargmax._core.renewal import Change
from softargmax._core.state import State
from softargmax.tokens._edits import banned
from softargmax.tokens._history import check_ids, ids_of, is_sequence
from softargmax.tokens._reader import Part, Reader, Seen

_NONE = np.empty(0, np.int64)


@dataclass(frozen=True, eq=False, repr=False)
class _LengthRule(Reader):
    """A rule for some ids by the number of tokens so far."""

    _ids: ClassVar[str]  # the name of the field with the ids

    def __post_init__(self) -> None:
        super().__post_init__()
        given = getattr(self, self._ids)
        ids = ids_of(given if is_sequence(given) else [given], self._ids, "an id, or some")
        self._set(self._ids, tuple(sorted(set(ids.tolist()))))

    def _given(self, state: State) -> list[dict[str, Any]]:
        check_ids(getattr(self, self._ids), state.num_categories, self._ids)
        return super()._given(state)


@dataclass(frozen=True, eq=False, repr=False)
class MinLength(_LengthRule):
    """Ban the end until there are n tokens.

    Parameters
    ----------
    n : int or array
        At least 0; with fewer tokens than n so far, ``end`` gets probability 0.
    end : id or sequence of ids
        The tokens that end a text.
    of : {"all", "output"}
        Whether the prompt counts.
    prompt_length : int or array, optional
        How many of the first tokens are the prompt; 0 by default.
    on : {"log_probs", "logits"}
        As for :class:`RepetitionPenalty`.

    Raises
    ------
    ValueError, TypeError
        For a parameter outside its range or of another type.

    Notes
    -----
    transformers' ``min_length``; with ``of="output"`` its ``min_new_tokens`` and vLLM's
    ``min_tokens``.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.tokens import MinLength
    >>> dist = Categorical.from_weights([2, 1, 1])
    >>> MinLength(3, end=0)(dist, [1, 2]).probs
    array([0. , 0.5, 0.5])
    >>> MinLength(3, end=0)(dist, [1, 2, 1]).probs
    array([0.5 , 0.25, 0.25])
    """

    n: ArrayLike
    end: Any
    _intervals: ClassVar[dict[str, str]] = {"n": "integers [0, inf)"}
    _ids: ClassVar[str] = "end"

    def _change(self, seen: Seen, *, n: int) -> Change:  # type: ignore[override]
        return banned(np.array(self.end, np.int64) if len(seen.counted) < n else _NONE)


@dataclass(frozen=True, eq=False, repr=False)
class Force(_LengthRule):
    """Force the token at one position: after exactly ``at`` tokens, it is one of ``ids``.

    All of them are equally likely then, whatever they were before, and others get probability 0.

    Parameters
    ----------
    ids : id or sequence of ids
    at : int or array
        At least 0: the first token has ``at=0``, the last of n tokens ``at=n - 1``.
    of : {"all", "output"}
        Whether the prompt counts.
    prompt_length : int or array, optional
        How many of the first tokens are the prompt; 0 by default.
    on : {"log_probs", "logits"}
        As for :class:`RepetitionPenalty`. On logits a prior still weighs the tokens, and one that a
        truncation dropped cannot be forced.

    Raises
    ------
    ValueError, TypeError
        For a parameter outside its range or of another type, or where no token survives.

    Notes
    -----
    transformers' ``forced_bos_token_id`` is ``at=1``, after the token that starts a decoder, and
    its ``forced_eos_token_id`` is ``at=max_length - 1``.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.tokens import Force
    >>> Force(2, at=3)(Categorical.from_weights([2, 1, 1]), [0, 1, 0]).probs
    array([0., 0., 1.])
    """

    ids: Any
    at: ArrayLike
    _intervals: ClassVar[dict[str, str]] = {"at": "integers [0, inf)"}
    _ids: ClassVar[str] = "ids"

    def _change(self, seen: Seen, *, at: int) -> Change:  # type: ignore[override]
        if len(seen.counted) != at:
            return Change(_NONE, None, None)
        return Change(np.array(self.ids, np.int64), None, 0.0, forced=True)


@dataclass(frozen=True, eq=False, repr=False)
class LengthDecay(_LengthRule):
    r"""Make the end likelier with every token beyond a number of them, exponentially.

    With :math:`k > 0` tokens more than ``start``, the end's log-probability becomes
    :math:`\log p + (factor^k - 1)\,|\log p|`.

    Parameters
    ----------
    start : int or array
        At least 0.
    factor : float or array
        In (0, inf); above 1 texts become shorter, below 1 longer.
    end : id or sequence of ids
        The tokens that end a text.
    of : {"output", "all"}
        Whether the prompt counts.
    prompt_length : int or array, optional
        How many of the first tokens are the prompt; 0 by default.
    on : {"log_probs", "logits"}
        As for :class:`RepetitionPenalty`.

    Raises
    ------
    ValueError, TypeError
        For a parameter outside its range or of another type.

    Notes
    -----
    With ``on="logits"``, transformers' ``exponential_decay_length_penalty``; on log-probabilities
    the offset of the logits does not matter.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.tokens import LengthDecay
    >>> dist = Categorical.from_weights([1, 4, 3])
    >>> stage = LengthDecay(2, 1.5, end=0)
    >>> [float(stage(dist, [1] * n).probs[0].round(3)) for n in range(6)]
    [0.125, 0.125, 0.125, 0.288, 0.658, 0.952]
    """

    start: ArrayLike
    factor: ArrayLike
    end: Any
    of: Part = field(default="output", kw_only=True)
    _intervals: ClassVar[dict[str, str]] = {"start": "integers [0, inf)", "factor": "(0, inf)"}
    _ids: ClassVar[str] = "end"

    def _change(self, seen: Seen, *, start: int, factor: float) -> Change:  # type: ignore[override]
        k = len(seen.counted) - start
        if k <= 0:
            return Change(_NONE, None, None)
        # x + (factor^k - 1)·|x| is a multiple of x, by its sign.
        with np.errstate(over="ignore"):
            power = np.minimum(np.float64(factor) ** k, 1e30)  # stays finite
        return Change(np.array(self.end, np.int64), 2 - power, None, above=power)
