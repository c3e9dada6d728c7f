"""Objects taken apart and put together: pickles, copies, and the leaves that JAX transforms."""

from __future__ import annotations

from typing import Any

import numpy as np

from softargmax._arrays.checks import cast
from softargmax._arrays.namespaces import Array, copied, detached, namespace_of, read_only
from softargmax._core.inputs import checked_state, inverse
from softargmax._core.state import Kept, Origin, State, Whole
from softargmax._rows.rows import Temperature


def parts_of(state: State) -> tuple[Any, ...]:
    """What defines a state, to be pickled: neither what was computed from it nor its library."""
    origin = None if state.origin is None else state.origin.mapped(parts_of)
    return _own_parts(state), origin, state.labels


def _own_parts(state: State) -> tuple[Any, ...]:
    temperature, coldness = state.temperature.value, None
    if temperature is None:
        coldness = state.coldness
    if state.kept is not None:
        library = state.at_home(np.empty(0))  # an array that says whose it is
        return temperature, coldness, state.kept, state.batch_shape, library
    return temperature, coldness, state.logits, state.prior


def state_of_parts(
    own: tuple[Any, ...], origin: Origin | None, labels: tuple[str, ...] | None
) -> State:
    """The state of :func:`parts_of`."""
    made = _state_of_own_parts(*own)
    made.labels = labels
    made.origin = None if origin is None else origin.mapped(lambda parts: state_of_parts(*parts))
    return made


def _state_of_own_parts(temperature: Any, coldness: Any, *rest: Any) -> State:
    if not isinstance(rest[0], Kept):
        logits, prior = rest
        return checked_state(logits, temperature, coldness, prior, copy=True)
    kept, batch, library = rest
    xp = namespace_of(library)
    cold = inverse(temperature, xp) if coldness is None else coldness
    for array in (cold, temperature, kept.indices, kept.z, kept.prior, *(kept.whole or ())):
        read_only(array)
    return State.of_survivors(xp, Temperature(cold, temperature), batch, kept)


def copy_of(state: State) -> State:
    """A state that shares no array with this one, outside any graph."""
    return _copy_of_own(state).at(state, copy_of)


def _copy_of_own(state: State) -> State:

    def copy(x: Array) -> Array:
        return read_only(copied(detached(x, state.xp), state.xp))

    kept = state.kept
    if kept is None:
        return state.mapped(copy)
    if kept.whole is not None:
        logits = copy(kept.whole.logits)
        z = logits if kept.whole.z is kept.whole.logits else copy(kept.whole.z)
        prior = None if kept.whole.prior is None else copy(kept.whole.prior)
        kept = kept._replace(whole=Whole(logits, z, prior))
    temperature = state.temperature.mapped(copy)
    return State.of_survivors(state.xp, temperature, state.batch_shape, kept)


def leaves(state: State) -> tuple[tuple[Any, ...], Any]:
    """Logits, temperature or coldness, and prior, over the whole batch, for JAX.

    And those of its origin, which has the same batch.
    """
    own, name = _own_leaves(state)
    if state.origin is None:
        return own, name
    others = [(None, None) if other is None else leaves(other) for other in state.origin]
    return (*own, *(parts for parts, _ in others)), (name, *(known for _, known in others))


def _own_leaves(state: State) -> tuple[tuple[Any, ...], str]:
    xp, batch, temperature = state.xp, state.batch_shape, state.temperature
    name, value = ("temperature", temperature.value)
    if value is None:
        name, value = ("coldness", temperature.coldness)
    full = (*batch, state.num_categories)
    prior = None if state.prior is None else xp.broadcast_to(state.prior, full)
    value = xp.broadcast_to(xp.asarray(value), batch)
    return (xp.broadcast_to(state.logits, full), value, prior), name


def state_of_leaves(known: Any, parts: tuple[Any, ...]) -> State:
    """The state of leaves, which may be anything that a transformation puts there."""
    if isinstance(known, str):
        return _state_of_own_leaves(known, parts)
    made = _state_of_own_leaves(known[0], parts[:3])
    others = zip(known[1:], parts[3:], strict=True)
    made.origin = Origin(
        *(None if name is None else state_of_leaves(name, x) for name, x in others)
    )
    return made


def _state_of_own_leaves(name: str, parts: tuple[Any, ...]) -> State:
    logits, value, prior = parts
    xp = namespace_of(logits, value, prior)
    batch, z, other = (), logits, value
    if hasattr(logits, "shape") and hasattr(logits, "dtype"):
        batch, z = tuple(logits.shape[:-1]), cast(logits, xp)
    if hasattr(value, "dtype"):
        value = float(value) if xp is np and np.ndim(value) == 0 else value
        other = inverse(value, xp)
    temperature = Temperature(value, None) if name == "coldness" else Temperature(other, value)
    return State(xp, logits, z, temperature, prior, batch)
