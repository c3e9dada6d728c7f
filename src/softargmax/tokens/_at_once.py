"""A draw from logits after truncations at once: no distribution is made, and no copy kept."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from softargmax._arrays.namespaces import (
    Given,
    is_foreign,
    is_plain,
    namespace_of,
    to_numpy,
    unwrap,
)
from softargmax._core.inputs import NATIVE, SCALARS, checked_temperature, plain_temperature
from softargmax._core.renewal import product
from softargmax._core.thresholds import check_rules
from softargmax._random.keyed import Keyed
from softargmax._random.numpy import Generator, uniform, uniforms
from softargmax._random.sources import source_of
from softargmax._rows.few import MANY
from softargmax._rows.rows import ONE, Temperature, is_direct
from softargmax._rows.rules import Rules
from softargmax._rows.surviving import picker, seen

_UNIT = np.int64(1)  # a product is made faster than a scalar


class Plan(NamedTuple):
    """Truncations that kernels know, and what multiplies the temperature before and after them."""

    rules: Rules
    before: float = 1.0
    after: float = 1.0


def in_place(logits: Given) -> Any:
    """Long rows that NumPy reads where they are; None of any others."""
    z = logits
    if type(z) is not np.ndarray:
        if not (is_foreign(z) and is_plain(z)):
            return None
        z = to_numpy(z)
    shape = z.shape
    long = shape and shape[-1] >= MANY and z.size
    return z if long and z.dtype in NATIVE and is_direct(z) else None


def draw_at_once(z: Any, logits: Given, temperature: Given | None, plan: Plan, rng: Any) -> Any:
    """A draw of each row that was found ``in_place``, equal to that from the distribution that a
    plan leaves.

    None where that has to be made, or asked what is wrong. The logits are only read.
    """
    if not (temperature is None or type(temperature) in SCALARS):
        return None
    rules = plan.rules
    heat, last = _temperatures(temperature, plan.before, plan.after)
    if heat is None or isinstance(rng, Keyed):
        return None
    if z is logits and z.ndim == 1 and rules.of_numbers and type(rng) is Generator:
        pick = picker(z, heat, rules, last)  # the common case, on a short way
        return None if pick is None else _UNIT * pick(uniform(rng))
    batch, rows = z.shape[:-1], z.reshape(-1, z.shape[-1])
    looks = seen(rows)
    if looks is None:
        return None
    check_rules(rules, batch)
    noise = source_of(rng, namespace_of(logits), logits, batch)
    generators = noise.generators
    if isinstance(generators, list):
        u = [uniform(one) for one in generators]
    else:
        u = uniforms(generators, (len(rows),)).tolist()
    drawn = np.empty(len(rows), np.int64)
    for i, (own, look) in enumerate(zip(rules.of_each_row(batch), looks, strict=False)):
        pick = picker(rows[i], heat, own, last, *look)
        assert pick is not None  # since the largest logit is finite
        drawn[i] = pick(u[i])
    return unwrap(noise.home(drawn.reshape(batch)))


@lru_cache
def _temperatures(temperature: Any, before: float, after: float) -> Any:
    """The temperatures before and after truncations; None where one is out of the usual range."""
    heat = ONE if temperature is None else plain_temperature(temperature)
    if heat is None:
        return None, None
    heat = heat if before == 1 else _times(heat, before)
    return heat, heat if after == 1 else _times(heat, after)


def _times(temperature: Temperature, factor: float) -> Temperature:
    return product(temperature, checked_temperature(factor, None, np, factor), np)
