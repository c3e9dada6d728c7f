"""The formula in the array API: every namespace but NumPy, written to be differentiated.

The same mathematics as the NumPy kernels. Every ``where`` has two finite branches, the maximum
stays inside the graph and the likeliest category stays in the sum with value 0 (as expm1), so
that automatic differentiation is right at ties and finite at masks and at T = 0.
"""

import math
from typing import Any, NamedTuple

from softargmax._arrays.namespaces import Array, device_of, quiet, to_namespace, widest_float
from softargmax._inputs import Inputs, support_of


class Law(NamedTuple):
    """What the formula yields; ``s`` and ``extremum`` have shape (…, 1)."""

    d: Array  # centred, scaled logits + log π₀, their largest 0; 0 where not alive
    alive: Array  # p > 0, up to underflow
    s: Array  # Σ exp(d) over all but the likeliest
    extremum: Array  # the extremum of the logits over the support


@quiet
def law(given: Inputs) -> Law:
    """Centre, scale, add the prior, normalise."""
    xp, z = given.xp, given.z
    coldness = _column(given, z.dtype)
    support = support_of(z, given.prior, xp)
    y = xp.where(support, z, xp.zeros_like(z))
    high = xp.max(xp.where(support, y, -math.inf), axis=-1, keepdims=True)
    low = xp.min(xp.where(support, y, math.inf), axis=-1, keepdims=True)
    # Where values cannot be checked (tracers), a bad row has to become NaN, not a mask.
    bad = ~((high > -math.inf) & (high < math.inf)) | xp.isnan(coldness)
    bad = bad | xp.any(xp.isnan(z) | (z == math.inf), axis=-1, keepdims=True)
    extremum = xp.where(coldness < 0, low, high)
    extremum = xp.where(bad, xp.zeros_like(extremum), extremum)
    y = xp.where(support, y, extremum)
    gap = y - extremum
    far = xp.abs(gap) == math.inf
    cold = xp.abs(coldness) == math.inf
    b = xp.where(cold | bad, xp.zeros_like(coldness), coldness)
    near = b * xp.where(far, xp.zeros_like(gap), gap)
    d = xp.where(far, 2 * (b * (y / 2 - extremum / 2)), near)
    alive = support & ((gap == 0) | ~cold) & (d > -math.inf)
    d = xp.where(alive, d, xp.zeros_like(d))
    if given.prior is not None:
        d = xp.where(alive, d + _log_prior(given, support), xp.zeros_like(d))
        d = d - xp.max(xp.where(alive, d, -math.inf), axis=-1, keepdims=True)
        d = xp.where(alive, d, xp.zeros_like(d))
    ranked = xp.where(alive, d, -math.inf)
    index = xp.arange(z.shape[-1], device=device_of(z))
    top = index == xp.argmax(ranked, axis=-1, keepdims=True)
    zero = xp.zeros_like(d)
    terms = xp.where(top, xp.expm1(xp.where(top, d, zero)), xp.exp(xp.where(top, zero, d)))
    s = xp.sum(xp.where(alive, terms, zero), axis=-1, keepdims=True)
    return Law(d, alive, xp.where(bad, math.nan, s), extremum)


def _column(given: Inputs, dtype: Any) -> Array:
    """β as an array of this dtype with a last axis of 1."""
    xp = given.xp
    coldness = to_namespace(given.heat.coldness, xp, given.z, dtype)
    return xp.reshape(coldness, (*coldness.shape, 1))


def _log_prior(given: Inputs, support: Array) -> Array:
    """Log π₀ in z's dtype, 0 off the support."""
    xp, z = given.xp, given.z
    prior = xp.astype(given.prior, widest_float(xp))
    return xp.astype(xp.log(xp.where(support, prior, xp.ones_like(prior))), z.dtype)


@quiet
def log_probs(law: Law, xp: Any) -> Array:
    """log p = d - log1p(s); NaN in a bad row."""
    return xp.where(law.alive | xp.isnan(law.s), law.d - xp.log1p(law.s), -math.inf)


@quiet
def probs(law: Law, xp: Any) -> Array:
    """p = exp(d) / (1 + s); NaN in a bad row."""
    kept = law.alive | xp.isnan(law.s)
    return xp.where(kept, xp.exp(law.d) / (1 + law.s), xp.zeros_like(law.d))


@quiet
def entropy(law: Law, xp: Any) -> Array:
    """H = log1p(s) - Σ p·d, in nats."""
    terms = xp.where(law.alive, xp.exp(law.d) * law.d, xp.zeros_like(law.d))
    mean = xp.sum(terms, axis=-1, keepdims=True) / (1 + law.s)
    return (xp.log1p(law.s) - mean)[..., 0]


@quiet
def smooth_max(given: Inputs) -> Array:
    """m + log1p(s)/β, m being the extremum."""
    xp, found = given.xp, law(given)
    wide = widest_float(xp)  # where a coldness too small for z's dtype still has its sign
    coldness, s = _column(given, wide), xp.astype(found.s, wide)
    warm = (coldness != 0) & (s != 0)
    b = xp.where(warm, coldness, xp.ones_like(coldness))
    half = xp.where(warm, xp.log1p(s) / 2 / b, xp.zeros_like(s))
    half = xp.where((coldness == 0) & (s != 0), math.inf, half)
    # Halves, since the rise alone may overflow beside a huge extremum of the other sign.
    extremum = xp.astype(found.extremum, wide)
    result = xp.where(
        xp.abs(half) > xp.finfo(wide).max / 4, 2 * (extremum / 2 + half), extremum + 2 * half
    )
    return xp.astype(result, given.z.dtype)[..., 0]
