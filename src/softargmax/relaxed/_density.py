"""The mathematics of relaxed draws: their density, one-hot limits and pullbacks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from softargmax._arrays.namespaces import (
    Array,
    Namespace,
    Shape,
    aligned,
    detached,
    ignore_fp_errors,
    index_along,
    log_gamma_of,
    namespace_of,
    to_namespace,
    to_numpy,
)


@ignore_fp_errors
def log_density(log_y: Array, log_probs: Array, support: Array, tau: Array) -> Array:
    """The Concrete log-density of y from log y; ``tau`` has a last axis of length 1."""
    xp = namespace_of(log_y)
    log_y, log_probs, support, tau = aligned(xp, log_y, log_probs, support, tau)
    zero = xp.zeros_like(log_y + log_probs)
    support = xp.broadcast_to(support, zero.shape)
    log_y = xp.broadcast_to(log_y, zero.shape)
    stray = xp.any((log_y > -math.inf) & ~support, axis=-1)
    gone = support & (log_y == -math.inf)
    seen = support & ~gone
    kept = xp.where(seen, log_y, zero)
    log_p = xp.where(seen, xp.where(support, log_probs, zero), zero)
    # Relative to the largest log y, which cancels: nτ log y would swamp the other terms.
    least = xp.max(xp.where(seen, log_y, -math.inf), axis=-1, keepdims=True)
    least = xp.where(least > -math.inf, least, xp.zeros_like(least))
    scores = log_p - tau * xp.where(seen, kept - least, zero)
    top = xp.max(xp.where(seen, scores, -math.inf), axis=-1, keepdims=True)
    top = xp.where(top > -math.inf, top, xp.zeros_like(top))
    terms = xp.where(seen, xp.exp(xp.where(seen, scores - top, zero)), zero)
    total = xp.sum(terms, axis=-1, keepdims=True)
    level = top + xp.log(xp.where(total > 0, total, xp.ones_like(total)))
    size = xp.sum(xp.astype(support, zero.dtype), axis=-1)
    t = tau[..., 0]
    value = (size - 1) * xp.log(t) + _log_gamma(size, xp)
    value = value + xp.sum(xp.where(seen, (scores - level) - kept, zero), axis=-1)
    # When m coordinates vanish as ε, the density scales as ε^(-m(τ + 1) + nτ).
    lost = xp.sum(xp.astype(gone, zero.dtype), axis=-1)
    limit = xp.where(lost * (t + 1) >= size * t, math.inf, xp.full_like(value, -math.inf))
    value = xp.where(lost > 0, limit, value)
    return xp.where(stray, -math.inf, value)


@ignore_fp_errors
def total_of(log_y: Array) -> Array:
    """Σ y from log y."""
    xp = namespace_of(log_y)
    return xp.sum(xp.exp(log_y), axis=-1)


@ignore_fp_errors
def pulled_back(cotangent: Any, soft: Any, beta: Any) -> Any:
    """β·y·(c - Σ c·y) in NumPy, averaged over the first axis of ``soft``; 0 at β = inf."""
    # Relative to the cotangent at the arg max: no cancellation where y is almost one-hot.
    top = soft.argmax(axis=-1)[..., None]
    c = np.broadcast_to(cotangent, soft.shape)
    c = np.where(soft > 0, c - np.take_along_axis(c, top, axis=-1), 0)
    slope = (soft * (c - (soft * c).sum(axis=-1, keepdims=True))).mean(axis=0)
    cold = np.isinf(beta)
    return np.where(cold, 0, slope * np.where(cold, 0, beta))


def one_hot(scores: Array, xp: Namespace) -> Array:
    """1 at the arg max of each row, in the dtype of the scores; rows with NaN become NaN."""
    hard = index_along(scores, xp) == xp.argmax(scores, axis=-1, keepdims=True)
    hard = xp.astype(hard, scores.dtype)
    bad = xp.any(xp.isnan(scores), axis=-1, keepdims=True)
    return xp.where(bad, math.nan, hard)


def with_gradient(hard: Array, soft: Array, xp: Namespace) -> Array:
    """The values of ``hard`` with the gradient of ``soft``."""
    return hard + (soft - detached(soft, xp))


def summed_to(x: Any, shape: Shape) -> Any:
    """A NumPy array summed over the axes that broadcasting from ``shape`` added or stretched."""
    x = x.sum(axis=tuple(range(x.ndim - len(shape))))
    axes = tuple(i for i, n in enumerate(shape) if n == 1 and x.shape[i] > 1)
    return x.sum(axis=axes, keepdims=True) if axes else x


def _log_gamma(n: Array, xp: Namespace) -> Array:
    """log Γ(n) in n's namespace and dtype."""
    own = log_gamma_of(xp)
    if own is not None:
        return own(n)
    from scipy.special import gammaln  # slow to import, and rarely needed

    return to_namespace(gammaln(to_numpy(n)), xp, n, n.dtype)
