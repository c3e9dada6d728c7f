"""Check action values, and build distributions from logits that the library has computed."""

from __future__ import annotations

import math
from typing import Any

from softargmax._arrays.namespaces import Array, ArrayLike
from softargmax._core.inputs import checked_state
from softargmax._core.scored import lost
from softargmax._core.state import Origin, State, of_logits
from softargmax._core.variants import spread
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
    heat = Temperature(1 / temperature if temperature else math.inf, temperature)
    return of_state(lost(of_logits(xp.astype(logits, z.dtype), xp, heat)))


def linked(made: State, law: State, coin: State | None = None) -> Categorical:
    """A policy just made, whose derivatives are those in the logits of a law: see ``Origin``."""
    batch = made.batch_shape
    made.origin = Origin(spread(law, batch), None if coin is None else spread(coin, batch))
    return of_state(made)
