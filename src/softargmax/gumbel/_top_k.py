"""Gumbel-top-k with its threshold, for importance weights."""

from __future__ import annotations

import math
from typing import Any, NamedTuple, overload

import numpy as np

from softargmax._arrays import checks
from softargmax._arrays.keywords import explained
from softargmax._arrays.namespaces import (
    ArrayLike,
    ignore_fp_errors,
    index_dtype,
    namespace_of,
    unwrap,
)
from softargmax._arrays.types import A, Like, Numpy, NumpyLike
from softargmax._core import sampling
from softargmax._core.information import log_probs
from softargmax._random.sources import Rngs
from softargmax._random.tags import Tag
from softargmax.categorical import Categorical, state_of


class GumbelTopK(NamedTuple):
    """k categories drawn without replacement by Gumbel-top-k, and their threshold.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.gumbel import gumbel_top_k
    >>> drawn = gumbel_top_k(Categorical([0.0, 1.0, 2.0]), 2, rng=0)
    >>> drawn.indices, float(drawn.threshold.round(4)), drawn.log_inclusion.round(4)
    (array([2, 0]), -2.25, array([-0.0018, -0.5545]))
    """

    indices: Any  # batch + (k,), in the order drawn
    threshold: Any  # κ, the largest perturbed log-probability not drawn; -inf if none is left
    log_inclusion: Any  # log P(perturbed log-probability > κ) of each index, batch + (k,)


@explained
def gumbel_top_k(
    dist: Categorical[A], k: int, shape: int | tuple[int, ...] = (), *, rng: Rngs = None
) -> GumbelTopK:
    r"""Draw k categories without replacement, with inclusion probabilities for importance weights.

    Given the threshold κ, the (k+1)-th largest of the perturbed log-probabilities
    :math:`\log p_i + g_i`, category i is among the k with probability
    :math:`1 - \exp(-e^{\log p_i - \kappa})`, so that

    .. math:: \sum_{i \in S} \frac{p_i}{1 - \exp(-e^{\log p_i - \kappa})} f(i)

    is an unbiased estimate of the expectation of f.

    Parameters
    ----------
    dist : Categorical
    k : int
        From 1 to the number of categories with p > 0.
    shape, rng
        As for :meth:`Categorical.sample`, except Keyed.

    Returns
    -------
    GumbelTopK
        indices, shape + batch_shape + (k,), in the order drawn; threshold κ, shape + batch_shape,
        -inf where no category is left; log_inclusion of the indices, in nats.

    Raises
    ------
    ValueError, TypeError
        For k above a row's number of categories with p > 0, or other invalid arguments.

    References
    ----------
    Kool, van Hoof & Welling (2019), https://arxiv.org/abs/1903.06059.

    Examples
    --------
    >>> import numpy as np
    >>> from softargmax import Categorical
    >>> from softargmax.gumbel import gumbel_top_k
    >>> dist, f = Categorical.from_weights([1, 2, 3, 4]), np.array([1.0, 2.0, 4.0, 8.0])
    >>> drawn = gumbel_top_k(dist, 2, 100_000, rng=0)
    >>> weights = np.exp(dist.log_probs[drawn.indices] - drawn.log_inclusion)
    >>> float((weights * f[drawn.indices]).sum(-1).mean().round(2)), float(dist.expectation(f))
    (4.89, 4.9)
    """
    state = state_of(dist)
    xp = state.xp
    size = checks.sample_shape(shape)
    k = checks.count(k, "k", 1, state.num_categories)
    log_p = log_probs(state)
    checks.check_subset(k, log_p > -math.inf)
    noise = sampling.source(state, rng, Tag.GUMBEL_TOP_K).gumbels(size, (state.num_categories,))
    log_p = xp.broadcast_to(xp.astype(log_p, noise.dtype), noise.shape)
    perturbed = log_p + noise
    order = (
        xp.argsort(perturbed, axis=-1, descending=True, stable=True)
        if xp is not np
        else np.argsort(-perturbed, axis=-1, kind="stable")
    )
    indices = order[..., :k]
    if k < state.num_categories:
        threshold = xp.take_along_axis(perturbed, order[..., k : k + 1], axis=-1)
    else:
        threshold = xp.full_like(perturbed[..., :1], -math.inf)
    own = xp.take_along_axis(log_p, indices, axis=-1)
    found = xp.astype(indices, index_dtype(xp))
    inclusion = log_inclusion(own, threshold)
    # Hidden values raise nothing: bad rows give -1.
    bad = xp.any(xp.isnan(own) | (own == -math.inf), axis=-1, keepdims=True)
    found = xp.where(bad, -xp.ones_like(found), found)
    return GumbelTopK(found, unwrap(threshold[..., 0]), inclusion)


@overload
def log_inclusion(log_probs: NumpyLike, threshold: NumpyLike) -> Numpy: ...
@overload
def log_inclusion(log_probs: Like[A], threshold: Like[A]) -> A: ...
@explained
@ignore_fp_errors
def log_inclusion(log_probs: ArrayLike, threshold: ArrayLike) -> Any:
    r"""log P(a perturbed log-probability exceeds a threshold) = log(1 - exp(-exp(log p - κ))).

    Parameters
    ----------
    log_probs, threshold : arrays
        Of shapes that broadcast; a threshold of -inf includes everything.

    Returns
    -------
    array, in nats, ≤ 0; -inf where p = 0

    Raises
    ------
    ValueError, TypeError
        For shapes that do not broadcast, or values that are not real numbers.

    References
    ----------
    Kool, van Hoof & Welling (2019), https://arxiv.org/abs/1903.06059.

    Examples
    --------
    >>> from softargmax.gumbel import log_inclusion
    >>> float(log_inclusion(-1.0, -float("inf"))), round(float(log_inclusion(-40.0, 0.0)), 6)
    (0.0, -40.0)
    """
    xp = namespace_of(log_probs, threshold)
    p = checks.cast(checks.real_array(log_probs, "log_probs", xp, threshold), xp)
    level = checks.cast(checks.real_array(threshold, "threshold", xp, log_probs), xp)
    checks.check_fits(tuple(level.shape), tuple(p.shape), "threshold")
    p, level = xp.broadcast_arrays(p, level)
    dead, all_of_them = p == -math.inf, level == -math.inf
    rise = xp.where(
        dead | all_of_them, xp.zeros_like(p), p - xp.where(all_of_them, xp.zeros_like(level), level)
    )
    # log(1 - exp(-e^rise)): for a small e^rise it is rise - e^rise/2, and 0 for a large one.
    small = rise < -30
    rate = xp.exp(xp.where(small, xp.zeros_like(rise), xp.minimum(rise, xp.full_like(rise, 6.0))))
    value = xp.where(small, rise, xp.log(0 - xp.expm1(0 - rate)))
    value = xp.where(all_of_them, xp.zeros_like(value), value)
    return unwrap(xp.where(dead, -math.inf, value))
