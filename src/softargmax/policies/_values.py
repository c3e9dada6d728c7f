"""Action values, checked, and distributions of logits that are ours."""

import math
from typing import Any

import numpy as np

from softargmax._arrays.namespaces import (
    Array,
    ArrayLike,
    read_only,
    register_pytree,
)
from softargmax._inputs import Heat, Inputs, inputs
from softargmax.categorical import Categorical


def action_values(
    values: ArrayLike,
    mask: ArrayLike | None,
    *others: Any,
    temperature: ArrayLike | None = None,
    copy: bool = False,
) -> Inputs:
    """Action values, checked, where any of the arrays lives."""
    return inputs(
        values,
        temperature,
        None,
        mask,
        copy=copy,
        name="values",
        prior_name="mask",
        beside=others,
    )


def made(logits: Array, z: Array, xp: Any, temperature: float = 1.0) -> Categorical:
    """A distribution in the dtype of z, of logits that are ours."""
    own = read_only(xp.astype(logits, z.dtype))
    heat = Heat(1 / temperature if temperature else math.inf, temperature)
    return of(Inputs(xp, own, own, heat, None, tuple(own.shape[:-1])))


def of(given: Inputs) -> Categorical:
    if given.xp is not np:
        register_pytree(Categorical)
    return Categorical._of(given)
