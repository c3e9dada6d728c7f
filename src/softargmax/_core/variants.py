"""States made from a state: rows of its batch, other temperatures, fewer categories."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from softargmax._arrays.checks import cast
from softargmax._arrays.namespaces import (
    Array,
    Given,
    Namespace,
    Shape,
    copied,
    is_foreign,
    is_plain,
    is_traced,
    kind_of,
    namespace_of,
    read_only,
    rows_at,
    to_namespace,
    to_numpy,
    widest_float,
)
from softargmax._arrays.weights import checked_mask
from softargmax._core.inputs import batch_shape, check_one, checked_state, checked_temperature
from softargmax._core.state import SEEN, State, Whole
from softargmax._core.support import check_support, masked_prior, meet_categories
from softargmax._rows.rows import Temperature


def indexed(state: State, index: Any) -> State:
    """Index the batch as a NumPy array of shape batch_shape, the categories left alone."""
    return _indexed(state, index).at(state, lambda other: indexed(other, index))


def _indexed(state: State, index: Any) -> State:
    batch, temperature = state.batch_shape, state.temperature
    plain = type(index) is int and len(batch) == 1 and state.xp is np and state.kept is None
    if plain and -batch[0] <= index < batch[0]:
        return _row(state, index, copy=True)
    if any(map(is_traced, index if isinstance(index, tuple) else (index,))):
        return _indexed_by_hidden(state, index)
    index = to_numpy(index) if is_foreign(index) else index
    shape = np.shape(np.broadcast_to(0, batch)[index])
    some = temperature.mapped(lambda x: _taken(x, batch, index, 0))
    if state.kept is not None:
        return _indexed_survivors(state, index, shape, some)
    logits, z, prior = _taken_rows(state.logits, state.z, state.prior, batch, index)
    if batch_shape(tuple(logits.shape), some, prior) != shape:  # an axis that none of them has
        logits, z = _spread_rows(logits, z, (*shape, z.shape[-1]), state.xp)
    return State(state.xp, logits, z, some, prior, shape)


def _row(state: State, i: int, *, copy: bool) -> State:
    """One row of a dense batch of NumPy arrays, without the care that other indices need.

    Without a copy it keeps the whole batch alive.
    """

    def seen(x: Any, axes: int) -> Any:
        return x if x.ndim == axes else x[i if len(x) > 1 else 0]

    def own(x: Any) -> Any:
        row = seen(x, 1)
        return read_only(row.copy()) if copy and row is not x else row

    z = own(state.z)
    logits = z if state.logits is state.z else own(state.logits)
    prior = None if state.prior is None else own(state.prior)
    made = State(np, logits, z, state.row_temperature(i), prior, ())
    for name, axes in SEEN.items():
        if name in state.memo:
            made.memo[name] = seen(state.memo[name], axes)
    return made


def _indexed_by_hidden(state: State, index: Any) -> State:
    """Rows whose numbers are hidden; one beyond the batch is NaN."""
    if state.xp is np:
        state = moved(state, index)
    xp, batch = state.xp, state.batch_shape
    row = rows_at(index, batch, xp, state.z)
    flat, full = xp.reshape(xp.where(row < 0, 0, row), (-1,)), (*batch, state.num_categories)

    def taken(x: Array, core: int) -> Array:
        x = xp.broadcast_to(x, full[: len(batch) + core])
        x = xp.take(xp.reshape(x, (-1, *full[len(batch) :][:core])), flat, axis=0)
        return xp.reshape(x, (*row.shape, *x.shape[1:]))

    logits = xp.where(row[..., None] < 0, math.nan, taken(state.logits, 1))
    prior = None if state.prior is None else taken(state.prior, 1)
    heat = state.temperature.mapped(lambda x: taken(x, 0))
    return State(xp, logits, cast(logits, xp), heat, prior, tuple(row.shape))


def moved(state: State, like: Array) -> State:
    """A state of NumPy arrays where another array lives."""
    logits = to_namespace(np.array(state.logits), namespace_of(like), like)  # ours is read-only
    value, cold = state.temperature.value, None
    if value is None:
        cold = state.coldness
    made = checked_state(logits, value, cold, state.prior, copy=True)
    return made.at(state, lambda other: moved(other, like))


def _indexed_survivors(state: State, index: Any, shape: Shape, temperature: Any) -> State:
    kept, batch = state.kept, state.batch_shape
    assert kept is not None
    rows = _row_numbers(batch, index)
    places = [np.arange(kept.starts[i], kept.starts[i + 1]) for i in rows]
    some = kept.take(places)
    if kept.whole is not None:
        logits, z, prior = _taken_rows(*kept.whole, batch, index)
        if np.broadcast_shapes(logits.shape[:-1], shape) != shape:
            logits, z = _spread_rows(logits, z, (*shape, kept.width), state.xp)
        some = some._replace(whole=Whole(logits, z, prior))
    return State.of_survivors(state.xp, temperature, shape, some)


def _taken_rows(
    logits: Array, z: Array, prior: Array | None, batch: Shape, index: Any
) -> tuple[Array, Array, Array | None]:
    """Rows of arrays whose last axis is the categories; arrays without batch axes stay."""
    same = z is logits
    if logits.ndim > 1:
        logits = _taken(logits, batch, index, 1)
        z = logits if same else _taken(z, batch, index, 1)
    if prior is not None and prior.ndim > 1:
        prior = _taken(prior, batch, index, 1)
    return logits, z, prior


def _spread_rows(logits: Array, z: Array, shape: Shape, xp: Namespace) -> tuple[Array, Array]:
    same = z is logits
    logits = read_only(copied(xp.broadcast_to(logits, shape), xp))
    return logits, logits if same else read_only(copied(xp.broadcast_to(z, shape), xp))


def _taken(x: Array, batch: Shape, index: Any, core: int) -> Any:
    """What an index of the batch takes of ``x`` (batch axes, then ``core`` axes), as a copy.

    Only the axes that x has are indexed: of an axis of length 1 there is one row for all.
    """
    xp, lead = namespace_of(x), tuple(x.shape[: x.ndim - core])
    parts = _basic(index, batch)
    if parts is None or (xp is not np and any(_falls(part) for part in parts)):
        own = np.broadcast_to(np.arange(math.prod(lead)).reshape(lead), batch)[index]
        rows = xp.reshape(x, (math.prod(lead), *x.shape[x.ndim - core :]))
        flat = to_namespace(np.array(own).ravel(), xp, x)
        taken = xp.reshape(xp.take(rows, flat, axis=0), (*np.shape(own), *rows.shape[1:]))
    else:
        taken = copied(x[(*_of_own_axes(parts, batch, lead), ...)], xp)
    return float(taken) if taken.ndim == 0 and xp is np else read_only(taken)


def _basic(index: Any, batch: Shape) -> list[Any] | None:
    """An index of integers, slices and None, one part an axis; None for any other index."""
    parts = list(index) if isinstance(index, tuple) else [index]
    dots = [i for i, part in enumerate(parts) if part is Ellipsis]
    if not all(part is Ellipsis or part is None or _counts(part) for part in parts):
        return None
    place = dots[0] if dots else len(parts)
    rest = len(batch) - sum(map(_counts, parts))
    return [*parts[:place], *[slice(None)] * rest, *parts[place + 1 :]]


def _counts(part: Any) -> bool:
    """Whether a part of an index stands for one axis."""
    if isinstance(part, bool | np.bool):
        return False
    return isinstance(part, slice | int | np.integer)


def _falls(part: Any) -> bool:
    return isinstance(part, slice) and part.step is not None and part.step < 0


def _of_own_axes(parts: list[Any], batch: Shape, lead: Shape) -> list[Any]:
    """The parts for an operand with axes ``lead``, which broadcast to the batch."""
    found: list[Any] = []
    axis = -1
    for part in parts:
        axis += part is not None
        own = axis - len(batch)  # from the end, where the axes of both meet
        if axis < 0 or own < -len(lead):
            continue  # an axis that it lacks
        if part is None or lead[own] == batch[axis]:
            found.append(part)
        else:
            found.append(slice(None) if isinstance(part, slice) else 0)
    return found


def _row_numbers(batch: Shape, index: Any) -> Any:
    """The numbers of the rows that an index takes of a batch, in order."""
    if len(batch) == 1 and _counts(index):
        some = range(batch[0])[index]
        return some if isinstance(some, range) else [some]
    return np.ravel(np.arange(math.prod(batch)).reshape(batch)[index])


def rows_of_batch(state: State) -> list[State]:
    """The rows of a 1-d batch, kept so that a second draw finds what the first computed."""
    memo = state.memo
    if "rows" not in memo:
        memo["rows"] = rows_of(state)
    found: list[State] = memo["rows"]
    return found


def rows_of(state: State) -> list[State]:
    """The rows of a 1-d batch, which may be views of it."""

    def row(i: int) -> State:
        if state.xp is not np or state.kept is not None:
            return indexed(state, i)
        return _row(state, i, copy=False).at(state, lambda other: indexed(other, i))

    return [row(i) for i in range(state.batch_shape[0])]


def spread(state: State, shape: Shape) -> State:
    """The state over a larger batch that its own broadcasts to."""
    if shape == state.batch_shape:
        return state
    full = (*shape, state.num_categories)
    logits, z = (state.xp.broadcast_to(x, full) for x in (state.logits, state.z))
    made = state.replace(logits=logits, z=z, batch_shape=shape)
    return made.at(state, lambda other: spread(other, shape))


def tempered(
    state: State, temperature: Given | None, coldness: Given | None, *, advise: bool = True
) -> State:
    """The state at another temperature, which replaces the present one."""
    check_one(temperature, coldness)
    new = temperature if coldness is None else coldness
    # Move to the other library, as the constructor does.
    if state.xp is np and is_foreign(new):
        made = checked_state(state.logits, temperature, coldness, state.prior, copy=True)
        return made.after(state)
    checked = checked_temperature(temperature, coldness, state.xp, state.logits, advise=advise)
    return at_temperature(state, checked)


def at_temperature(state: State, temperature: Temperature) -> State:
    """The state at a temperature that has been checked."""
    for part in temperature:
        read_only(part)
    if state.kept is not None and all(map(is_plain, temperature)):
        full = (*state.batch_shape, state.num_categories)
        if batch_shape(full, temperature, None) == state.batch_shape:
            kept = state.kept
            return State.of_survivors(state.xp, temperature, state.batch_shape, kept).after(state)
    shape = batch_shape(tuple(state.logits.shape), temperature, state.prior)
    return state.replace(temperature=temperature, batch_shape=shape)


def labelled(state: State, labels: Sequence[object] | None) -> State:
    """The state with names of its categories; with none but its own for None."""
    if labels is None:
        return state
    if state.kept is None:
        made = state.replace()
    else:
        made = State.of_survivors(state.xp, state.temperature, state.batch_shape, state.kept)
    made.origin, made.labels = state.origin, _checked_labels(labels, state.num_categories)
    return made


def _checked_labels(labels: Sequence[object], num_categories: int) -> tuple[str, ...]:
    if isinstance(labels, str | bytes) or not hasattr(labels, "__iter__"):
        raise TypeError(
            f"labels must be a sequence of {num_categories} names, got {type(labels).__name__}"
        )
    found = tuple(map(str, labels))
    if len(found) != num_categories:
        raise ValueError(f"labels must be {num_categories} names, one a category, got {len(found)}")
    return found


def widened(state: State) -> State:
    """The state with its logits in float64, where there is one."""
    wide = widest_float(state.xp)
    if state.dtype == wide:
        return state
    if state.kept is not None:
        kept = state.kept._replace(z=state.kept.z.astype(np.float64))
        return State.of_survivors(state.xp, state.temperature, state.batch_shape, kept)
    return state.replace(z=state.xp.astype(state.z, wide))


def masked(state: State, mask: Given) -> State:
    """The state on fewer categories: the prior is multiplied by a mask."""
    xp = state.xp
    # Move to the other library, as the constructor does.
    if xp is np and namespace_of(mask) is not np:
        return masked(moved(state, mask), mask)
    keep = checked_mask(mask, "mask", xp, state.logits)
    shape = meet_categories(tuple(keep.shape), state.num_categories, state.batch_shape, "mask")
    prior = masked_prior(state.prior, keep, xp, copy=True)
    given = state.prior is not None and kind_of(state.prior, xp) != "b"  # else it is a mask
    check_support(state.z, prior, xp, "mask", masked=True, weighted="prior" if given else "")
    return state.replace(prior=read_only(prior), batch_shape=shape)
