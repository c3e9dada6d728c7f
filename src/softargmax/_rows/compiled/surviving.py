"""What survives truncations of the common kinds, one after another, in one call."""

from __future__ import annotations

from typing import Any

import numpy as np

from softargmax._rows.compiled.crossing import crossing
from softargmax._rows.compiled.heads import between, largest, reaching
from softargmax._rows.compiled.masses import weigh
from softargmax._rows.compiled.maths import kernel, log, part
from softargmax._rows.compiled.prepared import ARRAYS, NUMBERS, WIDTH, pick, prepare
from softargmax._rows.rules import BY_MASS, BY_RATIO
from softargmax._rows.thresholds import EPS, SLACK


@kernel
def surviving(
    z: Any, heads: Any, top: Any, way: Any, scale: Any, rules: Any, d: Any, w: Any
) -> Any:
    """The ascending positions of what survives rules (kind, parameter, least), one after another,
    and its scores.

    ``d`` and ``w`` are memory as long as the row where the first rule is one of mass.
    """
    some, found = z, np.empty(0, np.int64)  # one type for all rules, for which ``staying`` is made
    for r in range(len(rules)):
        stay, some = staying(some, heads, top, way, scale, rules[r], d, w)
        found = found[stay] if r else stay
        if r + 1 < len(rules):
            heads = heads[:0]
            size = len(some) if rules[r + 1, 0] == BY_MASS else 0
            d, w = np.empty(size, z.dtype), np.empty(size, z.dtype)
    return found, some


@kernel
def surviving_one(
    z: Any,
    heads: Any,
    top: Any,
    way: Any,
    scale: Any,
    rules: Any,
    d: Any,
    w: Any,
    coldness: Any,
    value: Any,
    u: Any,
) -> Any:
    """The category that a uniform picks among those that survive rules, drawn at a temperature of
    its own, and nothing else; or -1, and what ``surviving`` returns, where they are many.
    """
    found, some = surviving(z, heads, top, way, scale, rules, d, w)
    if len(found) <= WIDTH:
        memory = np.empty((1, ARRAYS * len(found) + NUMBERS))
        if prepare(some, coldness, value, memory):
            return found[pick(memory, 0, u)], None, None
    return np.int64(-1), found, some


@part
def staying(z: Any, heads: Any, top: Any, way: Any, scale: Any, rule: Any, d: Any, w: Any) -> Any:
    """The ascending positions of what one rule keeps, and its scores; ``heads`` may be empty."""
    kind, parameter, least = rule[0], rule[1], np.int64(min(rule[2], np.float64(len(z))))
    ends = np.empty(3, z.dtype)
    ends[0], ends[1], ends[2] = -np.inf, np.inf, 0
    bound = np.inf
    if kind == BY_RATIO:
        bound = log(parameter)
        bound -= SLACK * np.float64(np.finfo(z.dtype).eps) * (1 + abs(bound))
    elif kind == BY_MASS:
        bound = -np.inf
        if parameter < 1:
            goal = (1 - parameter) * weigh(z, top, way, scale, d, w) * (1 + 8 * EPS)
            bound = crossing(d, w, ends[2], goal)
    if bound == -np.inf:
        return between(z, heads, np.nextafter(ends[0], ends[2]), ends[1])
    if bound < np.inf:
        ends[0] = bound
        found, scores = reaching(z, heads, top, way, scale, ends[2], ends[0])
        if len(found) >= least:
            return found, scores
    return largest(z, heads, least)
