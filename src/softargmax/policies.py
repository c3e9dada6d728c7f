"""Choose actions: functions of action values that return a distribution.

What is drawn and whose log-probability is taken are one object, a :class:`softargmax.Categorical`
over the legal actions.
"""

import math
from typing import Any

import numpy as np

from softargmax import _checks, _native
from softargmax._arrays import (
    Array,
    ArrayLike,
    is_foreign,
    namespace_of,
    quiet,
    read_only,
    register_pytree,
    widest_float,
)
from softargmax._inputs import (
    Heat,
    Inputs,
    inputs,
    log_weights,
    meet_batch,
    plain_inputs,
    support_of,
)
from softargmax._masks import action_mask_from_info
from softargmax._multi import MultiCategorical
from softargmax._noise import Rngs
from softargmax.categorical import Categorical
from softargmax.functional import log_softargmax

__all__ = [
    "MultiCategorical",
    "action_mask_from_info",
    "boltzmann",
    "boltzmann_gumbel",
    "epsilon_greedy",
    "greedy",
    "kl_regularized",
    "with_dirichlet_noise",
]


def greedy(values: ArrayLike, *, mask: ArrayLike | None = None) -> Categorical:
    """The best legal action, ties shared: the limit T = 0 of :func:`boltzmann`.

    Parameters
    ----------
    values : array, shape (..., K)
        Action values Q; -inf forbids an action.
    mask : array of bool (or 0 and 1), shape (..., K), optional
        The legal actions.

    Returns
    -------
    Categorical

    Raises
    ------
    ValueError
        For NaN or +inf values, or a row without a legal action, which it names.
    TypeError
        For values that are not real numbers, or what is no mask.

    Examples
    --------
    >>> from softargmax.policies import greedy
    >>> greedy([1.0, 5.0, 5.0, 9.0], mask=[1, 1, 1, 0]).probs
    array([0. , 0.5, 0.5, 0. ])
    """
    return boltzmann(values, 0.0, mask=mask)


def boltzmann(
    values: ArrayLike, temperature: ArrayLike, *, mask: ArrayLike | None = None
) -> Categorical:
    r"""Boltzmann exploration, softargmax of the values: :math:`\pi(a) \propto e^{Q(a) / T}`.

    Parameters
    ----------
    values, mask
        As for :func:`greedy`.
    temperature : float or array
        T in [0, inf] in the units of the values; meets the batch axes alone.

    Returns
    -------
    Categorical

    Raises
    ------
    ValueError, TypeError
        As :func:`greedy` does, and for other temperatures.

    References
    ----------
    Sutton & Barto, *Reinforcement Learning* (2018), §2.8.

    Examples
    --------
    >>> from softargmax.policies import boltzmann
    >>> boltzmann([0.0, 10.0, 99.0], 100.0, mask=[1, 1, 0]).probs.round(3)
    array([0.475, 0.525, 0.   ])
    """
    given = plain_inputs(values, temperature) if mask is None else None
    if given is None:
        given = _values(values, mask, temperature=temperature, copy=True)
    return _of(given)


@quiet
def epsilon_greedy(
    values: ArrayLike, epsilon: ArrayLike, *, mask: ArrayLike | None = None
) -> Categorical:
    r"""Greedy, but for a part ε of the time, when all legal actions are alike.

    .. math:: \pi(a) = \frac{1 - \varepsilon}{k} [a \text{ is one of } k \text{ best}]
              + \frac{\varepsilon}{n} [a \text{ is one of } n \text{ legal}]

    Parameters
    ----------
    values, mask
        As for :func:`greedy`.
    epsilon : float or array
        ε in [0, 1]; meets the batch axes as a temperature does.

    Returns
    -------
    Categorical
        Its log-probabilities are exact for every ε; illegal actions have probability 0 at any.

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
    given = _values(values, mask, epsilon)
    xp, z = given.xp, given.z
    part = _checks.numbers_in(epsilon, "epsilon", "[0, 1]", xp, z)
    meet_batch(tuple(part.shape), tuple(z.shape[:-1]), "epsilon")
    part = part[..., None]
    legal = support_of(z, given.prior, xp)
    best = legal & (z == xp.max(xp.where(legal, z, -math.inf), axis=-1, keepdims=True))
    wide = widest_float(xp)
    n, k = (xp.sum(xp.astype(x, wide), axis=-1, keepdims=True) for x in (legal, best))
    zero = xp.zeros_like(n)
    weights = xp.where(best, (1 - part) / k, zero) + xp.where(legal, part / n, zero)
    bad = ~xp.all((weights >= 0) & (z < math.inf), axis=-1, keepdims=True)
    logits = xp.where(bad, math.nan, log_weights(weights, xp))
    return _made(logits, z, xp)


def kl_regularized(
    values: ArrayLike, reference: Categorical, temperature: ArrayLike
) -> Categorical:
    r"""The policy that trades value against its divergence from a reference.

    .. math:: \pi = \arg\max_\pi \; \langle \pi, Q \rangle - T \, \mathrm{KL}(\pi \| \pi_{ref}),
              \qquad \pi \propto \pi_{ref} \, e^{Q / T}

    Parameters
    ----------
    values : array, shape (..., K)
        Action values Q; -inf forbids an action.
    reference : Categorical
        Over the same actions, of a batch that broadcasts. What it forbids stays forbidden, and so
        do actions whose probability underflows in float64 (in JAX, in the dtype at hand).
    temperature : float or array
        T in [0, inf]: at inf it is the reference, at 0 the reference on the best actions.

    Returns
    -------
    Categorical

    Raises
    ------
    ValueError, TypeError
        For arguments that are none of these or do not fit.

    References
    ----------
    Todorov (2009), https://doi.org/10.1073/pnas.0710743106; Geist, Scherrer & Pietquin (2019),
    https://arxiv.org/abs/1901.11275.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.policies import kl_regularized
    >>> reference = Categorical.from_weights([1, 2, 0])
    >>> kl_regularized([0.0, 1.0, 5.0], reference, [0.0, 1.0, math.inf]).probs.round(4)
    array([[0.    , 1.    , 0.    ],
           [0.1554, 0.8446, 0.    ],
           [0.3333, 0.6667, 0.    ]])
    """
    _checks.check_instance(reference, Categorical, "reference")
    xp = reference._given.xp
    prior = xp.exp(xp.astype(reference.log_probs, widest_float(xp)))
    return Categorical._of(
        inputs(values, temperature, None, prior, copy=True, name="values", prior_name="reference")
    )


@quiet
def with_dirichlet_noise(
    dist: Categorical, alpha: ArrayLike, fraction: ArrayLike, *, rng: Rngs = None
) -> Categorical:
    r"""A distribution mixed with Dirichlet noise over its legal actions, to explore at a root.

    .. math:: \pi = (1 - f)\, p + f \eta, \qquad \eta \sim \mathrm{Dirichlet}(\alpha, \dots, \alpha)

    Parameters
    ----------
    dist : Categorical
        Its support is what is legal.
    alpha : float or array
        α in (0, inf), one for all actions of a row; AlphaZero's is about 10 / (legal actions).
    fraction : float or array
        f in [0, 1]; both meet the batch.
    rng
        As for :meth:`Categorical.sample`. Its streams are its own: the noise shares nothing with
        what ``sample`` draws from an equal seed.

    Returns
    -------
    Categorical
        Its log-probabilities are given the noise.

    Raises
    ------
    ValueError, TypeError
        For arguments that are none of these or do not fit.

    References
    ----------
    Silver et al. (2017), https://arxiv.org/abs/1712.01815.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.policies import with_dirichlet_noise
    >>> prior = Categorical([0.0, 1.0, 2.0], prior=[1, 0, 1])
    >>> with_dirichlet_noise(prior, 0.3, 0.25, rng=0).probs.round(4)
    array([0.331, 0.   , 0.669])
    """
    _checks.check_instance(dist, Categorical, "dist")
    given, xp = dist._given, dist._given.xp
    a = _checks.numbers_in(alpha, "alpha", "(0, inf)", xp, given.z)[..., None]
    f = _checks.numbers_in(fraction, "fraction", "[0, 1]", xp, given.z)[..., None]
    for x, name in ((a, "alpha"), (f, "fraction")):
        _checks.check_fits_within(tuple(x.shape[:-1]), dist.batch_shape, name)
    noise = _native.log_gammas(given, a, _native.streams(given, rng, _DIRICHLET, 1)[0])
    support = dist._support
    log_eta = log_softargmax(xp.where(support, noise, -math.inf))
    log_p = xp.astype(dist.log_probs, noise.dtype)
    own, other = (xp.astype(x, noise.dtype) for x in (xp.log1p(0 - f) + log_p, xp.log(f) + log_eta))
    alive = (own > -math.inf) | (other > -math.inf)
    zero = xp.zeros_like(own)
    mixed = xp.logaddexp(xp.where(alive, own, zero), xp.where(alive, other, zero))
    logits = xp.where(alive | xp.isnan(own + other), mixed, -math.inf)
    return _made(logits, given.z, xp)


@quiet
def boltzmann_gumbel(
    values: ArrayLike,
    counts: ArrayLike,
    scale: ArrayLike,
    *,
    mask: ArrayLike | None = None,
    rng: Rngs = None,
) -> Categorical:
    r"""Boltzmann-Gumbel exploration: greedy after Gumbel noise that shrinks with every visit.

    .. math:: a = \arg\max_a \; Q(a) + \frac{C}{\sqrt{N(a)}} \, g_a, \qquad g_a \text{ Gumbel}

    Unlike one temperature for all actions, it explores each as much as it is uncertain.

    Parameters
    ----------
    values, mask
        As for :func:`greedy`.
    counts : array, shape (..., K)
        N ≥ 0, how often each action was taken. A legal action of count 0 is taken before any
        other; among several, the one with the largest noise.
    scale : float or array
        C in [0, inf) in the units of the values; meets the batch.
    rng
        As for :meth:`Categorical.sample`.

    Returns
    -------
    Categorical
        The greedy one of the perturbed values: its log-probabilities are given the noise.

    Raises
    ------
    ValueError, TypeError
        As :func:`greedy` does, and for counts or a scale that are none.

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
    given = _values(values, mask, counts, scale)
    xp, z = given.xp, given.z
    visits = _checks.values_of_categories(counts, xp, z, given.batch_shape, "counts")
    visits = _checks.numbers_in(visits, "counts", "[0, inf)", xp, z)
    spread = _checks.numbers_in(scale, "scale", "[0, inf)", xp, z)
    meet_batch(tuple(spread.shape), tuple(z.shape[:-1]), "scale")
    shape = np.broadcast_shapes(given.batch_shape, visits.shape[:-1], spread.shape)
    noise = _native.gumbels(given._replace(batch_shape=shape), (), rng)
    fresh = visits == 0
    width = spread[..., None] / xp.sqrt(xp.where(fresh, xp.ones_like(visits), visits))
    perturbed = xp.astype(z, noise.dtype) + xp.astype(width, noise.dtype) * noise
    legal = support_of(z, given.prior, xp)
    untried = legal & fresh
    chosen = xp.where(xp.any(untried, axis=-1, keepdims=True), untried, legal)
    logits = xp.where(chosen, xp.where(fresh, noise, perturbed), -math.inf)
    return _made(logits, z, xp, temperature=0.0)


def _values(
    values: ArrayLike,
    mask: ArrayLike | None,
    *others: Any,
    temperature: ArrayLike | None = None,
    copy: bool = False,
) -> Inputs:
    """Action values, checked, where any of the arrays lives."""
    everything = (values, mask, temperature, *others)
    xp = namespace_of(*everything)
    if xp is not np:
        like = next(x for x in everything if is_foreign(x))
        values = _checks.real_array(values, "values", xp, like)
    return inputs(values, temperature, None, mask, copy=copy, name="values", prior_name="mask")


def _made(logits: Array, z: Array, xp: Any, temperature: float = 1.0) -> Categorical:
    """A distribution in the dtype of z, of logits that are ours."""
    own = read_only(xp.astype(logits, z.dtype))
    heat = Heat(1 / temperature if temperature else math.inf, temperature)
    return _of(Inputs(xp, own, own, heat, None, tuple(own.shape[:-1])))


def _of(given: Inputs) -> Categorical:
    if given.xp is not np:
        register_pytree(Categorical)
    return Categorical._of(given)


_DIRICHLET = 0x64697269  # the tag of its stream
