"""Probabilities of the categories up to one, and beyond it, with their digits in both tails.

Each is a sum of positive terms from its own side. Where it is next to 1 its logarithm is log1p of
minus the other; where the terms underflow, it is summed as logarithms.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from softargmax._arrays import checks
from softargmax._arrays.namespaces import (
    Array,
    Given,
    Namespace,
    ignore_fp_errors,
    is_traced,
    running_sum,
    to_numpy,
    unwrap,
)
from softargmax._core.information import log_probs, of_sparse_rows, probs, take
from softargmax._core.state import State
from softargmax._core.variants import widened


def log_cdf(state: State, category: Given) -> Any:
    """log P(X ≤ category)."""
    return _tail(state, category, "log_cdf", -math.inf)


def sf(state: State, category: Given) -> Any:
    """P(X > category)."""
    return _tail(state, category, "sf", 1.0)


def log_sf(state: State, category: Given) -> Any:
    """log P(X > category)."""
    return _tail(state, category, "log_sf", 0.0)


@ignore_fp_errors
def _tail(state: State, category: Given, name: str, before: float) -> Any:
    """A tail at given categories; ``before`` is what it is left of all categories."""
    xp = state.xp
    x = checks.category(category, xp, state.like, state.num_categories)
    if state.kept is not None:
        found = _of_survivors(widened(state.host()), to_numpy(x), name, before)
        return unwrap(state.at_home(found.astype(state.kept.z.dtype)))
    wide = widened(state)
    table = xp.astype(_table(name, probs(wide), log_probs(wide), xp), state.dtype)
    return unwrap(take(state, table, x))


def _of_survivors(state: State, x: Any, name: str, before: float) -> Any:
    """The tail at x from each row's survivors."""
    law, spread, shape = of_sparse_rows(state, x)
    found = np.empty(spread.shape)
    for i, (own, row) in enumerate(zip(law.indices, law.laws, strict=True)):
        table = np.append(before, _table(name, row.probs, row.log_probs, np))
        found[..., i] = table[own.searchsorted(spread[..., i], side="right")]
    return found.reshape(shape)


def _table(name: str, p: Array, log_p: Array, xp: Namespace) -> Array:
    """A tail at every category, (…, K)."""
    below = running_sum(p, xp)
    above = _shifted(_flipped(running_sum(_flipped(p, xp), xp), xp), 1, 0.0, xp)
    if name == "sf":
        return above / (below + above)
    if name == "log_cdf":
        own, other, scan = below, above, log_p
    else:
        own, other, scan = above, below, _shifted(log_p, 1, -math.inf, xp)
    most, zero = own > other, xp.zeros_like(own)
    near = xp.log1p(0 - xp.where(most, other / (below + above), zero))
    low = own < xp.finfo(p.dtype).smallest_normal * 2.0**60  # where terms may have underflowed
    far = xp.log(xp.where(low | most, zero + 1, own))
    far = xp.where(low, -math.inf, far)
    if is_traced(low) or bool(xp.any(low & (scan > -math.inf))):
        if name == "log_cdf":
            sums = _log_sums(scan, xp)
        else:
            sums = _flipped(_log_sums(_flipped(scan, xp), xp), xp)
        far = xp.where(low, sums, far)
    found = xp.where(most, near, far) + 0.0
    return xp.where(xp.isnan(own + other), math.nan, found)


def _log_sums(log_p: Array, xp: Namespace) -> Array:
    """log Σ exp of all entries up to each, by doubling; -inf where all of them are."""
    total, step = log_p, 1
    while step < log_p.shape[-1]:
        left = _shifted(total, -step, -math.inf, xp)
        both = (left > -math.inf) & (total > -math.inf)
        zero = xp.zeros_like(total)
        added = xp.logaddexp(xp.where(both, left, zero), xp.where(both, total, zero))
        total = xp.where(both, added, xp.where(left > -math.inf, left, total))
        step *= 2
    return total


def _flipped(x: Array, xp: Namespace) -> Array:
    return xp.flip(x, axis=-1)


def _shifted(x: Array, step: int, empty: float, xp: Namespace) -> Array:
    """Entry i + step at place i of the last axis, ``empty`` where there is none."""
    size = min(abs(step), x.shape[-1])
    blank = xp.full_like(x[..., :size], empty)
    parts = (x[..., size:], blank) if step > 0 else (blank, x[..., : x.shape[-1] - size])
    return xp.concat(parts, axis=-1)
