"""Planning at the root of a search: Gumbel MuZero's choice of actions and its improved policy."""

from __future__ import annotations

import math
from typing import Any, NamedTuple, overload

from softargmax._arrays import checks
from softargmax._arrays.keywords import explained
from softargmax._arrays.namespaces import (
    Array,
    ArrayLike,
    aligned,
    as_traceable,
    ignore_fp_errors,
    index_dtype,
    to_namespace,
    unwrap,
    widest_float,
)
from softargmax._arrays.types import A, Like, Numpy, NumpyLike
from softargmax._core.formula import bad_rows
from softargmax._core.state import State, support_of
from softargmax.categorical import Categorical
from softargmax.functional import log_softargmax
from softargmax.policies._values import action_values, policy_of

_ROUNDING = 1e-8  # differences of values below this share of them are not brought up to [0, 1]


class GumbelRoot(NamedTuple):
    """What :func:`gumbel_root` decides."""

    action: Any  # to visit next; after the last simulation, to take; batch_shape
    policy: Categorical  # the improved policy, a target to learn from


class _Searched(NamedTuple):
    """Checked statistics of a root, in float64 where there is one, with their batch axes."""

    xp: Any
    given: State
    z: Array
    legal: Array
    q: Array  # 0 where an action was not visited
    visits: Array
    value: Array  # (…, 1)
    bad: Array  # rows of bad hidden values, (…, 1)


def _searched(
    logits: ArrayLike, q: ArrayLike, visits: ArrayLike, value: ArrayLike, mask: Any, *others: Any
) -> _Searched:
    given = action_values(logits, mask, q, visits, value, *others, name="logits")
    xp, z = given.xp, given.z
    wide = widest_float(xp)
    n = checks.values_of_categories(visits, xp, z, given.batch_shape, "visits")
    n = checks.numbers_in(n, "visits", "[0, inf)", xp, z)
    x = checks.values_of_categories(q, xp, z, given.batch_shape, "q")
    v = checks.numbers_in(value, "value", "(-inf, inf)", xp, z)
    checks.check_fits_within(tuple(v.shape), given.batch_shape, "value")
    legal, own, x, n, v, bad = aligned(
        xp, support_of(z, given.prior, xp), z, xp.astype(x, wide), n, v[..., None], bad_rows(given)
    )
    n = xp.where(legal, n, xp.zeros_like(n))
    visited = n > 0
    x = xp.where(visited, x, xp.zeros_like(x))
    wrong = (xp.abs(x) == math.inf) | xp.isnan(x)
    if checks.any_of(wrong):
        raise ValueError(f"q must be finite where visits are, got {checks.first_of(x, wrong)}")
    bad = bad | xp.any(wrong | xp.isnan(n), axis=-1, keepdims=True) | xp.isnan(v)
    return _Searched(xp, given, xp.astype(own, wide), legal, x, n, v, bad)


def _held(xp: Any, mean: Array, low: Array, high: Array) -> Array:
    """A mean, no further out than what it is of: equal values have it for their mean exactly."""
    return xp.where(mean < low, low, xp.where(mean > high, high, mean))


def _completed(s: _Searched) -> Array:
    xp = s.xp
    visited = s.visits > 0
    log_p = log_softargmax(xp.where(s.legal, s.z, -math.inf))
    log_p = xp.where(visited & s.legal, log_p, -math.inf)
    counted = log_p > -math.inf
    some = xp.any(counted, axis=-1, keepdims=True)
    share = xp.exp(log_p - xp.where(some, xp.max(log_p, axis=-1, keepdims=True), 0.0))
    share = share / xp.where(some, xp.sum(share, axis=-1, keepdims=True), 1.0)
    low = xp.min(xp.where(counted, s.q, math.inf), axis=-1, keepdims=True)
    high = xp.max(xp.where(counted, s.q, -math.inf), axis=-1, keepdims=True)
    mean = _held(xp, xp.sum(share * s.q, axis=-1, keepdims=True), low, high)
    mean = xp.where(some, mean, xp.zeros_like(mean))
    n = xp.sum(s.visits, axis=-1, keepdims=True)
    mixed = s.value / (n + 1) + mean * (n / (n + 1))
    below = mean < s.value
    mixed = _held(xp, mixed, xp.where(below, mean, s.value), xp.where(below, s.value, mean))
    return xp.where(s.bad, math.nan, xp.where(visited, s.q, mixed))


@overload
def completed_q(
    logits: NumpyLike,
    q: NumpyLike,
    visits: NumpyLike,
    value: NumpyLike,
    *,
    mask: NumpyLike | None = None,
) -> Numpy: ...
@overload
def completed_q(
    logits: Like[A], q: Like[A], visits: Like[A], value: Like[A], *, mask: Like[A] | None = None
) -> A: ...
@ignore_fp_errors
@explained
def completed_q(
    logits: ArrayLike,
    q: ArrayLike,
    visits: ArrayLike,
    value: ArrayLike,
    *,
    mask: ArrayLike | None = None,
) -> Any:
    r"""Action values with those of unvisited actions filled in by the mixed value.

    .. math:: v_{mix} = \frac{1}{1 + N} \Bigl(v + N
              \frac{\sum_{a: N(a) > 0} \pi(a)\, q(a)}{\sum_{a: N(a) > 0} \pi(a)}\Bigr),
              \qquad N = \sum_a N(a)

    Parameters
    ----------
    logits : array, shape (..., K)
        Of the policy network; -inf forbids an action.
    q : array, shape (..., K)
        Mean value of each action in the search; values at unvisited actions are not read.
    visits : array, shape (..., K)
        N(a) ≥ 0, how often each action was visited; not counted where it is not legal.
    value : float or array, shape (...)
        v, the value network's estimate of the root.
    mask : array of bool (or 0 and 1), shape (..., K), optional
        The legal actions.

    Returns
    -------
    array, shape (..., K)
        In float64 where there is one. Before the first visit it is v everywhere.

    Raises
    ------
    ValueError, TypeError
        For arguments of the wrong type, out of range, or whose shapes do not fit.

    References
    ----------
    Danihelka, Guez, Schrittwieser & Silver, "Policy improvement by planning with Gumbel", ICLR
    2022, https://openreview.net/forum?id=bERaNdoegnO, appendix D.

    Examples
    --------
    >>> from softargmax.policies import completed_q
    >>> completed_q([0.0, 0.0, 1.0], q=[4.0, 2.0, 0.0], visits=[1, 1, 0], value=0.0)
    array([4., 2., 2.])
    """
    return unwrap(_completed(_searched(logits, q, visits, value, mask)) + 0.0)


@ignore_fp_errors
@explained
def gumbel_root(
    logits: ArrayLike,
    q: ArrayLike,
    visits: ArrayLike,
    value: ArrayLike,
    noise: ArrayLike,
    *,
    mask: ArrayLike | None = None,
    simulations: int,
    considered: int = 16,
    value_scale: float = 0.1,
    visit_offset: float = 50.0,
) -> GumbelRoot:
    r"""Gumbel MuZero at the root: which action to visit next, and the improved policy.

    .. math:: \text{score}(a) = g(a) + \text{logits}(a) + \sigma(\hat q(a)), \qquad
              \sigma(\hat q) = (c + \max_b N(b))\, s\, \hat q, \qquad
              \pi' = \mathrm{softargmax}(\text{logits} + \sigma(\hat q))

    with :func:`completed_q` :math:`\hat q`, brought to [0, 1] in each row (differences
    below 1e-8 of the values, which may be rounding, stay small). The actions with the largest
    g + logits are a draw without replacement (Gumbel-top-k); sequential halving visits them in
    rounds, each with half of the actions, the best by their score, so that after all simulations
    the best of the most visited ones is the action to take.

    Parameters
    ----------
    logits, q, visits, value, mask
        As for :func:`completed_q`.
    noise : array, shape (..., K)
        Gumbel noise g, drawn once for a whole search: ``gumbel.gumbel_noise(logits.shape)``. Zeros
        for play without exploration.
    simulations : int
        The visits of the whole search, 1 or more.
    considered : int
        How many actions the search considers at most, 1 or more.
    value_scale, visit_offset : float
        s and c, in [0, inf).

    Returns
    -------
    GumbelRoot
        action: while the visits are fewer than simulations, the one to visit next; then the one to
        take. policy: a Categorical over the legal actions.

    Raises
    ------
    ValueError, TypeError
        For arguments of the wrong type, out of range, or whose shapes do not fit.

    References
    ----------
    Danihelka, Guez, Schrittwieser & Silver, "Policy improvement by planning with Gumbel", ICLR
    2022, https://openreview.net/forum?id=bERaNdoegnO; sequential halving: Karnin, Koren & Somekh
    (2013), http://proceedings.mlr.press/v28/karnin13.html.

    Examples
    --------
    A bandit of four actions: 20 simulations, of which the caller makes each.

    >>> import numpy as np
    >>> from softargmax.gumbel import gumbel_noise
    >>> from softargmax.policies import gumbel_root
    >>> pays, logits = np.array([0.1, 0.9, 0.5, 0.3]), np.zeros(4)
    >>> noise, total, visits = gumbel_noise(4, rng=0), np.zeros(4), np.zeros(4)
    >>> for _ in range(20):
    ...     q = total / np.maximum(visits, 1)
    ...     a = gumbel_root(logits, q, visits, 0.0, noise, simulations=20).action
    ...     total[a] += pays[a]
    ...     visits[a] += 1
    >>> q = total / np.maximum(visits, 1)
    >>> found = gumbel_root(logits, q, visits, 0.0, noise, simulations=20)
    >>> int(found.action), visits.astype(int), found.policy.probs.round(3)
    (1, array([2, 8, 8, 2]), array([0.003, 0.934, 0.051, 0.012]))
    """
    s = _searched(logits, q, visits, value, mask, noise)
    xp, z = s.xp, s.given.z
    budget = checks.count(simulations, "simulations", 1, 2**31)
    most = min(checks.count(considered, "considered", 1, 2**62), z.shape[-1])
    scale = checks.number(value_scale, "value_scale", "[0, inf)")
    offset = checks.number(visit_offset, "visit_offset", "[0, inf)")
    g = checks.values_of_categories(noise, xp, z, s.given.batch_shape, "noise")
    g = checks.numbers_in(g, "noise", "(-inf, inf)", xp, z)
    full = _completed(s)
    half = full / 2  # whose differences do not overflow
    low, high = (f(half, axis=-1, keepdims=True) for f in (xp.min, xp.max))
    rounding = _ROUNDING * xp.max(xp.abs(half), axis=-1, keepdims=True)
    span = xp.where(high - low > rounding, high - low, rounding)
    span = xp.where(span > 0, span, xp.ones_like(span))
    peak = xp.max(s.visits, axis=-1, keepdims=True)
    sigma = (offset + peak) * scale * ((half - low) / span)
    own, sigma, g = aligned(xp, xp.where(s.legal, s.z, xp.zeros_like(s.z)), sigma, g)
    bad = s.bad | xp.any(xp.isnan(g), axis=-1, keepdims=True)
    legal = s.legal & ~bad
    improved = xp.where(bad, math.nan, xp.where(s.legal, own + sigma, -math.inf))

    # Which number of visits is next: by how many actions are legal, and how many visits there were.
    one = xp.ones_like(full)
    many = xp.sum(xp.where(legal, one, 0 * one), axis=-1, keepdims=True)
    done = xp.sum(s.visits, axis=-1, keepdims=True)
    row = xp.clip(xp.where(bad, 1.0, many), 1, most)
    at = xp.where(bad, 0.0, xp.clip(done, 0, budget - 1))
    table = [n for m in range(1, most + 1) for n in _rounds(m, budget)]  # flat
    table = to_namespace(as_traceable(table, xp, z), xp, z, widest_float(xp))
    index = xp.astype((row - 1) * budget + at, index_dtype(xp))
    next_visits = xp.reshape(xp.take(table, xp.reshape(index, (-1,)), axis=0), index.shape)
    next_visits = xp.where(done >= budget, peak, next_visits)
    due = legal & (s.visits == next_visits)
    due = xp.where(xp.any(due, axis=-1, keepdims=True), due, legal)
    score = xp.where(due, own + sigma + g, -math.inf)
    action = xp.astype(xp.argmax(score, axis=-1), index_dtype(xp))
    action = xp.where(bad[..., 0], -xp.ones_like(action), action)
    return GumbelRoot(unwrap(action), policy_of(improved, z, xp))


def _rounds(considered: int, simulations: int) -> list[int]:
    """Of sequential halving: the visits that each action has which is visited in turn."""
    if considered == 1:
        return [*range(simulations)]
    halvings = math.ceil(math.log2(considered))
    sequence: list[int] = []
    left, level = considered, 0
    while len(sequence) < simulations:
        for _ in range(max(1, simulations // (halvings * left))):
            sequence += [level] * left
            level += 1
        left = max(2, left // 2)
    return sequence[:simulations]
