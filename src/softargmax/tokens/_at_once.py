"""A draw from logits after truncations at once: no distribution is made, and nothing copied."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

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


class Plan(NamedTuple):
    """A temperature, truncations, and another temperature; each multiplies that of the logits."""

    rules: Rules
    before: float = 1.0
    after: float = 1.0


def draw_at_once(logits: Given, temperature: Given | None, plan: Plan, rng: Any) -> Any:
    """A draw of each long row, equal to that from the distribution that a plan leaves.

    None where that has to be made, or asked what is wrong. The logits are only read.
    """
    if type(logits) is not np.ndarray or logits.dtype not in NATIVE or type(rng) is not Generator:
        return None
    direct = logits.flags.c_contiguous and logits.flags.aligned
    if not (direct and logits.ndim and logits.shape[-1] >= MANY and logits.size):
        return None
    heat = ONE if temperature is None else plain_temperature(temperature)
    if heat is None:
        return None
    heat = heat if plan.before == 1 else _times(heat, plan.before)
    last = heat if plan.after == 1 else _times(heat, plan.after)
    batch = logits.shape[:-1]
    check_rules(plan.rules, batch)
    rows = seen(logits, heat)
    if not all(math.isfinite(row.top) for row in rows):
        return None
    rules = plan.rules.of_each_row(batch)
    if not batch:
        return surviving_one(rows[0], next(iter(rules)), last, uniform(rng))
    u = uniforms(rng, (len(rows),)).tolist()
    drawn = [surviving_one(row, own, last, x) for row, own, x in zip(rows, rules, u, strict=False)]
    return np.array(drawn, np.int64).reshape(batch)


@lru_cache
def _times(temperature: Temperature, factor: float) -> Temperature:
    return product(temperature, checked_temperature(factor, None, np, factor), np)
