"""Moments of values over the categories, and derivatives in the logits, in closed form."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from softargmax._arrays import checks
from softargmax._arrays.namespaces import (
    Array,
    Given,
    aligned,
    ignore_fp_errors,
    index_along,
    to_namespace,
    unwrap,
)
from softargmax._core.information import log_probs, probs, ranking, take
from softargmax._core.state import State


@ignore_fp_errors
def expectation(state: State, values: Given) -> Any:
    """Σ p·v, where terms with p = 0 count 0 whatever their value."""
    p, v = _weighted(state, values)
    return _narrowed(state, state.xp.sum(p * v, axis=-1))


@ignore_fp_errors
def variance(state: State, values: Given) -> Any:
    """Σ p·(v - Σ p·v)², measured from the likeliest value."""
    xp = state.xp
    p, v = _weighted(state, values)
    likeliest = index_along(p, xp) == xp.argmax(ranking(state), axis=-1, keepdims=True)
    base = xp.sum(xp.where(likeliest, v, xp.zeros_like(v)), axis=-1, keepdims=True)
    v = xp.where(p > 0, v - base, xp.zeros_like(v))
    v = v - xp.sum(p * v, axis=-1, keepdims=True)
    return _narrowed(state, xp.sum(p * v * v, axis=-1))


@ignore_fp_errors
def score(state: State, category: Given) -> Any:
    """∂ log p(x)/∂z = β r(x) (e_x - q)."""
    xp = state.xp
    x = checks.category(category, xp, state.like, state.num_categories)
    slope = _slope(state, "score")
    p, log_p = probs(slope.law), log_probs(slope.law)
    chosen = index_along(x[..., None], xp, state.num_categories) == x[..., None]
    possible = take(state, xp.astype(state.support, p.dtype), x)[..., None]  # 1, 0 or NaN
    beta = slope.beta
    if slope.share is not None:
        beta, own = aligned(xp, beta, take(state, slope.share, x)[..., None])
        beta = beta * own
    chosen, possible, p, log_p, beta = aligned(xp, chosen, possible, p, log_p, beta)
    rise = 0 - xp.expm1(log_p)  # 1 - p, with its digits where p is next to 1
    found = beta * xp.where(chosen, rise, 0 - p)
    bad = xp.isnan(possible) | xp.isnan(p[..., :1])
    found = xp.where(possible > 0, found + 0.0, xp.zeros_like(found))
    return found if xp is np else xp.where(bad, math.nan, found)


@ignore_fp_errors
def entropy_gradient(state: State) -> Any:
    """∂H/∂z = -β (a (log p + H) - q Σ a (log p + H)), a = p r; the sum is 0 where r = 1."""
    xp, p = state.xp, probs(state)
    slope = _slope(state, "entropy_gradient")
    d = xp.where(p > 0, ranking(state), xp.zeros_like(p))
    mean = xp.sum(p * d, axis=-1, keepdims=True)
    found = p * (mean - d)
    if slope.share is not None:
        found = slope.share * found
        found = found - probs(slope.law) * xp.sum(found, axis=-1, keepdims=True)
    beta, found = aligned(xp, slope.beta, found)
    return beta * found + 0.0


@ignore_fp_errors
def fisher_information(state: State) -> Any:
    """Σ p ∂ log p/∂z (∂ log p/∂z)ᵀ, β²(diag p - p pᵀ) where r = 1."""
    xp, slope = state.xp, _slope(state, "fisher_information")
    p, rise = probs(slope.law), 0 - xp.expm1(log_probs(slope.law))
    index = index_along(p, xp)
    diagonal = index[..., :, None] == index[..., None, :]
    if slope.share is None:
        own, others = p * rise, 0 - p[..., :, None] * p[..., None, :]
    else:
        a = probs(state) * slope.share**2
        rest = xp.where(diagonal, xp.zeros_like(a)[..., None], a[..., None, :])
        rest = xp.sum(rest, axis=-1)  # Σ of all but one
        own = a * rise**2 + p**2 * rest
        pair = (a * rise)[..., :, None] * p[..., None, :]
        others = p[..., :, None] * p[..., None, :] * (rest[..., :, None] - a[..., None, :])
        others = others - pair - xp.matrix_transpose(pair)
    matrix = xp.where(diagonal, own[..., None], others)
    beta, matrix = aligned(xp, slope.beta[..., None], matrix)
    return beta * (beta * matrix) + 0.0


class _Slope(NamedTuple):
    """How log p depends on the values: ∂ log p(x)/∂z = β r(x) (e_x - q)."""

    beta: Array  # (…, 1)
    law: State  # whose probabilities are q
    share: Array | None  # r: of p(x), how much is due to the law; None for 1


def _slope(state: State, name: str) -> _Slope:
    """The derivative in the logits that the user gave."""
    xp, origin = state.xp, state.origin
    if origin is None:
        return _Slope(_finite_coldness(state), state, None)
    if origin.law is None:
        raise ValueError(
            f"{name} is a derivative in the logits or values that the user gave, and this "
            "distribution has no link to them: it is a mixture or a pool, or was made by tempered, "
            "masked or a token stage from what has logits of the library's own"
        )
    if origin.coin is None:
        return _Slope(_finite_coldness(origin.law), state, None)
    inner = _slope(origin.law, name)
    log_p, log_q = log_probs(state), log_probs(origin.law)
    log_side = xp.astype(log_probs(origin.coin)[..., :1], log_p.dtype)
    there = (log_p > -math.inf) & (log_q > -math.inf)
    zero = xp.zeros_like(log_p)
    log_share = xp.where(there, log_q, zero) - xp.where(there, log_p, zero)
    log_share = xp.clip(log_side + log_share, max=0.0)
    share = xp.where(there, xp.exp(log_share), zero)
    return _Slope(inner.beta, inner.law, share if inner.share is None else share * inner.share)


@ignore_fp_errors
def _finite_coldness(state: State) -> Array:
    """β in the working dtype, shape (…, 1), 0 where infinite: no derivative passes there."""
    xp = state.xp
    beta = to_namespace(state.coldness, xp, state.z, state.dtype)
    beta = xp.where(xp.abs(beta) == math.inf, xp.zeros_like(beta), beta)
    return xp.reshape(beta, (*beta.shape, 1))


def _weighted(state: State, values: Given) -> tuple[Any, Any]:
    """Probabilities, and the values that count: 0 where p = 0."""
    xp, p = state.xp, probs(state)
    v = checks.values_of_categories(values, xp, state.z, state.batch_shape)
    return p, xp.where(p > 0, v, xp.zeros_like(v))


def _narrowed(state: State, x: Array) -> Any:
    """A result in the distribution's dtype, whatever the dtype of the values was."""
    if state.xp is np:
        return unwrap(np.asarray(x, state.dtype))
    return state.xp.astype(x, state.dtype)
