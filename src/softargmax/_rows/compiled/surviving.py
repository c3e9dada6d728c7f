"""What survives truncations of the common kinds, one after another, in one call."""

from __future__ import annotations

from typing import Any

import numpy as np

from softargmax._rows.compiled.crossing import crossing
from softargmax._rows.compiled.gaps import COLDEST
from softargmax._rows.compiled.heads import between, groups_in, heads_of, largest, reaching
from softargmax._rows.compiled.masses import weigh
from softargmax._rows.compiled.maths import kernel, log, part, short_kernel
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
def survivors_of(
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
) -> Any:
    """What survives rules of a row, for a draw at a temperature of its own, and the largest logit.

    A few survivors are returned as ``prepare`` leaves them, with their positions in the place of d,
    for ``pick_survivor``; many in two parts, as by ``surviving``. The others are None, and all
    where the largest logit is not finite, or d needs more care. Without ``heads`` the top is not
    known yet.
    """
    if not len(heads):
        heads = np.empty(groups_in(len(z)), z.dtype)
        top = z.dtype.type(heads_of(z, None, heads))
    known, number = np.finfo(z.dtype), np.float64(top)
    if not -np.inf < top <= known.max * known.eps / 4:  # beyond ``Limits.far`` a gap may overflow
        return number, None, None, None
    if way == COLDEST:  # the likeliest are left, whatever the rules
        found, some = between(z, heads, top, z.dtype.type(np.inf))
    else:
        found, some = surviving(z, heads, top, way, scale, rules, d, w)
    count = len(found)
    if count > WIDTH:
        # That of the survivors themselves, in case that another thread changes the row meanwhile.
        return heads_of(some, None, np.empty(groups_in(count), z.dtype)), None, found, some
    prepared = np.empty((1, ARRAYS * count + NUMBERS))
    if not count or not prepare(some, coldness, value, prepared):
        return number, None, None, None
    for j in range(count):
        prepared[0, j] = found[j]
    return number, prepared, None, None


@short_kernel
def pick_survivor(prepared: Any, u: Any) -> Any:
    """The category that a uniform picks among what ``survivors_of`` found and summed."""
    return np.int64(prepared[0, pick(prepared, 0, u)])


@part
def staying(z: Any, heads: Any, top: Any, way: Any, scale: Any, rule: Any, d: Any, w: Any) -> Any:
    """The ascending positions of what one rule keeps, and its scores; ``heads`` may be empty."""
    which, parameter, least = rule[0], rule[1], np.int64(min(rule[2], np.float64(len(z))))
    kind, bound = z.dtype.type, np.inf
    if which == BY_RATIO:
        bound = log(parameter)
        bound -= SLACK * np.float64(np.finfo(z.dtype).eps) * (1 + abs(bound))
    elif which == BY_MASS:
        bound = -np.inf
        if parameter < 1:
            goal = (1 - parameter) * weigh(z, top, way, scale, d, w) * (1 + 8 * EPS)
            bound = crossing(d, w, kind(0), goal)
    if bound == -np.inf:
        return between(z, heads, np.nextafter(kind(-np.inf), kind(0)), kind(np.inf))
    if bound < np.inf:
        found, scores = reaching(z, heads, top, way, scale, kind(0), kind(bound))
        if len(found) >= least:
            return found, scores
    return largest(z, heads, least)
