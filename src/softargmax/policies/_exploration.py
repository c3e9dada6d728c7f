"""Policies with random perturbations: Dirichlet noise at a search root, Boltzmann-Gumbel."""

from __future__ import annotations

import math
from typing import overload

import numpy as np

from softargmax._arrays import checks
from softargmax._arrays.keywords import explained
from softargmax._arrays.namespaces import ArrayLike, aligned, ignore_fp_errors, is_foreign
from softargmax._arrays.types import A, Like, Numpy, NumpyLike
from softargmax._core import sampling
from softargmax._core.formula import bad_rows
from softargmax._core.information import log_probs
from softargmax._core.inputs import meet_batch
from softargmax._core.mixtures import log_sides, mixed
from softargmax._core.state import of_logits, support_of
from softargmax._random.sources import Rngs
from softargmax._random.tags import Tag
from softargmax.categorical import Categorical, state_of
from softargmax.policies._values import action_values, linked, policy_of


@ignore_fp_errors
@explained
def with_dirichlet_noise(
    dist: Categorical[A], alpha: ArrayLike, fraction: ArrayLike, *, rng: Rngs = None
) -> Categorical[A]:
    r"""A policy mixed with Dirichlet noise over its legal actions, to explore at a search root.

    .. math::

        \pi = (1 - f)\, p + f \eta, \qquad \eta \sim \mathrm{Dirichlet}(\alpha, \ldots, \alpha)

    Parameters
    ----------
    dist : Categorical
        Its support is the set of legal actions.
    alpha : float or array
        α in [1e-300, inf), one for all actions of a row; AlphaZero uses about 10 / (number of
        legal actions).
    fraction : float or array
        f in [0, 1]; both alpha and fraction broadcast to the batch shape.
    rng
        As for :meth:`Categorical.sample`, except Keyed.

    Returns
    -------
    Categorical
        Its log-probabilities are conditional on the noise.

    Raises
    ------
    ValueError, TypeError
        For arguments of the wrong type, out of range, or whose shapes do not fit.

    References
    ----------
    Silver et al. (2017), https://arxiv.org/abs/1712.01815.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.policies import with_dirichlet_noise
    >>> prior = Categorical([0.0, 1.0, 2.0], prior=[1, 0, 1])
    >>> with_dirichlet_noise(prior, 0.3, 0.25, rng=0).probs.round(4)
    array([0.1309, 0.    , 0.8691])
    """
    state = state_of(dist)
    xp, batch = state.xp, state.batch_shape
    a = checks.numbers_in(alpha, "alpha", "[1e-300, inf)", xp, state.z)[..., None]
    f = checks.numbers_in(fraction, "fraction", "[0, 1]", xp, state.z)
    checks.check_fits_within(tuple(a.shape[:-1]), batch, "alpha")
    checks.check_fits_within(tuple(f.shape), batch, "fraction")
    noise = sampling.source(state, rng, Tag.DIRICHLET)
    own = a if is_foreign(alpha) else np.asarray(alpha, np.float64)[..., None]
    noise = noise.log_gammas(own, state.num_categories)
    support = state.support
    eta = of_logits(xp.where(support, noise, -math.inf), xp)
    if eta.dtype != state.dtype:  # whose range may be too small for the noise
        eta = of_logits(xp.astype(log_probs(eta), state.dtype), xp)
    sides = log_sides(f, xp, state.z)
    return linked(mixed([state, eta], sides), state, of_logits(sides, xp))


@overload
def boltzmann_gumbel(
    values: NumpyLike,
    counts: NumpyLike,
    scale: NumpyLike,
    *,
    mask: NumpyLike | None = None,
    rng: Rngs = None,
) -> Categorical[Numpy]: ...
@overload
def boltzmann_gumbel(
    values: Like[A],
    counts: Like[A],
    scale: Like[A],
    *,
    mask: Like[A] | None = None,
    rng: Rngs = None,
) -> Categorical[A]: ...
@ignore_fp_errors
@explained
def boltzmann_gumbel(
    values: ArrayLike,
    counts: ArrayLike,
    scale: ArrayLike,
    *,
    mask: ArrayLike | None = None,
    rng: Rngs = None,
) -> Categorical:
    r"""Boltzmann-Gumbel exploration: greedy on values with Gumbel noise that shrinks with visits.

    .. math:: a = \arg\max_a \; Q(a) + \frac{C}{\sqrt{N(a)}} \, g_a, \qquad g_a \text{ Gumbel}

    Unlike a single temperature for all actions, it explores each according to its uncertainty.

    Parameters
    ----------
    values, mask
        As for :func:`greedy`.
    counts : array, shape (..., K)
        N ≥ 0, how often each action was taken. A legal action of count 0 is taken before any
        other; of several such actions, the one with the largest noise.
    scale : float or array
        C in [0, inf) in the units of the values; broadcasts against the batch axes alone.
    rng
        As for :meth:`Categorical.sample`, except Keyed.

    Returns
    -------
    Categorical
        Greedy on the perturbed values; its log-probabilities are conditional on the noise.

    Raises
    ------
    ValueError, TypeError
        As :func:`greedy` does, and for invalid counts or an invalid scale.

    References
    ----------
    Cesa-Bianchi, Gentile, Lugosi & Neu (2017), https://arxiv.org/abs/1705.10257.

    Examples
    --------
    >>> from softargmax.policies import boltzmann_gumbel
    >>> boltzmann_gumbel([1.0, 2.0, 0.0], [10, 10, 0], 1.0, rng=0).mode()
    np.int64(2)
    >>> boltzmann_gumbel([1.0, 2.0, 0.0], [1000, 1000, 10], 1.0, rng=0).mode()
    np.int64(1)
    """
    given = action_values(values, mask, counts, scale)
    xp, z = given.xp, given.z
    visits = checks.values_of_categories(counts, xp, z, given.batch_shape, "counts")
    visits = checks.numbers_in(visits, "counts", "[0, inf)", xp, z)
    spread = checks.numbers_in(scale, "scale", "[0, inf)", xp, z)
    meet_batch(tuple(spread.shape), tuple(z.shape[:-1]), "scale", "values")
    shape = np.broadcast_shapes(given.batch_shape, visits.shape[:-1], spread.shape)
    source = sampling.source(given.replace(batch_shape=shape), rng, Tag.BOLTZMANN_GUMBEL)
    noise = source.gumbels((), z.shape[-1:])
    visits, spread, legal, own, noise = aligned(
        xp, visits, spread[..., None], support_of(z, given.prior, xp), z, noise
    )
    fresh = visits == 0
    width = spread / xp.sqrt(xp.where(fresh, xp.ones_like(visits), visits))
    score = xp.where(legal, own, xp.zeros_like(own))
    score, width = (xp.astype(x, noise.dtype) for x in (score, width))
    # Arg max is invariant to a common factor, which here keeps values in the range of z's dtype.
    limit = float(xp.finfo(z.dtype).max) / 256
    width = xp.where(width < limit * 256, width, xp.full_like(width, limit * 256))
    largest = xp.max(xp.where(abs(score) > width, abs(score), width), axis=-1, keepdims=True)
    unit = xp.where(largest > limit, limit / largest, xp.ones_like(largest))
    perturbed = score * unit + (width * unit) * noise
    untried = legal & fresh
    chosen = xp.where(xp.any(untried, axis=-1, keepdims=True), untried, legal)
    logits = xp.where(chosen, xp.where(fresh, noise, perturbed), -math.inf)
    bad, logits = aligned(xp, bad_rows(given), logits)
    bad = bad | xp.any(xp.isnan(visits), axis=-1, keepdims=True) | xp.isnan(spread)
    best = state_of(policy_of(xp.where(bad, math.nan, logits), z, xp, temperature=0.0))
    return linked(best.replace(), best)  # derivatives of 0, without a meaning once tempered
