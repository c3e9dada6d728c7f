"""Ids of tokens, as users pass them; the tokens so far, as rows of ids."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from softargmax._arrays.namespaces import Shape, is_foreign, is_traced, to_numpy
from softargmax._core.state import State

_ROW = "history", "1-d integer ids per row"


def tokens_of(history: Any, state: State, stage: str) -> list[Any]:
    """One 1-d array of ids for each row of the batch, without padding."""
    if history is None:
        raise ValueError(f"history must be given, {stage} looks at the tokens so far")
    batch = state.batch_shape
    if is_array(history):
        ids = _ids_in(history, "history")
        if ids.ndim == 0 or ids.shape[:-1] != batch:
            raise ValueError(
                f"history must have shape {batch} + (t,), one row of ids for each of the batch, "
                f"got shape {ids.shape}"
            )
        found = rows_in(ids)
    else:
        found = _sequence(history, batch)
    width = state.num_categories
    for i, row in enumerate(found):
        if row.size and row.max() >= width:
            place = f" in row {i}" if batch else ""
            raise ValueError(f"history must be ids below {width}, got {row.max()}{place}")
    return [row[row >= 0] if row.size and row.min() < 0 else row for row in found]


def texts_of(tokens: Any, name: str) -> tuple[list[Any], Shape]:
    """One 1-d array of ids for each text, without padding, and the shape of the batch of texts."""
    if is_array(tokens):
        ids = _ids_in(tokens, name)
        if ids.ndim == 0:
            raise ValueError(f"{name} must have a last axis of ids, got shape ()")
        found, batch = rows_in(ids), ids.shape[:-1]
    else:
        expected = "integer ids, or one sequence of them a text"
        items = list(tokens) if is_sequence(tokens) else [tokens, []]
        many = any(map(is_sequence, items))
        if many and not all(map(is_sequence, items)):
            raise TypeError(f"{name} must be {expected}, got {tokens!r}")
        found = [ids_of(row, name, expected) for row in (items if many else [items])]
        batch = (len(found),) if many else ()
    return [row[row >= 0] for row in found], batch


def is_array(x: Any) -> bool:
    """Whether ids are an array, of any library."""
    return is_foreign(x) or isinstance(x, np.ndarray)


def _ids_in(x: Any, name: str) -> Any:
    """An array of ids as NumPy's."""
    if is_traced(x):
        raise TypeError(f"{name} must be known, got a traced array")
    ids = to_numpy(x)
    ids = ids.astype(np.int64) if ids.size == 0 else ids
    if ids.dtype.kind not in "iu":
        raise TypeError(f"{name} must be integers, got dtype {ids.dtype}")
    return ids


def rows_in(ids: Any) -> list[Any]:
    """The rows of an array of ids, which may have none."""
    return list(ids.reshape(math.prod(ids.shape[:-1]), ids.shape[-1]))


def each_row(x: Any, batch: tuple[int, ...], name: str, *, own: bool) -> Any:
    """What each row gets: one thing for all, or an item of its own for every row of a 1-d batch."""
    if not own:
        return (x,) * math.prod(batch)
    if (len(x),) != batch:
        raise ValueError(
            f"{name} must have one item for each row of a 1-d batch, {batch}, got {len(x)}"
        )
    return x


def _sequence(history: Any, batch: tuple[int, ...]) -> list[Any]:
    try:
        items = list(history)
    except TypeError:
        raise TypeError(
            f"history must be integer ids, or one sequence of them per row, got {history!r}"
        ) from None
    if not batch:
        return [ids_of(items, *_ROW)]
    if len(batch) != 1 or len(items) != batch[0]:
        raise ValueError(
            f"history must have one sequence for each row of a 1-d batch, {batch}, "
            f"got {len(items)}; for other batches pass an array"
        )
    return [ids_of(row, *_ROW) for row in items]


def ids_of(x: Any, name: str, expected: str = "a sequence of integer ids") -> Any:
    """A 1-d array of ids."""
    if isinstance(x, set | frozenset):
        x = sorted(x)
    ids = np.asarray(to_numpy(x) if is_foreign(x) else x)
    if ids.size == 0:
        return np.empty(0, np.int64)
    if ids.ndim != 1 or ids.dtype.kind not in "iu":
        raise TypeError(f"{name} must be {expected}, got {x!r}")
    return ids


def id_rows(x: Any, name: str) -> tuple[Any, ...]:
    """Ids as a tuple, or one such tuple a row, each as given."""
    if is_foreign(x):
        x = to_numpy(x)
    try:
        items = sorted(x) if isinstance(x, set | frozenset) else list(x)
    except TypeError:
        items = [x]
    if not any(map(is_sequence, items)):
        return tuple(ids_of(x, name).tolist())
    expected = "a sequence of integer ids, or one per row"
    return tuple(tuple(ids_of(row, name, expected).tolist()) for row in items)


def is_sequence(x: Any) -> bool:
    """Whether a list of ids, rather than an id, stands here."""
    return isinstance(x, list | tuple | set | frozenset | range) or bool(getattr(x, "ndim", 0))


def check_ids(ids: Any, width: int, name: str) -> None:
    """Check that all ids are tokens."""
    ids = np.asarray(ids, np.int64)
    wrong = ids[(ids < 0) | (ids >= width)]
    if wrong.size:
        raise ValueError(f"{name} must be ids in 0 … {width - 1}, got {wrong[0]}")
