"""Check action values, and build distributions from logits that the library has computed."""

import math
from typing import Any

from softargmax._arrays.namespaces import Array, ArrayLike, read_only
from softargmax._core.inputs import checked_state
from softargmax._core.state import State
from softargmax._rows.rows import Temperature
from softargmax.categorical import Categorical, of_state


def action_values(
    values: ArrayLike,
    mask: ArrayLike | None,
    *others: Any,
    temperature: ArrayLike | None = None,
    coldness: ArrayLike | None = None,
    prior: ArrayLike | None = None,
    copy: bool = False,
    name: str = "values",
) -> State:
    """Checked action values, in the array library of any of the arguments, ``others`` included."""
    return checked_state(
        values,
        temperature,
        coldness,
        prior,
        mask,
        copy=copy,
        name=name,
        beside=others,
    )


def policy_of(logits: Array, z: Array, xp: Any, temperature: float = 1.0) -> Categorical:
    """A distribution in the dtype of z; it takes ownership of the logits."""
    own = read_only(xp.astype(logits, z.dtype))
    heat = Temperature(1 / temperature if temperature else math.inf, temperature)
    return of_state(State(xp, own, own, heat, None, tuple(own.shape[:-1])))
