"""Policies of bandits: UCB1, Thompson sampling and Exp3."""

from __future__ import annotations

import math
from typing import Any, overload

from softargmax._arrays import checks
from softargmax._arrays.keywords import explained
from softargmax._arrays.namespaces import (
    ArrayLike,
    aligned,
    ignore_fp_errors,
    index_along,
    to_namespace,
    unwrap,
    widest_float,
)
from softargmax._arrays.types import A, Like, Numpy, NumpyLike
from softargmax._arrays.weights import log_weights
from softargmax._core.formula import bad_rows
from softargmax._core.information import log_prob
from softargmax._core.inputs import meet_batch
from softargmax._core.state import support_of
from softargmax.categorical import Categorical, state_of
from softargmax.functional import softargmax
from softargmax.policies._values import action_values, policy_of


@overload
def ucb(
    values: NumpyLike,
    counts: NumpyLike,
    c: NumpyLike = 2**0.5,
    *,
    mask: NumpyLike | None = None,
) -> Categorical[Numpy]: ...
@overload
def ucb(
    values: Like[A],
    counts: Like[A],
    c: Like[A] = 2**0.5,
    *,
    mask: Like[A] | None = None,
) -> Categorical[A]: ...
@ignore_fp_errors
@explained
def ucb(
    values: ArrayLike,
    counts: ArrayLike,
    c: ArrayLike = 2**0.5,
    *,
    mask: ArrayLike | None = None,
) -> Categorical:
    r"""UCB1: the action with the largest upper confidence bound, shared by ties.

    .. math:: a = \arg\max_a \; Q(a) + c \sqrt{\frac{\log \sum_b N(b)}{N(a)}}

    Parameters
    ----------
    values : array, shape (..., K)
        Mean rewards Q, as of rewards in [0, 1]; -inf forbids an action.
    counts : array, shape (..., K)
        N ≥ 0, how often each action was taken. Legal actions of count 0 come before all others and
        are equally likely.
    c : float or array
        In [0, inf), √2 by default, which is UCB1; broadcasts against the batch axes alone.
    mask : array of bool (or 0 and 1), shape (..., K), optional
        The legal actions.

    Returns
    -------
    Categorical

    Raises
    ------
    ValueError, TypeError
        As :func:`greedy` does, and for counts or c out of range or of a shape that does not fit.

    References
    ----------
    Auer, Cesa-Bianchi & Fischer (2002), https://doi.org/10.1023/A:1013689704352.

    Examples
    --------
    >>> from softargmax.policies import ucb
    >>> ucb([0.6, 0.5, 0.5], [100, 4, 4]).probs
    array([0. , 0.5, 0.5])
    >>> ucb([0.6, 0.5, 0.0], [100, 4, 0]).mode()
    np.int64(2)
    """
    given = action_values(values, mask, counts, c)
    xp, z = given.xp, given.z
    n = checks.values_of_categories(counts, xp, z, given.batch_shape, "counts")
    n = checks.numbers_in(n, "counts", "[0, inf)", xp, z)
    width = checks.numbers_in(c, "c", "[0, inf)", xp, z)
    meet_batch(tuple(width.shape), tuple(z.shape[:-1]), "c", "values")
    legal, own, n, width, bad = aligned(
        xp, support_of(z, given.prior, xp), z, n, width[..., None], bad_rows(given)
    )
    bad = bad | xp.any(xp.isnan(n), axis=-1, keepdims=True) | xp.isnan(width)
    total = xp.sum(xp.where(legal, n, xp.zeros_like(n)), axis=-1, keepdims=True)
    log_total = xp.log(xp.where(total > 1, total, xp.ones_like(total)))
    fresh = legal & (n == 0)
    spread = xp.sqrt(log_total / xp.where(n > 0, n, xp.ones_like(n)))
    bonus = width * spread
    own = xp.where(legal, xp.astype(own, bonus.dtype), xp.zeros_like(bonus))
    score = own + bonus
    beyond = xp.any(xp.abs(score) == math.inf, axis=-1, keepdims=True)
    score = xp.where(beyond, own / 64 + width / 64 * spread, score)  # the root is below 27
    first = xp.any(fresh, axis=-1, keepdims=True)
    score = xp.where(first & fresh, xp.zeros_like(score), score)
    score = xp.where(fresh | (legal & ~first), score, -math.inf)
    return policy_of(xp.where(bad, math.nan, score), z, xp, temperature=0.0)


@overload
def thompson(samples: NumpyLike, *, mask: NumpyLike | None = None) -> Categorical[Numpy]: ...
@overload
def thompson(samples: Like[A], *, mask: Like[A] | None = None) -> Categorical[A]: ...
@ignore_fp_errors
@explained
def thompson(samples: ArrayLike, *, mask: ArrayLike | None = None) -> Categorical:
    r"""Thompson sampling: an action has the probability that it is the best one.

    .. math:: \pi(a) = \frac{1}{n} \sum_{i=1}^n \frac{[Q_i(a) = \max_b Q_i(b)]}{k_i}

    where k_i actions tie for the best in sample i.

    Parameters
    ----------
    samples : array, shape (n, ..., K)
        Draws Q_i of the action values from their posterior. One draw gives the usual algorithm,
        many the probabilities.
    mask : array of bool (or 0 and 1), shape (..., K), optional
        The legal actions.

    Returns
    -------
    Categorical
        Of batch_shape (...).

    Raises
    ------
    ValueError, TypeError
        As :func:`greedy` does, and for samples without a first axis of one or more draws.

    References
    ----------
    Thompson (1933), https://doi.org/10.1093/biomet/25.3-4.285.

    Examples
    --------
    >>> from softargmax.policies import thompson
    >>> thompson([[1.0, 2.0, 0.0], [3.0, 1.0, 0.0], [2.0, 2.0, 0.0], [0.0, 1.0, 0.0]]).probs
    array([0.375, 0.625, 0.   ])
    """
    given = action_values(samples, mask, name="samples")
    xp, z = given.xp, given.z
    if z.ndim < 2 or not z.shape[0]:
        raise ValueError(f"samples must have shape (n, ..., K) with n ≥ 1, got {tuple(z.shape)}")
    legal, own, bad = aligned(xp, support_of(z, given.prior, xp), z, bad_rows(given))
    best = legal & (own == xp.max(xp.where(legal, own, -math.inf), axis=-1, keepdims=True))
    best = xp.astype(best, widest_float(xp))
    shares = xp.sum(best / xp.sum(best, axis=-1, keepdims=True), axis=0)
    logits = log_weights(xp.where(xp.any(bad, axis=0), 1.0, shares), xp)
    return policy_of(xp.where(xp.any(bad, axis=0), math.nan, logits), z, xp)


@overload
def exp3(
    gains: NumpyLike, gamma: NumpyLike, *, mask: NumpyLike | None = None
) -> Categorical[Numpy]: ...
@overload
def exp3(gains: Like[A], gamma: Like[A], *, mask: Like[A] | None = None) -> Categorical[A]: ...
@ignore_fp_errors
@explained
def exp3(gains: ArrayLike, gamma: ArrayLike, *, mask: ArrayLike | None = None) -> Categorical:
    r"""Exp3, for rewards that an adversary may choose.

    .. math:: \pi(a) = (1 - \gamma) \frac{e^{\gamma G(a) / K}}{\sum_b e^{\gamma G(b) / K}}
              + \frac{\gamma}{K}

    Parameters
    ----------
    gains : array, shape (..., K)
        G, the estimated sum of each action's rewards, which :func:`exp3_update` keeps; zeros at
        first. -inf forbids an action.
    gamma : float or array
        γ in (0, 1]; broadcasts against the batch axes alone.
    mask : array of bool (or 0 and 1), shape (..., K), optional
        The legal actions, of which K is the number.

    Returns
    -------
    Categorical

    Raises
    ------
    ValueError, TypeError
        As :func:`greedy` does, and for γ out of range.

    References
    ----------
    Auer, Cesa-Bianchi, Freund & Schapire (2002), https://doi.org/10.1137/S0097539701398375.

    Examples
    --------
    >>> import numpy as np
    >>> from numpy.random import default_rng
    >>> from softargmax.policies import exp3, exp3_update
    >>> gains, rng = np.zeros(3), default_rng(0)
    >>> for _ in range(1000):
    ...     policy = exp3(gains, 0.1)
    ...     action = policy.sample(rng=rng)
    ...     gains = exp3_update(gains, policy, action, reward=float(action == 1))
    >>> exp3(gains, 0.1).probs.round(3)
    array([0.033, 0.933, 0.033])
    """
    given = action_values(gains, mask, gamma, name="gains")
    xp, z = given.xp, given.z
    part = checks.numbers_in(gamma, "gamma", "(0, 1]", xp, z)
    meet_batch(tuple(part.shape), tuple(z.shape[:-1]), "gamma", "gains")
    legal, own, part, bad = aligned(
        xp, support_of(z, given.prior, xp), z, part[..., None], bad_rows(given)
    )
    own = xp.where(legal, xp.astype(own, part.dtype), -math.inf)
    many = xp.sum(xp.where(legal, xp.ones_like(own), 0.0), axis=-1, keepdims=True)
    off = bad | xp.isnan(part)
    heat = xp.where(off, 1.0, part / many)
    peak = xp.max(own, axis=-1, keepdims=True)
    scores = xp.where(legal, heat * (own - xp.where(bad, 0.0, peak)), -math.inf)
    p = softargmax(xp.where(off, 0.0, scores))
    weights = xp.where(legal, (1 - part) * p + heat, 0.0)
    logits = log_weights(xp.where(off, 1.0, weights), xp)
    return policy_of(xp.where(off, math.nan, logits), z, xp)


@explained
@ignore_fp_errors
def exp3_update(gains: ArrayLike, policy: Categorical, action: ArrayLike, reward: ArrayLike) -> Any:
    r"""The gains of :func:`exp3` after a reward, importance-weighted by the action's probability.

    .. math:: G(a) \leftarrow G(a) + \frac{r}{\pi(a)} \quad \text{for the action } a \text{ taken}

    Parameters
    ----------
    gains : array, shape (..., K)
    policy : Categorical
        The policy that the action was drawn from.
    action : int or array of integers, shape (...)
    reward : float or array, shape (...)
        r, in [0, 1].

    Returns
    -------
    array, shape (..., K)
        New gains, an unbiased estimate of the sum of each action's rewards.

    Raises
    ------
    ValueError, TypeError
        For an action or a reward out of range, an action of probability 0, and arguments of the
        wrong type.

    References
    ----------
    Auer, Cesa-Bianchi, Freund & Schapire (2002), https://doi.org/10.1137/S0097539701398375.

    Examples
    --------
    >>> import numpy as np
    >>> from softargmax.policies import exp3, exp3_update
    >>> exp3_update(np.zeros(4), exp3(np.zeros(4), 0.1), 2, 0.5)
    array([0., 0., 2., 0.])
    """
    state = state_of(policy, "policy")
    xp, z = state.xp, state.z
    wide = widest_float(xp)
    paid = checks.numbers_in(reward, "reward", "[0, 1]", xp, z)
    own = xp.astype(checks.values_of_categories(gains, xp, z, state.batch_shape, "gains"), wide)
    place = checks.category(action, xp, z, z.shape[-1], "action")
    log_p = to_namespace(log_prob(state, action), xp, z, wide)
    if checks.any_of(log_p == -math.inf):
        raise ValueError("action must have a probability above 0 under policy, got 0")
    here = index_along(own, xp) == place[..., None]
    step = (paid * xp.exp(0 - log_p))[..., None]
    bad = (xp.isnan(log_p + paid) | (log_p == -math.inf) | (place < 0))[..., None]
    found = own + xp.where(here, step, xp.zeros_like(step))
    return unwrap(xp.where(bad, math.nan, found))
