"""Moments of values over the categories, and derivatives in the logits, in closed form."""

import math
from typing import Any

import numpy as np

from softargmax._arrays import checks
from softargmax._arrays.namespaces import (
    Array,
    ArrayLike,
    aligned,
    ignore_fp_errors,
    index_along,
    to_namespace,
    unwrap,
)
from softargmax._core.information import log_probs, probs, ranking, take
from softargmax._core.state import State


@ignore_fp_errors
def expectation(state: State, values: ArrayLike) -> Any:
    """Σ p·v, where terms with p = 0 count 0 whatever their value."""
    p, v = _weighted(state, values)
    return _narrowed(state, state.xp.sum(p * v, axis=-1))


@ignore_fp_errors
def variance(state: State, values: ArrayLike) -> Any:
    """Σ p·(v - Σ p·v)², measured from the likeliest value."""
    xp = state.xp
    p, v = _weighted(state, values)
    likeliest = index_along(p, xp) == xp.argmax(ranking(state), axis=-1, keepdims=True)
    base = xp.sum(xp.where(likeliest, v, xp.zeros_like(v)), axis=-1, keepdims=True)
    v = xp.where(p > 0, v - base, xp.zeros_like(v))
    v = v - xp.sum(p * v, axis=-1, keepdims=True)
    return _narrowed(state, xp.sum(p * v * v, axis=-1))


@ignore_fp_errors
def score(state: State, category: ArrayLike) -> Any:
    """∂ log p(x)/∂z = β(e_x - p)."""
    xp = state.xp
    x = checks.category(category, xp, state.like, state.num_categories)
    p, log_p = probs(state), log_probs(state)
    chosen = index_along(x[..., None], xp, state.num_categories) == x[..., None]
    possible = take(state, xp.astype(state.support, p.dtype), x)[..., None]  # 1, 0 or NaN
    chosen, possible, p, log_p, beta = aligned(
        xp, chosen, possible, p, log_p, _finite_coldness(state)
    )
    rise = 0 - xp.expm1(log_p)  # 1 - p, with its digits where p is next to 1
    slope = beta * xp.where(chosen, rise, 0 - p)
    bad = xp.isnan(possible) | xp.isnan(p[..., :1])
    slope = xp.where(possible > 0, slope + 0.0, xp.zeros_like(slope))
    return slope if xp is np else xp.where(bad, math.nan, slope)


@ignore_fp_errors
def entropy_gradient(state: State) -> Any:
    """∂H/∂z = -β p (log p + H)."""
    xp, p = state.xp, probs(state)
    d = xp.where(p > 0, ranking(state), xp.zeros_like(p))
    mean = xp.sum(p * d, axis=-1, keepdims=True)
    beta, slope = aligned(xp, _finite_coldness(state), p * (mean - d))
    return beta * slope + 0.0


@ignore_fp_errors
def fisher_information(state: State) -> Any:
    """β²(diag p - p pᵀ)."""
    xp, p = state.xp, probs(state)
    index = index_along(p, xp)
    diagonal = index[..., :, None] == index[..., None, :]
    own = (p * (0 - xp.expm1(log_probs(state))))[..., None]
    matrix = xp.where(diagonal, own, 0 - p[..., :, None] * p[..., None, :])
    beta, matrix = aligned(xp, _finite_coldness(state)[..., None], matrix)
    return beta * (beta * matrix) + 0.0


@ignore_fp_errors
def _finite_coldness(state: State) -> Array:
    """β in the working dtype, shape (…, 1), 0 where infinite: no derivative passes there."""
    xp = state.xp
    beta = to_namespace(state.coldness, xp, state.z, state.dtype)
    beta = xp.where(xp.abs(beta) == math.inf, xp.zeros_like(beta), beta)
    return xp.reshape(beta, (*beta.shape, 1))


def _weighted(state: State, values: ArrayLike) -> tuple[Any, Any]:
    """Probabilities, and the values that count: 0 where p = 0."""
    xp, p = state.xp, probs(state)
    v = checks.values_of_categories(values, xp, state.z, state.batch_shape)
    return p, xp.where(p > 0, v, xp.zeros_like(v))


def _narrowed(state: State, x: Array) -> Any:
    """A result in the distribution's dtype, whatever the dtype of the values was."""
    if state.xp is np:
        return unwrap(np.asarray(x, state.dtype))
    return state.xp.astype(x, state.dtype)
