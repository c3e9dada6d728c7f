"""Biases and bans of sequences of tokens, which act on the token that would complete one."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from softargmax._arrays.checks import number
from softargmax._core.renewal import Change
from softargmax._core.state import State
from softargmax.tokens._edits import mappings
from softargmax.tokens._history import check_ids, each_row, ids_of, is_sequence
from softargmax.tokens._reader import Reader, Seen

# The biases of one row: by what comes before the last token, and by that.
_Table = dict[tuple[int, ...], dict[int, float]]


@dataclass(frozen=True, eq=False, repr=False)
class _Sequences(Reader):
    """An edit of the tokens that would complete a sequence, each with a bias."""

    _name: ClassVar[str]  # of the field with the sequences

    def _given(self, state: State) -> list[dict[str, Any]]:
        tables, name = self._tables, self._name
        own = isinstance(tables, tuple)
        for table in tables if own else (tables,):
            for begun, ends in table.items():
                check_ids([*begun, *ends], state.num_categories, name)
        rows = each_row(tables, state.batch_shape, name, own=own)
        return [{"table": table} for table in rows]

    @cached_property
    @abstractmethod
    def _tables(self) -> Any:
        """A table for all rows, or a tuple with one per row."""

    @property
    def _looks_back(self) -> bool:
        tables = self._tables if isinstance(self._tables, tuple) else (self._tables,)
        return any(begun for table in tables for begun in table)

    def _change(self, seen: Seen, *, table: _Table) -> Change:  # type: ignore[override]
        found: dict[int, float] = {}
        tokens = seen.latest
        for m in {len(begun) for begun in table}:
            if m <= len(tokens):
                for last, bias in table.get(tuple(tokens[len(tokens) - m :].tolist()), {}).items():
                    found[last] = found.get(last, 0.0) + bias
        ids = sorted(found)
        return Change(np.array(ids, np.int64), None, np.array([found[i] for i in ids]))


def _table(biases: Mapping[tuple[int, ...], float]) -> _Table:
    found: _Table = {}
    for sequence, bias in biases.items():
        found.setdefault(sequence[:-1], {})[sequence[-1]] = bias
    return found


@dataclass(frozen=True, eq=False, repr=False)
class SequenceBias(_Sequences):
    r"""Add a bias to the tokens that would complete a sequence.

    .. math:: \log p_i \leftarrow \log p_i + \sum_s b_s

    over all sequences s that token i completes. To keep a sequence from being begun, bias its
    beginnings too.

    Parameters
    ----------
    bias : mapping of sequences of ids to numbers, or a sequence of such mappings
        In nats; -inf bans a sequence. A sequence of one token is biased always. A sequence of
        mappings has one for each row of a 1-d batch.
    of : {"all", "output"}
        Whether the sequence may begin within the prompt.
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
    The rule of transformers' ``sequence_bias``.

    Examples
    --------
    >>> import numpy as np
    >>> from softargmax import Categorical
    >>> from softargmax.tokens import SequenceBias
    >>> stage = SequenceBias({(5, 0): np.log(3.0)})
    >>> stage(Categorical.from_weights([1, 1, 0, 0, 0, 0]), [2, 5]).probs
    array([0.75, 0.25, 0.  , 0.  , 0.  , 0.  ])
    """

    bias: Any
    _name: ClassVar[str] = "bias"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set("bias", mappings(self.bias, "bias", "sequences of ids", _biases))

    @cached_property
    def _tables(self) -> Any:
        if isinstance(self.bias, tuple):
            return tuple(_table(bias) for bias in self.bias)
        return _table(self.bias)


def _biases(bias: Mapping[Any, Any], name: str) -> dict[tuple[int, ...], float]:
    """Biases by ascending sequence."""
    pairs = ((_sequence(x, name), b) for x, b in bias.items())
    return {x: float(number(b, f"{name} of {x}", "[-inf, inf)")) for x, b in sorted(pairs)}


def _sequence(x: Any, name: str) -> tuple[int, ...]:
    ids = ids_of(x if is_sequence(x) else [x], name, "sequences of integer ids")
    if not ids.size:
        raise ValueError(f"{name} must be sequences of one or more ids, got an empty one")
    return tuple(ids.tolist())


@dataclass(frozen=True, eq=False, repr=False)
class BanSequences(_Sequences):
    """Ban sequences of tokens: a token that would complete one gets probability 0.

    Parameters
    ----------
    sequences : sequence of sequences of ids, or a sequence of those
        A sequence of one token is banned always. With one more level there is one sequence of
        sequences for each row of a 1-d batch.
    of : {"all", "output"}
        Whether the sequence may begin within the prompt.
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
    The rule of transformers' ``bad_words_ids``, and with ``of="output"`` of vLLM's ``bad_words``.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.tokens import BanSequences
    >>> BanSequences([[2, 0], [1, 1]])(Categorical.from_weights([2, 1, 1]), [1, 2]).probs
    array([0. , 0.5, 0.5])
    """

    sequences: Any
    _name: ClassVar[str] = "sequences"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not is_sequence(self.sequences):
            raise TypeError(f"sequences must be sequences of integer ids, got {self.sequences!r}")
        given = [list(x) if is_sequence(x) else x for x in self.sequences]
        own = bool(given) and all(isinstance(x, list) and all(map(is_sequence, x)) for x in given)
        if given == [[]]:
            raise ValueError("sequences must be sequences of one or more ids, got an empty one")
        found = tuple(map(_distinct, given)) if own else _distinct(given)
        self._set("sequences", found)

    @cached_property
    def _tables(self) -> Any:
        if any(is_sequence(x[0]) if x else True for x in self.sequences):
            return tuple(_table(dict.fromkeys(row, -math.inf)) for row in self.sequences)
        return _table(dict.fromkeys(self.sequences, -math.inf))


def _distinct(sequences: Any) -> tuple[tuple[int, ...], ...]:
    return tuple(sorted({_sequence(x, "sequences") for x in sequences}))
