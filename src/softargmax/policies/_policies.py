"""Policies: functions of action values that return a distribution over actions.

One object, a :class:`softargmax.Categorical` over the legal actions, both samples actions and gives
their log-probabilities.
"""

from __future__ import annotations

import math
from typing import overload

import numpy as np

from softargmax._arrays import checks
from softargmax._arrays.keywords import explained
from softargmax._arrays.namespaces import (
    ArrayLike,
    aligned,
    ignore_fp_errors,
    is_foreign,
    read_only,
    to_namespace,
)
from softargmax._arrays.types import A, Like, Numpy, NumpyLike
from softargmax._core.formula import bad_rows
from softargmax._core.information import log_probs, ranking
from softargmax._core.inputs import check_one, meet_batch, plain_state
from softargmax._core.mixtures import log_sides, mixed
from softargmax._core.state import State, of_logits, support_of
from softargmax._core.support import check_support
from softargmax._rows.rows import Temperature
from softargmax.categorical import Categorical, of_state, state_of
from softargmax.policies._values import action_values, linked


@overload
def greedy(
    values: NumpyLike, *, mask: NumpyLike | None = None, prior: NumpyLike | None = None
) -> Categorical[Numpy]: ...
@overload
def greedy(
    values: Like[A], *, mask: Like[A] | None = None, prior: Like[A] | None = None
) -> Categorical[A]: ...
@explained
def greedy(
    values: ArrayLike, *, mask: ArrayLike | None = None, prior: ArrayLike | None = None
) -> Categorical:
    """The greedy policy, shared by tied best legal actions: :func:`boltzmann` at T = 0.

    Parameters
    ----------
    values : array, shape (..., K)
        Action values Q; -inf forbids an action.
    mask : array of bool (or 0 and 1), shape (..., K), optional
        The legal actions.
    prior : array, shape (..., K), optional
        Non-negative weights π₀ of the actions, in proportion to which ties share; default 1.

    Returns
    -------
    Categorical

    Raises
    ------
    ValueError
        For NaN or +inf values, or a row without a legal action (the message names it).
    TypeError
        For values that are not real numbers, or an invalid mask or prior.

    Examples
    --------
    >>> from softargmax.policies import greedy
    >>> greedy([1.0, 5.0, 5.0, 9.0], mask=[1, 1, 1, 0]).probs
    array([0. , 0.5, 0.5, 0. ])
    """
    return boltzmann(values, 0.0, mask=mask, prior=prior)


@overload
def boltzmann(
    values: NumpyLike,
    temperature: NumpyLike | None = None,
    *,
    coldness: NumpyLike | None = None,
    mask: NumpyLike | None = None,
    prior: NumpyLike | None = None,
) -> Categorical[Numpy]: ...
@overload
def boltzmann(
    values: Like[A],
    temperature: Like[A] | None = None,
    *,
    coldness: Like[A] | None = None,
    mask: Like[A] | None = None,
    prior: Like[A] | None = None,
) -> Categorical[A]: ...
@explained
def boltzmann(
    values: ArrayLike,
    temperature: ArrayLike | None = None,
    *,
    coldness: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    prior: ArrayLike | None = None,
) -> Categorical:
    r"""Boltzmann exploration, softargmax of the values: :math:`\pi(a) \propto \pi_0(a) e^{Q(a)/T}`.

    Parameters
    ----------
    values, mask, prior
        As for :func:`greedy`.
    temperature : float or array
        T in [0, inf] in the units of the values; broadcasts against the batch axes alone.
    coldness : float or array
        β = 1/T instead, any real number or ±inf; a negative one prefers small values.

    Returns
    -------
    Categorical

    Raises
    ------
    ValueError, TypeError
        As :func:`greedy` does, for an invalid temperature or coldness, and for both or neither.

    References
    ----------
    Sutton & Barto, *Reinforcement Learning* (2018), §2.8.

    Examples
    --------
    >>> from softargmax.policies import boltzmann
    >>> boltzmann([0.0, 10.0, 99.0], 100.0, mask=[1, 1, 0]).probs.round(3)
    array([0.475, 0.525, 0.   ])
    """
    check_one(temperature, coldness)
    state = plain_state(values, temperature, prior, mask) if coldness is None else None
    if state is None:
        state = action_values(
            values, mask, temperature=temperature, coldness=coldness, prior=prior, copy=True
        )
    return of_state(state)


@overload
def epsilon_greedy(
    values: NumpyLike,
    epsilon: NumpyLike,
    *,
    mask: NumpyLike | None = None,
    prior: NumpyLike | None = None,
) -> Categorical[Numpy]: ...
@overload
def epsilon_greedy(
    values: Like[A],
    epsilon: Like[A],
    *,
    mask: Like[A] | None = None,
    prior: Like[A] | None = None,
) -> Categorical[A]: ...
@ignore_fp_errors
@explained
def epsilon_greedy(
    values: ArrayLike,
    epsilon: ArrayLike,
    *,
    mask: ArrayLike | None = None,
    prior: ArrayLike | None = None,
) -> Categorical:
    r"""Greedy with probability 1 - ε, else uniform over the legal actions.

    .. math:: \pi(a) = \frac{1 - \varepsilon}{k} [a \text{ is one of } k \text{ best}]
              + \frac{\varepsilon}{n} [a \text{ is one of } n \text{ legal}]

    With a prior both are in proportion to it: k and n are the sums of its weights, π₀(a) is a
    factor of each term.

    Parameters
    ----------
    values, mask, prior
        As for :func:`greedy`.
    epsilon : float or array
        ε in [0, 1]; broadcasts against the batch axes alone.

    Returns
    -------
    Categorical
        Its log-probabilities are exact for every ε; illegal actions always have probability 0.

    Raises
    ------
    ValueError, TypeError
        As :func:`greedy` does, and for ε outside [0, 1].

    References
    ----------
    Sutton & Barto, *Reinforcement Learning* (2018), §2.2.

    Examples
    --------
    >>> from softargmax.policies import epsilon_greedy
    >>> epsilon_greedy([1.0, 5.0, 9.0], 0.1, mask=[1, 1, 0]).probs
    array([0.05, 0.95, 0.  ])
    """
    best = None if is_foreign(epsilon) else plain_state(values, 0.0, prior, mask)
    if best is None:
        best = action_values(values, mask, epsilon, temperature=0.0, prior=prior, copy=True)
    xp, z = best.xp, best.z
    part = checks.numbers_in(epsilon, "epsilon", "[0, 1]", xp, z)
    meet_batch(tuple(part.shape), tuple(z.shape[:-1]), "epsilon", "values")
    hot = best.replace(temperature=Temperature(0.0, math.inf))
    # Nothing moves with the values: neither side has a derivative.
    return linked(mixed([best, hot], log_sides(part, xp, z)), best)


@overload
def kl_regularized(
    values: NumpyLike,
    reference: Categorical[Numpy],
    temperature: NumpyLike | None = None,
    *,
    coldness: NumpyLike | None = None,
    mask: NumpyLike | None = None,
) -> Categorical[Numpy]: ...
@overload
def kl_regularized(
    values: Like[A],
    reference: Categorical[A],
    temperature: Like[A] | None = None,
    *,
    coldness: Like[A] | None = None,
    mask: Like[A] | None = None,
) -> Categorical[A]: ...
@ignore_fp_errors
@explained
def kl_regularized(
    values: ArrayLike,
    reference: Categorical,
    temperature: ArrayLike | None = None,
    *,
    coldness: ArrayLike | None = None,
    mask: ArrayLike | None = None,
) -> Categorical:
    r"""The policy that trades off expected value against divergence from a reference policy.

    .. math:: \pi = \arg\max_\pi \; \langle \pi, Q \rangle - T \, \mathrm{KL}(\pi \| \pi_{ref}),
              \qquad \pi \propto \pi_{ref} \, e^{Q / T}

    Parameters
    ----------
    values : array, shape (..., K)
        Action values Q; -inf forbids an action.
    reference : Categorical
        The prior: over the same actions, with a batch that broadcasts. Actions it forbids stay
        forbidden.
    temperature : float or array
        T in [0, inf]: inf gives the reference, 0 the reference restricted to the best actions.
    coldness : float or array
        β = 1/T instead, any real number or ±inf; a negative one prefers small values.
    mask
        As for :func:`greedy`.

    Returns
    -------
    Categorical

    Raises
    ------
    ValueError, TypeError
        For arguments of the wrong type, out of range, or whose shapes do not fit, and for both or
        neither of temperature and coldness.

    References
    ----------
    Todorov (2009), https://doi.org/10.1073/pnas.0710743106; Geist, Scherrer & Pietquin (2019),
    https://arxiv.org/abs/1901.11275.

    Examples
    --------
    >>> import math
    >>> from softargmax import Categorical
    >>> from softargmax.policies import kl_regularized
    >>> reference = Categorical.from_weights([1, 2, 0])
    >>> kl_regularized([0.0, 1.0, 5.0], reference, [0.0, 1.0, math.inf]).probs.round(4)
    array([[0.    , 1.    , 0.    ],
           [0.1554, 0.8446, 0.    ],
           [0.3333, 0.6667, 0.    ]])
    """
    other = state_of(reference, "reference")
    log_ref = log_probs(other)
    check_one(temperature, coldness)
    given = None
    if coldness is None and other.xp is np:
        given = plain_state(values, temperature, None, mask)
    if given is None:
        given = action_values(values, mask, log_ref, temperature=temperature, coldness=coldness)
    xp, z = given.xp, given.z
    if z.shape[-1] != other.num_categories:
        raise ValueError(
            f"reference must have {z.shape[-1]} categories on its last axis, "
            f"got {other.num_categories}"
        )
    shape = checks.check_fits(other.batch_shape, given.batch_shape, "reference")
    # In logarithms, since a tiny reference probability may go with a large value.
    log_ref, kept, own = aligned(
        xp, to_namespace(log_ref, xp, z, z.dtype), support_of(z, given.prior, xp), z
    )
    scores = xp.where(kept & (log_ref != -math.inf), own, -math.inf)
    check_support(scores, None, xp, "values", masked=mask is not None, weighted="reference")
    if xp is not np:
        bad, scores = aligned(xp, bad_rows(given), scores)
        scores = xp.where(bad, math.nan, scores)
    law = State(xp, read_only(scores), scores, given.temperature, None, shape)
    return linked(of_logits(sum(aligned(xp, ranking(law), log_ref)), xp), law)
