"""Allow some tokens alone: by their ids, by the bits of a grammar's mask, or by a function."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from softargmax._arrays.checks import check_fits_within
from softargmax._arrays.namespaces import copied, is_foreign, namespace_of, to_namespace, to_numpy
from softargmax._arrays.types import A
from softargmax._core.renewal import allowed
from softargmax._core.scored import check_left
from softargmax._core.state import State
from softargmax._core.thresholds import goes_row_by_row
from softargmax._core.variants import masked
from softargmax.categorical import Categorical, of_state, state_of
from softargmax.tokens._edits import Choice, Edit
from softargmax.tokens._history import check_ids, ids_of, tokens_of
from softargmax.tokens._stage import History


@dataclass(frozen=True, eq=False, repr=False)
class Allow(Choice):
    """Allow only these tokens: all others get probability 0.

    Parameters
    ----------
    ids : sequence of ids, a sequence of those, array of bool, shape (..., K), or callable
        As for :class:`Ban`. Or a function of the tokens so far, such as a grammar's state machine:
        it is called with the history of each row (a 1-d array of ids without padding, empty where
        there is none) and returns ids or a mask of shape (K,).
    bitmask : array of int32 or uint32, shape (..., ceil(K / 32)), or callable; instead of ids
        Token 32·j + b is allowed if bit b (the lowest is 0) of word j is set, as xgrammar and
        llguidance write it; bits beyond K are ignored. Batch axes broadcast. A function returns the
        words of one row.
    on : {"log_probs", "logits"}
        As for :class:`RepetitionPenalty`. With a function or a bitmask, logits and temperature
        stay in any case, as in a truncation.

    Raises
    ------
    ValueError, TypeError
        For a parameter outside its range or of another type, or a row that allows no token with
        p > 0.

    Examples
    --------
    >>> import numpy as np
    >>> from softargmax import Categorical
    >>> from softargmax.tokens import Allow
    >>> dist = Categorical.from_weights([2, 1, 1])
    >>> Allow([1, 2])(dist).probs
    array([0. , 0.5, 0.5])
    >>> Allow(bitmask=np.array([0b101], np.int32))(dist).probs.round(4)
    array([0.6667, 0.    , 0.3333])
    >>> after = {(): [0], (0,): [1, 2]}
    >>> Allow(lambda tokens: after[tuple(tokens.tolist())])(dist, [0]).probs
    array([0. , 0.5, 0.5])
    """

    ids: Any = None
    bitmask: Any = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if (self.ids is None) == (self.bitmask is None):
            raise TypeError("ids or bitmask must be given, and not both")
        if self.bitmask is None and not callable(self.ids):
            super().__post_init__()
            return
        Edit.__post_init__(self)
        if self.bitmask is not None and not callable(self.bitmask):
            self._set("bitmask", copied(_words(self.bitmask), namespace_of(self.bitmask)))

    def __call__(self, dist: Categorical[A], history: History = None) -> Categorical[A]:
        if self.bitmask is None and not callable(self.ids):
            return super().__call__(dist, history)
        state = state_of(dist)
        if goes_row_by_row(state):
            return of_state(allowed(state, self._masks(state, history), "Allow"))
        if state.xp is np or callable(self.ids) or callable(self.bitmask):
            full = (*state.batch_shape, state.num_categories)
            rows = list(self._masks(state, history))
            keep = to_namespace(np.array(rows, bool).reshape(full), state.xp, state.z)
        else:
            words = self._fitting_words(self.bitmask, state)
            words = words if namespace_of(words) is state.xp else to_numpy(words)
            keep = _bits_in(to_namespace(words, state.xp, state.z), state.num_categories)
        check_left(state.xp.any(state.support & keep, axis=-1), "Allow")
        return of_state(masked(state, keep))

    def _masks(self, state: State, history: History) -> Iterator[Any]:
        """Which tokens each row allows, (K,), one after the other."""
        width, batch = state.num_categories, state.batch_shape
        if callable(self.ids) or callable(self.bitmask):
            rows = [np.empty(0, np.int64)] * math.prod(batch)
            for tokens in rows if history is None else tokens_of(history, state, "Allow"):
                if self.bitmask is None:
                    yield _mask(self.ids(tokens), width)
                else:
                    words = to_numpy(_words(self.bitmask(tokens)))
                    yield _bits(self._fitting_words(words, state, ()), width)
        else:
            words = to_numpy(self._fitting_words(self.bitmask, state))
            for row in np.broadcast_to(words, (*batch, words.shape[-1])).reshape(
                math.prod(batch), words.shape[-1]
            ):
                yield _bits(row, width)

    def _fitting_words(self, words: Any, state: State, batch: Any = None) -> Any:
        """Words, after a check that they fit K and the batch."""
        count = -(-state.num_categories // 32)
        if words.shape[-1] != count:
            raise ValueError(
                f"bitmask must have {count} words for {state.num_categories} tokens, "
                f"got shape {tuple(words.shape)}"
            )
        batch = state.batch_shape if batch is None else batch
        check_fits_within(tuple(words.shape[:-1]), batch, "bitmask")
        return words

    def _of_ids(self, ids: list[int], width: int) -> Any:
        others = np.ones(width, bool)
        others[ids] = False
        return np.flatnonzero(others)

    def _of_mask(self, mask: Any) -> Any:
        return np.flatnonzero(~mask)


def _words(x: Any) -> Any:
    """Words as int32, which every library can shift."""
    x = x if is_foreign(x) else np.asarray(x)
    if str(x.dtype).split(".")[-1] not in ("int32", "uint32"):
        raise TypeError(f"bitmask must be int32 or uint32, got dtype {x.dtype}")
    if x.ndim == 0:
        raise ValueError("bitmask must have shape (..., words), got a single word")
    return x.view(namespace_of(x).int32)


def _bits(words: Any, width: int) -> Any:
    """The bits of a row's words, (K,)."""
    octets = np.ascontiguousarray(words).astype("<i4")
    return np.unpackbits(octets.view(np.uint8), count=width, bitorder="little").view(bool)


def _bits_in(words: Any, width: int) -> Any:
    """The bits of words in any library, (..., K)."""
    xp = namespace_of(words)
    shifts = to_namespace(np.arange(32, dtype=np.int32), xp, words, words.dtype)
    bits = xp.bitwise_and(xp.bitwise_right_shift(words[..., None], shifts), xp.ones_like(shifts))
    flat = xp.reshape(bits, (*words.shape[:-1], words.shape[-1] * 32))
    return flat[..., :width] != 0


def _mask(found: Any, width: int) -> Any:
    """What a function returned, as a mask."""
    if hasattr(found, "dtype") and (given := to_numpy(found)).dtype == bool:
        if given.shape != (width,):
            raise ValueError(f"ids must return a mask of {width} tokens, got shape {given.shape}")
        return given
    ids = ids_of(found, "ids", "a function that returns ids or a mask")
    check_ids(ids, width, "ids")
    mask = np.zeros(width, bool)
    mask[ids] = True
    return mask
