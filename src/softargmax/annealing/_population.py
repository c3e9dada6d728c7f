"""States on the first axis of an array, as replica exchange and particles hold them."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np

from softargmax._arrays.namespaces import copied, is_foreign, namespace_of, unwrap
from softargmax._random.numpy import Generator

Energy = Callable[[Any], Any]
Sweep = Callable[[Any, Any, Generator], Any]


def copy(states: Any) -> Any:
    """The states as an array of the run's own."""
    if is_foreign(states):
        return copied(states, namespace_of(states))
    try:
        array = np.array(states)
    except ValueError as error:
        raise ValueError(f"states must be an array: {error}") from None
    # A shallow copy would share the objects of an array, which may be changed in place.
    return unwrap(deepcopy(array) if array.dtype == object else array)


def swept(sweep: Sweep, states: Any, coldness: Any, rng: Generator) -> Any:
    """The states after a sweep, which gets a copy of them."""
    moved = sweep(copy(states), coldness, rng)
    if moved is None:
        raise TypeError("sweep must return the states, got None")
    moved = moved if is_foreign(moved) else np.asarray(moved)
    if tuple(moved.shape) != tuple(states.shape):
        raise ValueError(
            f"sweep must return states of shape {tuple(states.shape)}, "
            f"got shape {tuple(moved.shape)}"
        )
    return moved
