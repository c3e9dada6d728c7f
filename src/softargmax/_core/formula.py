"""The formula in the array API: for every library but NumPy, written to be differentiated.

It is the mathematics of ``_rows`` for arrays of any library. Every ``where`` has two finite
branches, the maximum stays inside the graph and the likeliest category stays in the sum with value
0 (as expm1), so that automatic differentiation is right at ties and finite at masks and at T = 0.
"""

from __future__ import annotations

import math
import operator
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

from softargmax._arrays.namespaces import (
    Array,
    Namespace,
    aligned,
    detached,
    ignore_fp_errors,
    index_along,
    is_compiling,
    kind_of,
    to_namespace,
    widest_float,
)
from softargmax._arrays.weights import mean_by_weights
from softargmax._core.state import State, support_of
from softargmax._rows.rows import LIFT


class Terms(NamedTuple):
    """What the formula yields; all but ``d`` and ``alive`` have shape (…, 1)."""

    d: Array  # centred, scaled logits + log π₀, their largest 0; 0 where not alive
    alive: Array  # p > 0, up to underflow
    s: Array  # Σ exp(d) over all but the likeliest
    extremum: Array  # the extremum of the logits over the support
    lift: Array  # what was taken off β·gap + log π₀ to make their largest 0


@ignore_fp_errors
def terms_of(state: State) -> Terms:
    """Centre, scale, add the prior, normalise."""
    xp, support = state.xp, support_of(state.z, state.prior, state.xp)
    z, coldness, support = aligned(xp, state.z, _column(state, widest_float(xp)), support)
    y = xp.where(support, z, xp.zeros_like(z))
    high = xp.max(xp.where(support, y, -math.inf), axis=-1, keepdims=True)
    low = xp.min(xp.where(support, y, math.inf), axis=-1, keepdims=True)
    bad = bad_rows(state)
    extremum = xp.where(coldness < 0, low, high)
    extremum = xp.where(bad, xp.zeros_like(extremum), extremum)
    y = xp.where(support, y, extremum)
    gap = y - extremum
    far = xp.abs(gap) == math.inf
    scale = scale_of(state, z.dtype)
    scale = scale._replace(factor=xp.where(bad, xp.zeros_like(scale.factor), scale.factor))
    near = scaled(xp.where(far, xp.zeros_like(gap), gap), scale, xp)
    d = xp.where(far, 2 * (scale.factor * (y / 2 - extremum / 2)), near)
    alive = support & ((gap == 0) | ~scale.limit) & (d > -math.inf)
    d = xp.where(alive, d, xp.zeros_like(d))
    lift = xp.zeros_like(extremum)
    if state.prior is not None:
        d = xp.where(alive, d + _log_prior(state, support), xp.zeros_like(d))
        lift = xp.max(xp.where(alive, d, -math.inf), axis=-1, keepdims=True)
        d = xp.where(alive, d - lift, xp.zeros_like(d))
    ranked = xp.where(alive, d, -math.inf)
    top = index_along(d, xp) == xp.argmax(ranked, axis=-1, keepdims=True)
    zero = xp.zeros_like(d)
    each = xp.where(top, xp.expm1(xp.where(top, d, zero)), xp.exp(xp.where(top, zero, d)))
    s = xp.sum(xp.where(alive, each, zero), axis=-1, keepdims=True)
    return Terms(d, alive, xp.where(bad, math.nan, s), extremum, lift)


def bad_rows(state: State) -> Array:
    """The rows that would be errors if values could be seen, which nobody has checked, (…, 1).

    Everything that follows from them is NaN, or -1 for categories and counts.
    """
    xp, z, prior = state.xp, state.z, state.prior
    parts = [
        xp.isnan(z) | (z == math.inf),
        ~xp.any(support_of(z, prior, xp), axis=-1, keepdims=True),
        xp.isnan(_column(state, z.dtype)),
    ]
    if prior is not None and kind_of(prior, xp) == "f":
        parts.append(xp.isnan(prior))
    first, *others = (xp.any(part, axis=-1, keepdims=True) for part in aligned(xp, *parts))
    return reduce(operator.or_, others, first)


class Scale(NamedTuple):
    """β in a dtype, each part with a last axis of 1."""

    factor: Array  # β; 0 where infinite, β / LIFT where it is beyond the dtype
    beyond: Array | None  # where it is; None where none can be
    limit: Array  # where β is infinite


def scale_of(state: State, dtype: Any) -> Scale:
    """β as a factor.

    It is beyond the dtype where T is subnormal, or where a float32 cannot hold it: then gaps as
    small as T are to be multiplied all the same, and no derivative passes, as at infinite β.
    """
    xp, (coldness, value) = state.xp, state.temperature
    # What is known is computed by NumPy, which is quicker but cannot be compiled.
    known = isinstance(coldness, float) and not is_compiling(xp)
    lib, like = (np, None) if known else (xp, state.z)
    wide = widest_float(lib)
    b, t = (
        None if x is None else to_namespace(x, lib, like, wide)[..., None]
        for x in (coldness, value)
    )
    limit = lib.abs(b) == math.inf
    if t is not None:
        limit = limit & (t == 0)
    most = float(xp.finfo(dtype).max)
    beyond = (lib.abs(b) > most) & ~limit
    if known and not beyond[0]:
        beyond = None
    factor = lib.where(limit, lib.zeros_like(b), b)
    if beyond is not None:
        lifted = detached(b, lib) / LIFT
        if t is not None:
            lifted = 1 / (detached(lib.where(beyond, t, lib.ones_like(t)), lib) * LIFT)
        factor = lib.where(beyond, lib.clip(lifted, -most, most), factor)
        beyond = to_namespace(beyond, xp, state.z)
    factor, limit = to_namespace(factor, xp, state.z, dtype), to_namespace(limit, xp, state.z)
    if beyond is None:
        factor, limit, _ = aligned(xp, factor, limit, state.z)
    else:
        factor, limit, beyond, _ = aligned(xp, factor, limit, beyond, state.z)
    return Scale(factor, beyond, limit)


def scaled(x: Array, scale: Scale, xp: Namespace) -> Array:
    """β·x, 0 where β is infinite."""
    if scale.beyond is None:
        return scale.factor * x
    near, beyond = xp.where(scale.beyond, xp.zeros_like(x), x), scale.beyond
    lifted = detached(xp.where(beyond, x, xp.zeros_like(x)), xp) * LIFT
    return scale.factor * xp.where(beyond, lifted, near)


def _column(state: State, dtype: Any) -> Array:
    """β as an array of this dtype with a last axis of 1."""
    xp = state.xp
    coldness = to_namespace(state.coldness, xp, state.z, dtype)
    return xp.reshape(coldness, (*coldness.shape, 1))


def _log_prior(state: State, support: Array) -> Array:
    """Log π₀ in z's dtype, 0 off the support."""
    xp, z = state.xp, state.z
    prior, support = aligned(xp, xp.astype(state.prior, widest_float(xp)), support)
    return xp.astype(xp.log(xp.where(support, prior, xp.ones_like(prior))), z.dtype)


@ignore_fp_errors
def log_probs(state: State) -> Array:
    """log p = d - log1p(s); NaN in a bad row."""
    xp, terms = state.xp, terms_of(state)
    return xp.where(terms.alive | xp.isnan(terms.s), terms.d - xp.log1p(terms.s), -math.inf)


@ignore_fp_errors
def probs(state: State) -> Array:
    """p = exp(d) / (1 + s); NaN in a bad row."""
    xp, terms = state.xp, terms_of(state)
    kept = terms.alive | xp.isnan(terms.s)
    return xp.where(kept, xp.exp(terms.d) / (1 + terms.s), xp.zeros_like(terms.d))


@ignore_fp_errors
def entropy(state: State) -> Array:
    """H = log1p(s) - Σ p·d, in nats."""
    xp, terms = state.xp, terms_of(state)
    each = xp.where(terms.alive, xp.exp(terms.d) * terms.d, xp.zeros_like(terms.d))
    mean = xp.sum(each, axis=-1, keepdims=True) / (1 + terms.s)
    return (xp.log1p(terms.s) - mean)[..., 0]


def ranking(state: State) -> Array:
    """d where p > 0 at any precision, -inf elsewhere; NaN in a bad row."""
    xp, terms = state.xp, terms_of(state)
    return xp.where(xp.isnan(terms.s), math.nan, xp.where(terms.alive, terms.d, -math.inf))


@ignore_fp_errors
def smooth_max(state: State) -> Array:
    """m + (log1p(s) + lift)/β, m being the extremum."""
    xp, found = state.xp, terms_of(state)
    wide = widest_float(xp)  # where a coldness too small for z's dtype still has its sign
    coldness, s, lift, extremum = aligned(
        xp,
        _column(state, wide),
        *(xp.astype(x, wide) for x in (found.s, found.lift, found.extremum)),
    )
    level = xp.log1p(s) + lift
    warm = (coldness != 0) & (level != 0)
    half = xp.where(warm, level / 2, xp.zeros_like(level))
    if state.temperature.value is None:
        half = half / xp.where(warm, coldness, xp.ones_like(coldness))
    else:  # 1/T may have overflowed
        t, _ = aligned(
            xp, to_namespace(state.temperature.value, xp, state.z, wide)[..., None], half
        )
        half = half * xp.where(warm, t, xp.ones_like(t))
    beyond = xp.where(level > 0, math.inf, xp.where(level < 0, -math.inf, level))
    half = xp.where(coldness == 0, beyond, half)
    # Halves, since the rise alone may overflow beside a huge extremum of the other sign.
    result = xp.where(
        xp.abs(half) > xp.finfo(wide).max / 4, 2 * (extremum / 2 + half), extremum + 2 * half
    )
    result = xp.astype(result, state.z.dtype)[..., 0]
    if state.prior is None:
        return result
    hot = coldness[..., 0] == 0
    hot, mean, even, result = aligned(xp, hot, *mean_by_weights(state.z, state.prior, xp), result)
    return xp.where(hot & even & ~xp.isnan(result), mean, result)
