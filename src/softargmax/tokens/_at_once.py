"""A draw from logits after truncations at once: no distribution is made, and no copy kept."""

from __future__ import annotations

import math
from functools import lru_cache
from operator import attrgetter
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
from softargmax._core.inputs import NATIVE, checked_temperature, plain_temperature
from softargmax._core.renewal import product
from softargmax._core.thresholds import check_rules
from softargmax._random.keyed import Keyed
from softargmax._random.numpy import Generator, uniform, uniforms
from softargmax._random.sources import source_of
from softargmax._rows.few import MANY
from softargmax._rows.rows import ONE, Temperature, is_direct
from softargmax._rows.rules import Rules
from softargmax._rows.surviving import seen, surviving_one

_TOP = attrgetter("top")


class Plan(NamedTuple):
    """Truncations, and by what the temperature is multiplied before and after them."""

    rules: Rules
    before: float = 1.0
    after: float = 1.0


def draw_at_once(logits: Given, temperature: Given | None, plan: Plan, rng: Any) -> Any:
    """A draw of each long row, equal to that from the distribution that a plan leaves.

    None where that has to be made, or asked what is wrong. The logits are only read.
    """
    z, (rules, before, after) = _in_place(logits), plan
    heat = ONE if temperature is None else plain_temperature(temperature)
    if z is None or heat is None or isinstance(rng, Keyed) or not rules.are_kernels_own:
        return None
    batch = z.shape[:-1]
    heat = heat if before == 1 else _times(heat, before)
    last = heat if after == 1 else _times(heat, after)
    rows = seen(z, heat)
    if not all(map(math.isfinite, map(_TOP, rows))):
        return None
    check_rules(rules, batch)
    each = rules.of_each_row(batch)
    if not batch and z is logits and type(rng) is Generator:  # the common case, on a short way
        return surviving_one(rows[0], next(iter(each)), last, uniform(rng))
    noise = source_of(rng, namespace_of(logits), logits, batch)
    generators = noise.generators
    if isinstance(generators, list):
        u = [uniform(one) for one in generators]
    else:
        u = uniforms(generators, (len(rows),)).tolist()
    drawn = [surviving_one(row, own, last, x) for row, own, x in zip(rows, each, u, strict=False)]
    return unwrap(noise.home(np.array(drawn, np.int64).reshape(batch)))


def _in_place(logits: Given) -> Any:
    """Long rows that NumPy reads where they are; None of any others."""
    z = logits
    if type(z) is not np.ndarray:
        if not (is_foreign(z) and is_plain(z)):
            return None
        z = to_numpy(z)
    long = z.size and z.ndim and z.shape[-1] >= MANY
    return z if long and z.dtype in NATIVE and is_direct(z) else None


@lru_cache
def _times(temperature: Temperature, factor: float) -> Temperature:
    return product(temperature, checked_temperature(factor, None, np, factor), np)
