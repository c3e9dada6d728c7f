"""The multinomial law of counts: its log-probability and its entropy.

Both are sums of small terms. With S(x) = log x! - (x log x - x), about ½ log 2πx, and the deviance
D(x, m) = x log(x/m) + m - x, which is not negative and 0 at x = m,

    log P(c) = S(n) - Σ S(c_i) - Σ D(c_i, n p_i),
    H(n) = Σ E[S(X_i) + D(X_i, n p_i)] - S(n),        X_i binomial with n and p_i,

where log n! and n log n, which would cancel, are gone: the saddle point form of Loader (2000).
"""

from __future__ import annotations

import math
from itertools import accumulate
from typing import Any

import numpy as np

from softargmax._arrays import checks
from softargmax._arrays.namespaces import (
    Array,
    Given,
    Namespace,
    aligned,
    device_of,
    ignore_fp_errors,
    index_along,
    index_dtype,
    unwrap,
)
from softargmax._arrays.weights import checked_counts
from softargmax._core.information import log_probs, probs
from softargmax._core.state import State
from softargmax._core.variants import widened
from softargmax._rows.memory import SPACIOUS, blocks

# S of whole numbers below 16: S(k) - S(k - 1) = 1 + (k - 1) log(1 - 1/k) > 0.
_FIRST = (
    0.0,
    *accumulate(1 + (k - 1) * math.log1p(-1 / k) if k > 1 else 1.0 for k in range(1, 16)),
)
# Stirling's series of S(x) - ½ log 2πx, in odd powers of 1/x: all digits from x = 10 on.
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)
_NEAR = 0.1  # where D is a series: eight terms of it have all digits
_MANY = 64  # a binomial variable of so large a mean is as good as a smooth one
_STEPS = np.arange(-24, 25) / 2.0  # standard deviations at which a smooth one is looked at


@ignore_fp_errors
def log_prob_counts(state: State, counts: Given) -> Any:
    """The multinomial's log-probability of counts (…, K)."""
    xp, width = state.xp, state.num_categories
    x = checked_counts(counts, "counts", xp, state.like, width)
    checks.check_fits(tuple(x.shape[:-1]), state.batch_shape, "counts")
    wide = widened(state)
    p, log_p = probs(wide), log_probs(wide)
    x, p, log_p = aligned(xp, xp.astype(x, p.dtype), p, log_p)
    bad = xp.any((x < 0) | xp.isnan(log_p), axis=-1)
    n = xp.sum(x, axis=-1, keepdims=True)
    mean = n * p
    alive = log_p > -math.inf
    counted = (x > 0) & alive
    one = xp.ones_like(x * p)
    some, there = xp.where(counted, x, one), xp.where(counted, mean, one)
    log_ratio = xp.log(some / xp.where(n > 0, n, 1.0)) - xp.where(counted, log_p, 0 * one)
    away = _deviance(some, there, some - there, log_ratio, xp)
    away = xp.where(counted, away, xp.where(alive, mean, 0 * mean))
    total = _remainder(n[..., 0], xp) - xp.sum(_remainder(xp.where(x < 0, 0 * x, x), xp), axis=-1)
    total = total - xp.sum(away, axis=-1)
    total = xp.where(xp.any((x > 0) & ~alive, axis=-1), -math.inf, total)
    return unwrap(xp.astype(xp.where(bad, math.nan, total), state.dtype))


@ignore_fp_errors
def entropy_counts(state: State, n: int) -> Any:
    """The entropy of the multinomial counts of n draws, batch_shape."""
    xp, n = state.xp, checks.count(n, "n", 0, 2**62)
    wide = widened(state)
    p, log_p = probs(wide), log_probs(wide)
    if n == 0:
        return unwrap(xp.astype(xp.sum(0 * p, axis=-1), state.dtype))
    q = 0 - xp.expm1(log_p)  # 1 - p, with its digits where p is next to 1
    mirrored = p > q
    small = xp.where(mirrored, q, p)  # of n draws, how many are the rarer of the two
    each = _each_of_rows(small, mirrored, n) if xp is np else _each(small, mirrored, n, xp)
    # A mirrored one, at most one per row, has S(n) taken off in its sum, where nothing cancels.
    rest = xp.where(xp.any(mirrored, axis=-1), 0.0, _whole(n, p, xp))
    return unwrap(xp.astype(xp.sum(each, axis=-1) - rest, state.dtype))


# ---------------------------------------------------------------------------- E[S + D] of each


def _each(small: Array, mirrored: Array, n: int, xp: Namespace) -> Array:
    """E[S(X) + D(X, np)] of each category, less S(n) where mirrored."""
    if n <= 2 * _MANY:
        return _by_sum(small, mirrored, n, n, xp)
    few = n * small < _MANY
    by_sum = _by_sum(xp.where(few, small, 0 * small), mirrored, n, _last(_MANY, n), xp)
    smooth = _by_trapezium(xp.where(few, 0 * small + 0.5, small), mirrored, n, xp)
    return xp.where(few, by_sum, smooth)


def _each_of_rows(small: Any, mirrored: Any, n: int) -> Any:
    """``_each`` in NumPy: in blocks of categories of like means, each with the terms it needs."""
    found, flat, flags = np.empty(small.size), small.ravel(), mirrored.ravel()
    order = np.argsort(flat)
    count = int(np.searchsorted(n * flat[order], _MANY))
    widest = _last(n * float(flat[order[count - 1]]), n) + 1 if count else 1
    for block in blocks(count, widest, SPACIOUS):
        some = order[block]
        last = _last(n * float(flat[some[-1]]), n)
        found[some] = _by_sum(flat[some], flags[some], n, last, np)
    for block in blocks(len(order) - count, _STEPS.size, SPACIOUS):
        some = order[count:][block]
        found[some] = _by_trapezium(flat[some], flags[some], n, np)
    return found.reshape(small.shape)


def _last(mean: float, n: int) -> int:
    """The last count of any weight: 12 standard deviations, and 12, above the mean."""
    return min(n, math.ceil(mean + 12 * math.sqrt(mean) + 12))


def _by_sum(small: Array, mirrored: Array, n: int, last: int, xp: Namespace) -> Array:
    """The sum over y = 0 … last of the rarer outcome's law."""
    y = xp.astype(index_along(small[..., None], xp, last + 1), small.dtype)
    few, many = _remainder(y, xp), _remainder(n - y, xp)
    mean = xp.where(small > 0, n * small, 0 * small)[..., None]
    there = xp.where(mean > 0, mean, 0 * mean + 1)
    some = xp.where(y > 0, y, 0 * y + 1)
    own = _deviance(some, there, some - there, xp.log(some / there), xp)
    own = xp.where(y > 0, own, mean)
    left, rest = n - y, n - mean
    some = xp.where(left > 0, left, 0 * y + 1)
    other = _deviance(some, rest, mean - y, xp.log(some / rest), xp)
    other = xp.where(left > 0, other, rest)
    log_weight = _whole(n, y, xp) - few - many - own - other
    possible = (mean > 0) | (y == 0)
    weight = xp.where(possible, xp.exp(xp.where(possible, log_weight, 0 * log_weight)), 0 * own)
    value = xp.where(mirrored[..., None], many - _whole(n, y, xp) + other, few + own)
    return xp.sum(weight * value, axis=-1)


def _by_trapezium(small: Array, mirrored: Array, n: int, xp: Namespace) -> Array:
    """E[S + D] for large means: the trapezium rule at counts half a standard deviation apart.

    The law is band-limited in y, so that the trapezium rule, to rounding, has the sum's value.
    """
    mean = (n * small)[..., None]
    rest = n - mean
    step = xp.asarray(_STEPS, dtype=small.dtype, device=device_of(small))
    step, mean = aligned(xp, step, mean)
    away = step * xp.sqrt(mean * (1 - small[..., None]))
    inside = (mean + away >= 10) & (rest - away >= 10)  # what is not has no weight
    away = xp.where(inside, away, 0 * away)
    y, left = mean + away, rest - away
    few = _stirling(y, xp) + _deviance(y, mean, away, xp.log(y / mean), xp)
    many = _stirling(left, xp) + _deviance(left, rest, 0 - away, xp.log(left / rest), xp)
    exponent = 0 - few - many
    exponent = exponent - xp.max(exponent, axis=-1, keepdims=True)
    weight = xp.where(inside, xp.exp(exponent), 0 * away)
    value = xp.where(mirrored[..., None], many - _whole(n, y, xp), few)
    return xp.sum(weight * value, axis=-1) / xp.sum(weight, axis=-1)


# ---------------------------------------------------------------------------- S and D


def _deviance(x: Array, m: Array, away: Array, log_ratio: Array, xp: Namespace) -> Array:
    """D(x, m) of numbers above 0; ``away`` is x - m and ``log_ratio`` log(x/m)."""
    v = away / (x + m)
    near = xp.abs(v) < _NEAR
    v = xp.where(near, v, 0 * v)
    square = v * v
    tail = 0 * v
    for j in range(8, 0, -1):
        tail = square * (tail + 1 / (2 * j + 1))
    return xp.where(near, v * (away + 2 * x * tail), x * log_ratio - away)


def _remainder(x: Array, xp: Namespace) -> Array:
    """S(x) of whole numbers x ≥ 0."""
    early = x < len(_FIRST)
    table = xp.asarray(_FIRST, dtype=x.dtype, device=device_of(x))
    index = xp.astype(xp.where(early & (x > 0), x, 0 * x), index_dtype(xp))  # 0 for NaN too
    first = xp.reshape(xp.take(table, xp.reshape(index, (-1,))), x.shape)
    return xp.where(early, first, _stirling(xp.where(early, 0 * x + 16, x), xp))


def _stirling(x: Array, xp: Namespace) -> Array:
    """S(x) of any x ≥ 10."""
    inverse = 1 / x
    square, series = inverse * inverse, 0 * x
    for coefficient in reversed(_STIRLING):
        series = series * square + coefficient
    return 0.5 * xp.log(2 * math.pi * x) + series * inverse


def _whole(n: int, like: Array, xp: Namespace) -> Array:
    """S(n) as an array without axes."""
    return _remainder(xp.asarray(float(n), dtype=like.dtype, device=device_of(like)), xp)
