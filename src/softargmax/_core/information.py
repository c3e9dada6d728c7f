"""Probabilities of categories, their order, entropies and divergences: no randomness needed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from softargmax._arrays import checks
from softargmax._arrays.namespaces import (
    Array,
    Given,
    Namespace,
    Shape,
    aligned,
    detached,
    device_of,
    ignore_fp_errors,
    index_along,
    index_dtype,
    read_only,
    running_sum,
    scalar,
    unwrap,
    widest_float,
)
from softargmax._core import formula
from softargmax._core.inputs import inverse
from softargmax._core.state import State
from softargmax._core.support import meet_rows
from softargmax._rows import orders
from softargmax._rows.inversion import search
from softargmax._rows.rows import as_rows
from softargmax._rows.sparse import Sparse


def _answer(state: State, name: str, by_formula: Callable[[State], Array]) -> Any:
    """What NumPy's law answers, or the formula where the arrays are another library's.

    Only the former is kept: a kept graph would break no_grad, a second backward pass and jit.
    """
    if state.xp is np:
        return getattr(state.law, name)
    if state.kept is not None:
        return state.at_home(getattr(state.host().law, name))
    return by_formula(state)


def temperature(state: State) -> Any:
    """T as given; 1/β where coldness was given."""
    coldness, value = state.temperature
    found = read_only(inverse(coldness, state.xp)) if value is None else value
    return scalar(found, state.xp)


def log_probs(state: State) -> Any:
    """log p of every category, batch_shape + (K,)."""
    return _answer(state, "log_probs", formula.log_probs)


def probs(state: State) -> Any:
    """p of every category, batch_shape + (K,)."""
    return _answer(state, "probs", formula.probs)


def ranking(state: State) -> Any:
    """Scores that rank the categories: d, -inf where p = 0 at any precision."""
    return _answer(state, "d", formula.ranking)


def entropy(state: State) -> Any:
    """H in nats, batch_shape."""
    found = state.law.entropy if state.xp is np else _answer(state, "entropy", formula.entropy)
    if type(found) is not np.ndarray:
        return found
    return found.copy() if found.ndim else found[()]  # a kept array is not the caller's


def support_size(state: State) -> Any:
    """How many categories have p > 0, a number of the dtype for each row."""
    if state.kept is not None and state.xp is np:
        law = state.law
        assert isinstance(law, Sparse)
        found = [np.count_nonzero(one.d > -math.inf) for one in law.laws]
        return np.array(found, state.dtype).reshape(state.batch_shape)
    xp, d = state.xp, ranking(state)
    return xp.sum(xp.astype(d > -math.inf, d.dtype), axis=-1)


# ---------------------------------------------------------------------------- of a category


def log_prob(state: State, category: Given) -> Any:
    """log p of given categories."""
    if state.xp is np and not state.batch_shape and type(category) in (int, np.int64):
        law = state.law  # the common case, on a short way
        if 0 <= category < law.width:
            return law.log_prob(category)
    if type(category) is np.ndarray and category.shape == state.batch_shape and state.xp is np:
        found = state.law.log_prob_each(category)
        if found is not None:
            return found[()]  # a number where there are no axes
    return _of_category(state, category, "log_probs", -math.inf, log_probs)


def prob(state: State, category: Given) -> Any:
    """p of given categories."""
    return _of_category(state, category, "probs", 0.0, probs)


def _of_category(
    state: State,
    category: Given,
    name: str,
    empty: float,
    table: Callable[[State], Array],
) -> Any:
    x = checks.category(category, state.xp, state.like, state.num_categories)
    if state.kept is None or state.xp is not np:
        return unwrap(take(state, table(state), x))
    law, spread, shape = of_sparse_rows(state, x)
    return unwrap(law.of_categories(spread, name, empty).reshape(shape))


def of_sparse_rows(state: State, x: Any) -> tuple[Sparse, Any, Shape]:
    """The law of a sparse state of NumPy's, categories (…, rows) for it, and the answer's shape."""
    law, batch = state.law, state.batch_shape
    assert isinstance(law, Sparse)
    shape = meet_rows(x.shape, batch, "category")
    spread = np.broadcast_to(x, shape).reshape(*shape[: len(shape) - len(batch)], law.count)
    return law, spread, shape


@ignore_fp_errors
def cdf(state: State, category: Given) -> Any:
    """P(X ≤ category)."""
    x = checks.category(category, state.xp, state.like, state.num_categories)
    return unwrap(take(state, state.xp.astype(_cumulative(state), state.dtype), x))


def _cumulative(state: State) -> Any:
    """The cumulative distribution in float64 where there is one; its last value is 1."""
    xp = state.xp
    if xp is np:
        return state.law.cdf.reshape(state.law.shape)
    total = running_sum(xp.astype(probs(state), widest_float(xp)), xp)
    return total / total[..., -1:]


def quantile(state: State, u: Given) -> Any:
    """The smallest category x with cdf(x) > u; u = 1 gives the last category with p > 0."""
    xp, batch = state.xp, state.batch_shape
    points = checks.numbers_in(u, "u", "[0, 1]", xp, state.like)
    shape = meet_rows(tuple(points.shape), batch, "u")
    points = xp.broadcast_to(points, shape)
    if xp is np:
        law = state.law
        row = np.arange(law.count).reshape(batch)
        return unwrap(search(law.cdf, law.last, points, row))
    total = _cumulative(state)
    found = _count_up_to(state, total, points)
    p = probs(state)
    index = index_along(p, xp)
    last = xp.max(xp.where(p > 0, index, xp.zeros_like(index)), axis=-1)
    found, last, bad, wrong = aligned(
        xp, found, xp.astype(last, index_dtype(xp)), xp.isnan(points), xp.isnan(total[..., 0])
    )
    found, bad = xp.minimum(found, last), bad | wrong
    return xp.where(bad, -xp.ones_like(found), found)


def _count_up_to(state: State, rising: Array, points: Array) -> Array:
    """How many values of each rising row are at most a point, by bisection.

    The array API searches one row alone, and to compare all values with all points would hold both.
    """
    xp, width = state.xp, state.num_categories
    low = xp.zeros(points.shape, dtype=index_dtype(xp), device=device_of(points))
    high = xp.full_like(low, width)
    for _ in range(width.bit_length()):
        middle = (low + high) // 2
        value = take(state, rising, xp.clip(middle, max=width - 1))
        below = (value <= points) & (low < high)
        low, high = xp.where(below, middle + 1, low), xp.where(below, high, middle)
    return low


def mode(state: State) -> Any:
    """The likeliest category, of tied ones the lowest index."""
    xp = state.xp
    if state.kept is not None and xp is np:
        law = state.law
        assert isinstance(law, Sparse)
        return unwrap(law.mode())
    scores = ranking(state)
    best = xp.astype(xp.argmax(scores, axis=-1), index_dtype(xp), copy=False)
    if xp is np:
        return unwrap(best)
    return xp.where(xp.isnan(scores[..., 0]), -xp.ones_like(best), best)


def top(state: State, k: int) -> tuple[Any, Any]:
    """The k likeliest categories in falling order, and their log-probabilities."""
    xp, batch = state.xp, state.batch_shape
    k = checks.count(k, "k", 0, state.num_categories)
    scores = ranking(state)
    if xp is np:
        rows = as_rows(scores, batch)
        falling = np.broadcast_to(-np.arange(state.num_categories), rows.shape)
        indices = orders.largest((rows, falling), k).reshape(*batch, k)
    else:
        indices = xp.argsort(scores, axis=-1, descending=True, stable=True)[..., :k]
        indices = xp.where(xp.isnan(scores[..., :1]), -xp.ones_like(indices), indices)
    return indices, take(state, log_probs(state), indices, core=1)


# ---------------------------------------------------------------------------- in nats


@ignore_fp_errors
def perplexity(state: State) -> Any:
    """exp(H)."""
    return unwrap(state.xp.exp(entropy(state)))


@ignore_fp_errors
def cross_entropy(state: State, other: State) -> Any:
    """-Σ p log q."""
    xp = check_pair(state, other, "other")
    p, log_q = aligned(xp, probs(state), log_probs(other))
    terms = p * (0 - xp.where(p > 0, log_q, xp.zeros_like(log_q)))
    return unwrap(xp.sum(terms, axis=-1))


@ignore_fp_errors
def kl_divergence(state: State, other: State) -> Any:
    """Σ p log(p/q)."""
    xp = check_pair(state, other, "other")
    p, log_p, log_q = aligned(xp, probs(state), log_probs(state), log_probs(other))
    zero = xp.zeros_like(p)
    terms = p * (xp.where(p > 0, log_p, zero) - xp.where(p > 0, log_q, zero))
    total = xp.sum(terms, axis=-1)
    below = xp.where(total < 0, 0 - total, xp.zeros_like(total))
    return unwrap(total + detached(below, xp))  # a clamp that no derivative sees


# ---------------------------------------------------------------------------- shared


def take(state: State, table: Array, x: Array, core: int = 0) -> Array:
    """Entries of a table of shape batch_shape + (K,) at categories whose last ``core`` axes are
    not the batch's; NaN at -1, which stands for what would be an error if it could be seen.
    """
    xp, batch = state.xp, state.batch_shape
    if xp is np and len(batch) == 1 and core == 0 and x.shape == batch:
        return table[np.arange(len(x)), x]  # the common case, on a short way
    lead = tuple(x.shape[: x.ndim - core])
    shape = (*meet_rows(lead, batch, "category"), *x.shape[x.ndim - core :])
    row = xp.arange(math.prod(batch), device=device_of(table))
    row, x = aligned(xp, xp.reshape(row, (*batch, *([1] * core))), x)
    if xp is np:
        flat = np.broadcast_to(row * state.num_categories + x, shape)
        return table.reshape(-1)[flat]
    inside = xp.broadcast_to(x >= 0, shape)
    flat = xp.broadcast_to(row * state.num_categories + xp.where(x < 0, xp.zeros_like(x), x), shape)
    found = xp.reshape(xp.take(xp.reshape(table, (-1,)), xp.reshape(flat, (-1,))), shape)
    return xp.where(inside, found, math.nan)


def check_pair(state: State, other: State, name: str) -> Namespace:
    """The library of two distributions that can be compared."""
    if other.num_categories != state.num_categories:
        raise ValueError(
            f"{name} must have {state.num_categories} categories, got {other.num_categories}"
        )
    checks.check_fits(other.batch_shape, state.batch_shape, name)
    if other.xp is not state.xp:
        raise TypeError(f"{name} must hold arrays of the same library as this distribution")
    return state.xp
