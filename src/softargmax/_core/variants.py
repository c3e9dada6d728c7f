"""States made from a state: rows of its batch, other temperatures, fewer categories."""

import math
from typing import Any

import numpy as np

from softargmax._arrays.checks import check_fits
from softargmax._arrays.namespaces import (
    Array,
    ArrayLike,
    Namespace,
    Shape,
    copied,
    is_foreign,
    is_plain,
    kind_of,
    namespace_of,
    read_only,
    to_namespace,
    to_numpy,
)
from softargmax._arrays.weights import keep_mask
from softargmax._core.inputs import (
    batch_shape,
    check_support,
    checked_state,
    checked_temperature,
)
from softargmax._core.state import State, Whole


def indexed(state: State, index: Any) -> State:
    """Index the batch as a NumPy array of shape batch_shape, the categories left alone."""
    batch, temperature = state.batch_shape, state.temperature
    index = to_numpy(index) if is_foreign(index) else index
    shape = np.shape(np.broadcast_to(0, batch)[index])
    some = temperature.mapped(lambda x: _taken(x, batch, index, 0))
    if state.kept is not None:
        return _indexed_survivors(state, index, shape, some)
    logits, z, prior = _taken_rows(state.logits, state.z, state.prior, batch, index)
    if batch_shape(tuple(logits.shape), some, prior) != shape:  # an axis that none of them has
        logits, z = _spread_rows(logits, z, (*shape, z.shape[-1]), state.xp)
    return State(state.xp, logits, z, some, prior, shape)


def _indexed_survivors(state: State, index: Any, shape: Shape, temperature: Any) -> State:
    kept, batch = state.kept, state.batch_shape
    assert kept is not None
    rows = np.arange(math.prod(batch)).reshape(batch)[index]
    places = [np.arange(kept.starts[i], kept.starts[i + 1]) for i in np.ravel(rows)]
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
    """What an index of the batch takes of ``x`` (batch axes, then ``core`` axes), as a copy."""
    xp, tail = namespace_of(x), tuple(x.shape[x.ndim - core :])
    full = xp.broadcast_to(x, (*batch, *tail))
    if xp is np:
        parts = index if isinstance(index, tuple) else (index,)
        if core and any(part is Ellipsis for part in parts):
            parts = (*parts, slice(None))
        taken = np.array(full[parts])
    else:
        position = np.arange(math.prod(batch)).reshape(batch)[index]
        flat = to_namespace(np.ravel(position), xp, x)
        rows = xp.reshape(full, (math.prod(batch), *tail))
        taken = xp.reshape(xp.take(rows, flat, axis=0), (*np.shape(position), *tail))
    return float(taken) if taken.ndim == 0 and xp is np else read_only(taken)


def rows_of_batch(state: State) -> list[State]:
    """The rows of a 1-d batch, kept so that a second draw finds what the first computed."""
    if "rows" not in state.memo:
        state.memo["rows"] = [indexed(state, i) for i in range(state.batch_shape[0])]
    found: list[State] = state.memo["rows"]
    return found


def spread(state: State, shape: Shape) -> State:
    """The state over a larger batch that its own broadcasts to."""
    if shape == state.batch_shape:
        return state
    full = (*shape, state.num_categories)
    logits, z = (state.xp.broadcast_to(x, full) for x in (state.logits, state.z))
    return state.replace(logits=logits, z=z, batch_shape=shape)


def tempered(state: State, temperature: ArrayLike | None, coldness: ArrayLike | None) -> State:
    """The state at another temperature, which replaces the present one."""
    if temperature is None and coldness is None:
        raise TypeError("pass temperature or coldness, got neither")
    new = temperature if coldness is None else coldness
    if state.xp is np and is_foreign(new):  # as the constructor would, go where it lives
        return checked_state(state.logits, temperature, coldness, state.prior, copy=True)
    checked = checked_temperature(temperature, coldness, state.xp, state.logits)
    for part in checked:
        read_only(part)
    shape = batch_shape(tuple(state.logits.shape), checked, state.prior)
    if state.kept is not None and shape == state.batch_shape and all(map(is_plain, checked)):
        return State.of_survivors(state.xp, checked, shape, state.kept)
    return state.replace(temperature=checked, batch_shape=shape)


def masked(state: State, keep: ArrayLike) -> State:
    """The state on fewer categories: the prior is multiplied by a mask."""
    xp = state.xp
    if xp is np and namespace_of(keep) is not np:  # as the constructor would, go where it lives
        other = namespace_of(keep)
        logits = to_namespace(np.array(state.logits), other, keep)  # a copy, for ours is read-only
        value, cold = state.temperature.value, None
        if value is None:
            cold = state.coldness
        return masked(checked_state(logits, value, cold, state.prior, copy=True), keep)
    mask = keep_mask(keep, "keep", xp, state.logits)
    if mask.shape[-1] != state.num_categories:
        raise ValueError(
            f"keep must have {state.num_categories} categories on its last axis, "
            f"got shape {tuple(mask.shape)}"
        )
    shape = check_fits(tuple(mask.shape[:-1]), state.batch_shape, "keep")
    if state.prior is None:
        prior = copied(mask, xp)
    else:
        keep = xp.astype(mask, xp.bool)
        prior = xp.where(keep, state.prior, xp.zeros_like(state.prior))
        if keep is not mask and kind_of(mask, xp) == "f":  # NaN where nobody could check it
            prior = xp.where(xp.isnan(mask), math.nan, xp.astype(prior, mask.dtype))
    check_support(state.z, prior, xp, "keep")
    return state.replace(prior=read_only(prior), batch_shape=shape)
