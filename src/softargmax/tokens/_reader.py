"""Edits that read the tokens so far: the prompt, the output after it, or both."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, NamedTuple, TypeAlias

import numpy as np

from softargmax._arrays.checks import one_of
from softargmax._arrays.namespaces import ArrayLike, is_foreign, to_numpy
from softargmax._core.renewal import Change
from softargmax._core.state import State
from softargmax.tokens._edits import Edit
from softargmax.tokens._history import check_ids, each_row, ids_of, is_sequence, tokens_of
from softargmax.tokens._parameters import setting
from softargmax.tokens._stage import History

Part: TypeAlias = Literal["all", "output", "prompt"] | ArrayLike


class Seen(NamedTuple):
    """What an edit reads of one row."""

    latest: Any  # the tokens before the next one
    counted: Any  # those that count: the same, or the prompt's


@dataclass(frozen=True, eq=False, repr=False)
class Reader(Edit):
    """An edit that depends on the tokens so far: on all of them, or on a part."""

    of: Part = field(default="all", kw_only=True)
    prompt_length: Any = field(default=None, kw_only=True)
    _parts: ClassVar[tuple[str, ...]] = ("all", "output")

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.of, str):
            one_of(self.of, "of", self._parts)
        elif "prompt" in self._parts:
            self._set("of", _source(self.of))
        else:
            raise TypeError(f"of must be {' or '.join(map(repr, self._parts))}, got {self.of!r}")
        if self.prompt_length is not None:
            own = setting(self.prompt_length, "prompt_length", "integers [0, inf)")
            self._set("prompt_length", own)

    def _changes(self, state: State, history: History) -> list[Change]:
        name, batch = type(self).__name__, state.batch_shape
        if history is None and not self._looks_back:
            rows = [np.empty(0, np.int64)] * math.prod(batch)
        else:
            rows = tokens_of(history, state, name)
        lengths = self._of_rows(batch, ("prompt_length",))
        pairs = zip(rows, self._sources(state), self._given(state), strict=True)
        return [
            self._change(self._seen(tokens, source, **lengths(i)), **given)
            for i, (tokens, source, given) in enumerate(pairs)
        ]

    def _sources(self, state: State) -> Any:
        """For each row the ids that stand apart from the history, or None."""
        if isinstance(self.of, str):
            if self.of == "prompt" and self.prompt_length is None:
                raise ValueError(
                    f"prompt_length must be given, {type(self).__name__} looks at the prompt"
                )
            return [None] * math.prod(state.batch_shape)
        source: Any = self.of  # what ``_source`` made of it
        own = isinstance(source, tuple)
        for ids in source if own else (source,):
            check_ids(ids, state.num_categories, "of")
        return each_row(source, state.batch_shape, "of", own=own)

    def _seen(self, tokens: Any, source: Any, prompt_length: int | None) -> Seen:
        start = prompt_length or 0
        if source is None and self.of == "prompt":
            source = tokens[:start]
        if source is not None:
            return Seen(tokens, self._window(source))
        tokens = self._window(tokens[start:] if self.of == "output" else tokens)
        return Seen(tokens, tokens)

    def _given(self, state: State) -> list[dict[str, Any]]:
        """The arguments of ``_change`` for each row."""
        settings = self._of_rows(state.batch_shape, tuple(self._intervals))
        return [settings(i) for i in range(math.prod(state.batch_shape))]

    @property
    def _looks_back(self) -> bool:
        """Whether the edit needs a history."""
        return True

    def _window(self, tokens: Any) -> Any:
        """Those of the tokens that count."""
        return tokens

    @abstractmethod
    def _change(self, seen: Seen, **given: Any) -> Change:
        """The change of one row."""


def _source(x: Any) -> Any:
    """Ids that stand apart from the history: an array, or a tuple with one per row."""
    x = to_numpy(x) if is_foreign(x) else x
    expected = "'all', 'output', 'prompt', integer ids, or a sequence of them per row"
    if not is_sequence(x):
        raise TypeError(f"of must be {expected}, got {x!r}")
    if x.ndim > 1 if isinstance(x, np.ndarray) else any(map(is_sequence, x)):
        return tuple(_ids(row, expected) for row in x)
    return _ids(x, expected)


def _ids(x: Any, expected: str) -> Any:
    ids = ids_of(x, "of", expected)
    return ids[ids >= 0].astype(np.int64)  # negative ones are padding
