"""The partition function of known energy levels, and quantities derived from it."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from softargmax._arrays.keywords import explained
from softargmax._arrays.namespaces import (
    Array,
    Namespace,
    aligned,
    ignore_fp_errors,
    index_along,
    to_namespace,
    unwrap,
    widest_float,
)
from softargmax._arrays.types import A
from softargmax._core.formula import bad_rows, scale_of, scaled
from softargmax._core.information import log_probs
from softargmax._core.state import State
from softargmax.categorical import Categorical, state_of

_SAFE = 600.0  # exponents whose exponentials, and the inverses of these, are normal in float64


class _Terms(NamedTuple):
    """Terms that all functions share; arrays without a category axis have shape (…, 1)."""

    xp: Namespace
    state: State
    p: Array
    gap: Array  # logits minus the likeliest one, in units of ``unit``; 0 where p = 0
    x: Array  # β·gap
    level: Array  # log Σ g·exp(x)
    likeliest: Array  # the logit of the likeliest category
    unit: Array  # 1, or 2 where a gap might overflow
    coldness: Array

    @classmethod
    def of(cls, dist: Categorical) -> _Terms:
        state = state_of(dist)
        xp = state.xp
        wide = widest_float(xp)
        log_p = xp.astype(log_probs(state), wide)
        alive = log_p > -math.inf
        log_p = xp.where(alive, log_p, xp.zeros_like(log_p))
        top = xp.argmax(xp.where(alive, log_p, -math.inf), axis=-1, keepdims=True)
        top = index_along(log_p, xp) == top

        def of_top(values: Array) -> Array:
            own = xp.where(top, values, xp.zeros_like(values))
            return xp.sum(own, axis=-1, keepdims=True)

        # All is measured from the likeliest category: from any other, sums would cancel where
        # degeneracies outweigh energies.
        p = xp.where(alive, xp.exp(log_p), xp.zeros_like(log_p))
        alive = alive & (p != 0)
        z, alive, p = aligned(xp, xp.astype(state.z, wide), alive, p)
        z = xp.where(alive, z, xp.zeros_like(p))
        likeliest = of_top(z)
        huge = xp.max(xp.abs(z), axis=-1, keepdims=True) > xp.finfo(wide).max / 4
        unit = xp.where(huge, xp.full_like(likeliest, 2.0), 1.0)
        gap = xp.where(alive, z, likeliest) / unit - likeliest / unit
        x = scaled(gap, scale_of(state, wide), xp) * unit
        level = 0 - of_top(log_p)
        if state.prior is not None:
            alive, weight = aligned(xp, alive, xp.astype(state.prior, wide))
            weight = xp.where(alive, weight, xp.ones_like(weight))
            own = of_top(weight)
            level = level + xp.log(own)
            # g·exp(x) where it is safe: g has more digits than its logarithm.
            safe = alive & (xp.abs(x) < _SAFE) & (weight > own * math.exp(-_SAFE))
            each = weight / own * xp.exp(xp.where(safe, x, xp.zeros_like(x)))
            p = xp.where(safe, each * of_top(p), p)
        if xp is not np:  # bad rows of hidden values
            bad = bad_rows(state)
            p, level = xp.where(bad, math.nan, p), xp.where(bad, math.nan, level)
        coldness = to_namespace(state.coldness, xp, state.z, wide)[..., None]
        return cls(xp, state, p, gap, x, level, likeliest, unit, coldness)

    @property
    def energy(self) -> Array:
        """Σ p·E."""
        return -self.unit * (self.likeliest / self.unit + self.mean(self.gap))

    def mean(self, values: Array) -> Array:
        """Σ p·v, (…, 1)."""
        return self.xp.sum(self.p * values, axis=-1, keepdims=True)

    def answer(self, x: Array) -> Any:
        """The result in the dtype and batch shape of the distribution."""
        full = self.xp.broadcast_to(x[..., 0] + 0.0, self.state.batch_shape)  # no -0.0
        if self.xp is np:
            return unwrap(full.astype(self.state.dtype))
        return self.xp.astype(full, self.state.dtype)


@explained
@ignore_fp_errors
def log_partition(dist: Categorical[A]) -> A:
    r"""The logarithm of the partition function, :math:`\log Z = \log \sum_i g_i e^{-\beta E_i}`.

    Parameters
    ----------
    dist : Categorical
        Made from energies (:meth:`Categorical.from_energies`) or from logits -E.

    Returns
    -------
    float or array, shape batch_shape
        At T = 0 (β = ±inf) it is log g₀ where the energy of the ground state is 0, else ±inf; at
        T = inf it is log Σ g.

    Raises
    ------
    TypeError
        For a dist that is not a Categorical.

    References
    ----------
    Landau & Lifshitz, *Statistical Physics* (1980), §31.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.thermodynamics import log_partition
    >>> ladder = [0.0, 1.0, float("inf")]
    >>> levels = Categorical.from_energies([0.0, 1.0], ladder, degeneracies=[1, 3])
    >>> log_partition(levels).round(4)
    array([0.    , 0.7437, 1.3863])
    """
    t = _Terms.of(dist)
    xp = t.xp
    scale = scale_of(t.state, t.p.dtype)
    high = (t.likeliest > 0) == (t.coldness > 0)
    end = xp.where(high, xp.full_like(t.level, math.inf), -math.inf)
    product = xp.where(scale.limit & (t.likeliest != 0), end, scaled(t.likeliest, scale, xp))
    return t.answer(product + t.level)


@explained
@ignore_fp_errors
def free_energy(dist: Categorical[A]) -> A:
    r"""The Helmholtz free energy, :math:`F = -\log Z / \beta = U - T S`.

    Parameters
    ----------
    dist : Categorical

    Returns
    -------
    float or array, shape batch_shape
        In the units of the energies. At T = 0 it is the energy of the ground state (at β = -inf the
        highest one); at T = inf it is -inf where Σ g > 1, +inf where Σ g < 1, and U where Σ g = 1.

    Raises
    ------
    TypeError
        For a dist that is not a Categorical.

    References
    ----------
    Landau & Lifshitz, *Statistical Physics* (1980), §31.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.thermodynamics import free_energy
    >>> free_energy(Categorical.from_energies([-1.0, 1.0], [0.0, 1.0, float("inf")])).round(4)
    array([-1.    , -1.1269,    -inf])
    """
    t = _Terms.of(dist)
    xp = t.xp
    hot, value = t.coldness == 0, t.state.temperature.value
    flat = hot & (xp.abs(t.level) <= 4 * xp.finfo(t.level.dtype).eps)
    endless = xp.where(t.level > 0, -math.inf, xp.full_like(t.level, math.inf))
    level = xp.where(hot, xp.zeros_like(t.level), t.level)
    if value is None:
        rise = level / xp.where(hot, xp.ones_like(t.coldness), t.coldness)
    else:  # 1/T may have overflowed
        warmth = to_namespace(value, xp, t.state.z, level.dtype)[..., None]
        rise = level * xp.where(hot, xp.ones_like(warmth), warmth)
    free = xp.where(hot, endless, 0 - t.likeliest - rise)
    return t.answer(xp.where(flat | xp.isnan(t.level), t.energy, free))


@explained
@ignore_fp_errors
def internal_energy(dist: Categorical[A]) -> A:
    r"""The mean energy, :math:`U = \sum_i p_i E_i = -\partial \log Z / \partial \beta`.

    Parameters
    ----------
    dist : Categorical

    Returns
    -------
    float or array, shape batch_shape
        In the units of the energies; at T = 0 that of the ground state.

    Raises
    ------
    TypeError
        For a dist that is not a Categorical.

    References
    ----------
    Landau & Lifshitz, *Statistical Physics* (1980), §31.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.thermodynamics import internal_energy
    >>> internal_energy(Categorical.from_energies([-1.0, 1.0], [0.0, 1.0, float("inf")])).round(4)
    array([-1.    , -0.7616,  0.    ])
    """
    t = _Terms.of(dist)
    return t.answer(t.energy)


@explained
@ignore_fp_errors
def heat_capacity(dist: Categorical[A]) -> A:
    r"""The heat capacity, :math:`C = \partial U / \partial T = \beta^2 \operatorname{Var} E`.

    Parameters
    ----------
    dist : Categorical

    Returns
    -------
    float or array, shape batch_shape
        In units of k_B; 0 at T = 0 and at T = inf.

    Raises
    ------
    TypeError
        For a dist that is not a Categorical.

    References
    ----------
    Landau & Lifshitz, *Statistical Physics* (1980), §112.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.thermodynamics import heat_capacity
    >>> ladder = [0.0, 0.41677828, float("inf")]
    >>> heat_capacity(Categorical.from_energies([0.0, 1.0], ladder)).round(6)
    array([0.      , 0.439229, 0.      ])
    """
    t = _Terms.of(dist)
    away = t.x - t.mean(t.x)
    away = t.xp.where(t.p > 0, away, t.xp.zeros_like(away))  # its square may overflow
    return t.answer(t.mean(away * away))


@explained
@ignore_fp_errors
def entropy(dist: Categorical[A]) -> A:
    r"""The thermodynamic entropy, :math:`S = \log Z + \beta U = -\sum_i p_i \log (p_i / g_i)`.

    It counts the states within each level, unlike ``dist.entropy()``, which is over levels; the two
    are equal without degeneracies.

    Parameters
    ----------
    dist : Categorical

    Returns
    -------
    float or array, shape batch_shape
        In nats (units of k_B): log g₀ at T = 0, log Σ g at T = inf.

    Raises
    ------
    TypeError
        For a dist that is not a Categorical.

    References
    ----------
    Landau & Lifshitz, *Statistical Physics* (1980), §31.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.thermodynamics import entropy
    >>> ladder = [0.0, 1.0, float("inf")]
    >>> levels = Categorical.from_energies([0.0, 1.0], ladder, degeneracies=[2, 3])
    >>> entropy(levels).round(4)
    array([0.6931, 1.4882, 1.6094])
    """
    t = _Terms.of(dist)
    return t.answer(t.level - t.mean(t.x))
