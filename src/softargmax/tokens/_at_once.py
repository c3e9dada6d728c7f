"""A draw from logits after truncations at once: no distribution is made, and nothing copied."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

from softargmax._arrays.namespaces import Given
from softargmax._core.inputs import NATIVE, checked_temperature, plain_temperature
from softargmax._core.renewal import product
from softargmax._core.thresholds import check_rules
from softargmax._random.numpy import Generator, uniform, uniforms
from softargmax._rows.few import MANY
from softargmax._rows.rows import ONE, Temperature
from softargmax._rows.rules import Rules
from softargmax._rows.surviving import seen, surviving_one

# A temperature, truncations, and another temperature; each multiplies that of the logits.
Plan: TypeAlias = tuple[float, Rules, float]


def draw_at_once(logits: Given, temperature: Given | None, plan: Plan, rng: Any) -> Any:
    """A draw of each long row, equal to that from the distribution that a plan leaves.

    None where that has to be made, or asked what is wrong. The logits are only read.
    """
    if type(logits) is not np.ndarray or logits.dtype not in NATIVE or type(rng) is not Generator:
        return None
    flags, batch, (before, rules, after) = logits.flags, logits.shape[:-1], plan
    direct = flags.c_contiguous and flags.aligned
    if not (direct and logits.ndim and logits.shape[-1] >= MANY and logits.size):
        return None
    heat = ONE if temperature is None else plain_temperature(temperature)
    if heat is None:
        return None
    heat = heat if before == 1 else _times(heat, before)
    last = heat if after == 1 else _times(heat, after)
    check_rules(rules, batch)
    rows, each = seen(logits, heat), rules.of_each_row(batch)
    if not batch:
        (row,), own = rows, next(iter(each))
        return surviving_one(row, own, last, uniform(rng)) if math.isfinite(row.top) else None
    if not all(math.isfinite(row.top) for row in rows):
        return None
    u = uniforms(rng, (len(rows),)).tolist()
    drawn = [surviving_one(row, own, last, x) for row, own, x in zip(rows, each, u, strict=False)]
    return np.array(drawn, np.int64).reshape(batch)


@lru_cache
def _times(temperature: Temperature, factor: float) -> Temperature:
    return product(temperature, checked_temperature(factor, None, np, factor), np)
